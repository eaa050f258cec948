//! Where 32-bit programs run too, one `LD_PRELOAD` serves both classes, without a word from the
//! loader, and each gets the library of its class out of the one file of the command.

use std::path::{Path, PathBuf};
use std::process::Command;

use sigward_harness::{artifacts, need};

use super::one_file::{alone, assert_says_in, possible};
use super::write;

/// Says its class, for which class the library is whose code is mapped, and whether the kernel's
/// write of a frame to a fresh alternate stack faults.
const SOURCE: &str = r#"
#define _GNU_SOURCE
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
static long faults(void) {
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return usage.ru_minflt;
}
static volatile long inside;
static void handler(int signal) { (void)signal; inside = faults(); }
int main(void) {
    char line[600], *class = "none";
    FILE *maps = fopen("/proc/self/maps", "r");
    while (fgets(line, sizeof line, maps)) {
        if (strstr(line, "/libsigward") && strstr(line, "r-xp"))
            class = strstr(line, "/libsigward-i386-") ? "32" : "64";
        if (strstr(line, "[stack]") && strstr(line, "rwxp"))
            puts("executable stack");
    }
    struct sigaction action = {.sa_handler = handler, .sa_flags = SA_ONSTACK};
    sigaction(SIGUSR1, &action, NULL);
    /* The first run brings in the code. */
    long faulted = 0;
    for (int turn = 0; turn < 2; turn++) {
        stack_t stack = {.ss_size = 65536};
        stack.ss_sp = mmap(NULL, stack.ss_size, PROT_READ | PROT_WRITE,
                           MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        sigaltstack(&stack, NULL);
        long before = faults();
        raise(SIGUSR1);
        faulted = inside - before;
    }
    printf("%zu %s %s\n", 8 * sizeof(void *), class, faulted ? "faults" : "held");
}
"#;

/// The program for each class and libc: 64-bit glibc, 32-bit glibc, musl. `None` if a 32-bit one
/// cannot be built and run here, or the command contains no library for it.
fn programs(folder: &Path) -> Option<[PathBuf; 3]> {
    let mut command = Command::new(folder.join("sigward"));
    let there = command.args(["library", "--extract"]).arg(folder).args(["--bits", "32"]).output();
    let is_there = there.is_ok_and(|output| output.status.success());
    if !need::required(is_there, "a library for 32-bit programs in the command", "make i686") {
        return None;
    }
    std::fs::remove_file(folder.join("libsigward.so")).expect("the library just written");
    let source = folder.join("maps.c");
    write(&source, SOURCE);
    let build = |compiler: &str, option: &str, name: &str| {
        let program = folder.join(name);
        let mut command = Command::new(compiler);
        command.arg(option).arg("-o").arg(&program).arg(&source);
        let built = command.output().is_ok_and(|output| output.status.success());
        let runs = built && Command::new(&program).output().is_ok();
        need::required(runs, "32-bit programs", "install gcc-multilib and musl-tools")
            .then_some(program)
    };
    Some([
        build("gcc", "-m64", "maps64")?,
        build("gcc", "-m32", "maps32")?,
        build("musl-gcc", "-m64", "maps-musl")?,
    ])
}

#[track_caller]
fn assert_says(script: &str, expected: &str) {
    let folder = alone();
    if programs(folder.path()).is_some() {
        let script = format!("cd ${{S%/*}}; umount $LOADER; exec 2>&1\n{script}");
        assert_says_in(&folder, &script, expected);
    }
}

/// What the programs say with the library.
const HELD: &str = "64 64 held\n32 32 held\n64 64 held\n";

/// The children of a 64-bit program. Before, ld.so complained in the 32-bit one.
#[test]
fn programs_of_both_classes_start_without_a_word() {
    if possible() {
        let children = "sh -c './maps64; ./maps32; ./maps-musl'";
        let said = HELD;
        assert_says("./maps64; ./maps32", "64 none faults\n32 none faults\n");
        assert_says(&format!("$S run --mode on -- {children}"), said);
        assert_says(&format!("umask 077; $S run -- true; $S run --mode on -- {children}"), said);
        // Another user has what root has put there.
        let nobody = "setpriv --reuid 65534 --regid 65534 --clear-groups";
        assert_says(&format!("$S run --mode on -- {nobody} {children}"), said);
        assert_says(&format!("{nobody} $S run --mode on -- {children}"), said);
        assert_says("$S library", "/run/sigward/\\$LIB/libsigward-[0-9a-f]{16}.so\n");
    }
}

/// `run` itself, and its 64-bit children; by another loader, the file's full path is needed.
#[test]
fn a_32_bit_program_gets_its_library() {
    if possible() {
        let run = "$S run --mode on --";
        assert_says(&format!("{run} ./maps32"), "32 32 held\n");
        assert_says(&format!("{run} $LOADER ./maps32"), "32 32 held\n");
        assert_says(&format!("{run} sh -c '{run} ./maps32; ./maps64'"), "32 32 held\n64 64 held\n");
        let start = "int main(int n, char **names) {\n\
                         (void)n; execv(names[1], names + 1); return 1;\n\
                     }";
        let build =
            format!("echo '#include <unistd.h>\n{start}' >start.c; gcc -m32 -o start start.c");
        assert_says(&format!("{build}\n{run} ./start ./maps64"), "64 64 held\n");
        let other = "cp $LOADER $T/other-loader.so; gcc -m32 -o other maps.c \
                     -Wl,--dynamic-linker=$T/other-loader.so";
        assert_says(&format!("{other}\n{run} ./other"), "32 32 held\n");
        // Within another, whose LD_PRELOAD leads to the same files.
        assert_says(&format!("{other}\n{run} sh -c '{run} ./other'"), "32 32 held\n");
    }
}

#[test]
fn it_says_which_library_is_for_which_class() {
    if possible() {
        let both = "library: /run/sigward/\\$LIB/libsigward-[0-9a-f]{16}.so\n";
        let narrow = "/run/sigward/libsigward-i386-[0-9a-f]{16}.so";
        let rows = "| grep '^library'";
        let said = format!("{both}library for 32-bit programs: {narrow}\n");
        assert_says(&format!("$S run --dry-run -- true {rows}"), &said);
        assert_says(&format!("$S run --dry-run -- ./maps32 {rows}"), &said);
        assert_says("$S library --bits 32", &format!("{narrow}\n"));
        assert_says("$S library --bits 64", "/run/sigward/libsigward-[0-9a-f]{16}.so\n");
        let extracted = "$S library --extract own --bits 32; $S run --library own/libsigward.so \
                         --mode on -- ./maps32 | cut -d ' ' -f 1,3";
        assert_says(extracted, "/.*/own/libsigward.so\n32 held\n");
        let refused = "$S library --extract own --bits 32 >/dev/null; \
                       $S run --library own/libsigward.so -- ./maps64; echo $?";
        assert_says(refused, "sigward: .*the library is for x86.*\n125\n");
        let doctor = "$S doctor ./maps32 | grep -e '^library' -e ' loader would'";
        let covered = "  - its loader would load the library for 32-bit programs, .*\n";
        let inside = "library inside sigward: for 64-bit programs, for 32-bit programs\n";
        assert_says(doctor, &format!("{inside}{covered}"));
    }
}

/// A unit outlives the boot, and with it what is in /run.
#[test]
fn a_unit_names_what_is_installed_for_both_classes() {
    if possible() {
        let folder = alone();
        let Some([_, _, _]) = programs(folder.path()) else { return };
        let of = |bits: &str| {
            let mut command = Command::new(folder.path().join("sigward"));
            let at = folder.path().join(bits);
            command.args(["library", "--bits", bits, "--extract"]).arg(&at).output().expect("it");
            at.join("libsigward.so")
        };
        let mut tree = Command::new(artifacts::workspace().join("packaging/tree"));
        tree.arg(folder.path().join("sigward")).args([of("64"), of("32")]);
        let output = tree.arg(folder.path().join("prefix")).output().expect("the script");
        assert!(output.status.success(), "{output:?}");
        let unit = "umount $LOADER; mount --bind ${S%/*}/prefix /opt\n\
                    export $(/opt/bin/sigward unit some 2>/dev/null | \
                    sed -n 's/^Environment=.*\\(LD_PRELOAD=[^ \"]*\\).*/\\1/p')\n\
                    echo $LD_PRELOAD; cd ${S%/*}; exec 2>&1; SIGWARD=on; export SIGWARD\n\
                    ./maps64; ./maps32 | cut -d ' ' -f 1,3";
        let said = "/opt/lib/sigward/\\$LIB/libsigward.so\n64 64 held\n32 held\n";
        assert_says_in(&folder, unit, said);
    }
}

#[test]
fn the_installed_copy_stays_in_use_where_nothing_can_be_placed() {
    if possible() {
        let installed = "$S library --extract . >/dev/null\n";
        assert_says(&format!("{installed}$S library"), "/run/sigward/\\$LIB/.*\n");
        let closed =
            "export TMPDIR=$T; for at in /run /dev /dev/shm $T; do mount -o remount,ro $at; done";
        assert_says(&format!("{installed}{closed}\n$S library"), "/.*/libsigward.so\n");
    }
}

/// What is in the place of a link is replaced, and what others could change is not used.
#[test]
fn a_damaged_link_is_replaced() {
    if possible() {
        let again = "$S run --mode on -- sh -c './maps64; ./maps32'";
        for damage in [
            "ln -sf /etc/passwd $F",
            "rm $F; cp /etc/passwd $F",
            "chown -h 65534 $F",
            "rm $F; mkfifo $F",
            "chmod 777 /run/sigward/lib /run/sigward/*/",
            "rm -rf /run/sigward/lib*",
            "printf x >>/run/sigward/libsigward-i386-*.so",
            "chown 65534 /run/sigward/libsigward-i386-*.so",
        ] {
            let script = format!(
                "$S library >/dev/null\nfor F in /run/sigward/lib*/*.so /run/sigward/lib/x*/*; do {damage}; done\n\
                 {again}; find /run/sigward -perm /022 ! -type l"
            );
            assert_says(&script, "64 64 held\n32 32 held\n");
        }
        // No folder can be made there: then as on other machines.
        let taken =
            "mkdir -m 755 /run/sigward; echo > '/run/sigward/$LIB'; chmod 755 /run/sigward\n";
        assert_says(&format!("{taken}$S library"), "/run/sigward/libsigward-[0-9a-f]{16}.so\n");
    }
}

/// As on Fedora, whose loaders have other words: here those of the machine, with these in them.
#[test]
fn the_folder_of_32_bit_programs_may_be_lib() {
    if possible() {
        let change = "change() {\n\
                          file=$(readlink -f $1)\n\
                          perl -0777 -pe \"$2\" $file >$T/$3 && chmod 755 $T/$3 && \
                          mount --bind $T/$3 $file\n\
                      }\n\
                      change /lib64/ld-linux-x86-64.so.2 \
                          's,\\0lib/x86_64-linux-gnu\\0,\"\\0lib64\".\"\\0\"x16,e' 64\n\
                      change $LOADER 's,\\0(lib32|lib/i386-linux-gnu)\\0,\"\\0lib\".\"\\0\"x(length($1)-2),e' 32\n";
        let run = format!(
            "{change}$S library; $S run --mode on -- sh -c './maps64; ./maps32; ./maps-musl'"
        );
        let path = "/run/sigward/\\$LIB/libsigward-lib64-[0-9a-f]{16}.so\n";
        assert_says(&run, &format!("{path}{HELD}"));
    }
}
