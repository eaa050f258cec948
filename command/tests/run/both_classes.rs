//! Where 32-bit programs run too, one `LD_PRELOAD` serves both classes, without a word from the
//! loader.

use std::path::{Path, PathBuf};
use std::process::Command;

use sigward_harness::need;

use super::one_file::{alone, assert_says_in, possible};
use super::write;

/// Says its class, and how often the library's file and the empty one are mapped.
const SOURCE: &str = r#"
#include <stdio.h>
#include <string.h>
int main(void) {
    char line[600];
    int ours = 0, empty = 0;
    FILE *maps = fopen("/proc/self/maps", "r");
    while (fgets(line, sizeof line, maps)) {
        ours |= strstr(line, "/libsigward") && strstr(line, "r-xp");
        empty |= strstr(line, "/libsigward-i386-") != 0;
        if (strstr(line, "[stack]") && strstr(line, "rwxp"))
            puts("executable stack");
    }
    printf("%zu %d %d\n", 8 * sizeof(void *), ours, empty);
}
"#;

/// The program for each class and libc: 64-bit glibc, 32-bit glibc, musl. `None` if a 32-bit one
/// cannot be built and run here.
fn programs(folder: &Path) -> Option<[PathBuf; 3]> {
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

/// The children of a 64-bit program. Before, ld.so complained in the 32-bit one.
#[test]
fn programs_of_both_classes_start_without_a_word() {
    if possible() {
        let children = "sh -c './maps64; ./maps32; ./maps-musl'";
        let said = "64 1 0\n32 0 1\n64 1 0\n";
        assert_says(&format!("$S run -- {children}"), said);
        assert_says(&format!("umask 077; $S run -- true; $S run -- {children}"), said);
        // Another user has what root has put there.
        let nobody = "setpriv --reuid 65534 --regid 65534 --clear-groups";
        assert_says(&format!("$S run -- {nobody} {children}"), said);
        assert_says(&format!("{nobody} $S run -- {children}"), said);
        assert_says("$S library", "/run/sigward/\\$LIB/libsigward-[0-9a-f]{16}.so\n");
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
        let again = "$S run -- sh -c './maps64; ./maps32'";
        for damage in [
            "ln -sf /etc/passwd $F",
            "rm $F; cp /etc/passwd $F",
            "chown -h 65534 $F",
            "rm $F; mkfifo $F",
            "chmod 777 /run/sigward/lib /run/sigward/*/",
            "rm -rf /run/sigward/lib*",
        ] {
            let script = format!(
                "$S library >/dev/null\nfor F in /run/sigward/lib*/*.so /run/sigward/lib/x*/*; do {damage}; done\n\
                 {again}; find /run/sigward -perm /022 ! -type l"
            );
            assert_says(&script, "64 1 0\n32 0 1\n");
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
        let run = format!("{change}$S library; $S run -- sh -c './maps64; ./maps32; ./maps-musl'");
        let path = "/run/sigward/\\$LIB/libsigward-lib64-[0-9a-f]{16}.so\n";
        assert_says(&run, &format!("{path}64 1 0\n32 0 1\n64 1 0\n"));
    }
}
