//! `sigward run`: what it runs, what it refuses, and how it exits.
//!
//! The library here is a few lines of C whose constructor says that it was
//! loaded: these tests are about the command alone.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::Duration;

use assert_cmd::Command;
use assert_cmd::cargo::cargo_bin;
use predicates::prelude::*;
use predicates::str::contains;
use sigward_harness::programs::copy;
use tempfile::TempDir;

const LOADED: &str = "PROBE LOADED\n";
const NOBODY: u32 = 65534;

/// A folder that everybody can read, with the probe library in it.
fn folder() -> &'static Path {
    static FOLDER: OnceLock<TempDir> = OnceLock::new();
    FOLDER
        .get_or_init(|| {
            let folder = TempDir::new().expect("a temporary folder");
            mode(folder.path(), 0o755);
            let source = folder.path().join("probe.c");
            write(
                &source,
                "#include <unistd.h>\n\
                 __attribute__((constructor)) static void loaded(void) {\n\
                     write(2, \"PROBE LOADED\\n\", 13);\n\
                 }\n",
            );
            gcc(&["-shared", "-fPIC", "-o"], &folder.path().join("libprobe.so"), &source);
            write(&folder.path().join("main.c"), "int main(void) { return 0; }\n");
            folder
        })
        .path()
}

fn probe() -> PathBuf {
    folder().join("libprobe.so")
}

fn gcc(options: &[&str], output: &Path, source: &Path) {
    let status = std::process::Command::new("gcc").args(options).arg(output).arg(source).status();
    assert!(status.expect("gcc").success());
}

fn write(path: &Path, contents: impl AsRef<[u8]>) {
    std::fs::write(path, contents).expect("a file in the temporary folder");
}

fn mode(path: &Path, mode: u32) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).expect("chmod");
}

/// A file to be executed: see [`copy`] for why it is not written in its place.
fn executable(path: &Path, contents: impl AsRef<[u8]>) {
    let written = path.with_extension("written");
    write(&written, contents);
    copy(&written, path).expect("a copy");
    mode(path, 0o755);
}

fn script(folder: &Path, name: &str, text: &str) -> PathBuf {
    let path = folder.join(name);
    executable(&path, text);
    path
}

/// `/bin/true`, with some bytes changed.
fn patched_true(folder: &Path, patches: &[(usize, u8)]) -> PathBuf {
    let mut bytes = std::fs::read("/bin/true").expect("/bin/true");
    for (at, byte) in patches {
        bytes[*at] = *byte;
    }
    let path = folder.join("patched");
    executable(&path, bytes);
    path
}

fn static_program(folder: &Path) -> PathBuf {
    let path = folder.join("static");
    gcc(&["-static", "-o"], &path, &self::folder().join("main.c"));
    let bytes = std::fs::read(&path).expect("the program just built");
    let interpreter = bytes.windows(9).any(|window| window == b"/ld-linux");
    assert!(!bytes.is_empty() && !interpreter, "gcc -static made a dynamic program");
    path
}

fn is_root() -> bool {
    // SAFETY: geteuid cannot fail.
    unsafe { libc::geteuid() == 0 }
}

/// `sigward run`, without a library named.
fn bare() -> std::process::Command {
    let mut command = std::process::Command::new(cargo_bin!("sigward"));
    for row in sigward::config::TABLE {
        command.env_remove(row.name);
    }
    command.env_remove("LD_PRELOAD").env_remove("GLIBC_TUNABLES").arg("run");
    command
}

fn limited(command: std::process::Command) -> Command {
    let mut command = Command::from_std(command);
    command.timeout(Duration::from_secs(60));
    command
}

/// `sigward run --library libprobe.so ARGUMENTS`.
fn run<T: AsRef<OsStr>>(arguments: impl IntoIterator<Item = T>) -> Command {
    let mut command = bare();
    command.arg("--library").arg(probe()).args(arguments);
    limited(command)
}

// What is run, and how it ends.

#[test]
fn the_library_is_loaded_into_the_program() {
    limited(std::process::Command::new("/bin/true")).assert().success().stderr("");
    run(["/bin/true"]).assert().success().stderr(LOADED);
    run(["--", "true"]).assert().success().stderr(LOADED);
}

#[test]
fn status_and_signals_are_the_programs_own() {
    run(["sh", "-c", "exit 7"]).assert().code(7);
    run(["sh", "-c", "kill -TERM $$"]).assert().interrupted();
}

#[test]
fn the_programs_options_are_not_ours() {
    run(["echo", "--force", "-h", "--", "x"]).assert().success().stdout("--force -h -- x\n");
    run(["--bogus", "true"]).assert().code(125).stderr(contains("--bogus"));
}

#[test]
fn the_program_keeps_its_name_and_process_id() {
    let program = script(folder(), "zero", "#!/bin/sh\necho \"$0\"\n");
    run([&program]).assert().success().stdout(contains("zero"));
    let mut child = bare();
    child.arg("--library").arg(probe()).args(["sh", "-c", "echo $$"]);
    child.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::null());
    let child = child.spawn().expect("sigward");
    let id = child.id();
    let output = child.wait_with_output().expect("sigward");
    assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), id.to_string());
}

fn status_field(output: &[u8], field: &str) -> u64 {
    let text = String::from_utf8_lossy(output);
    let line = text.lines().find_map(|line| line.strip_prefix(field)).expect("the field");
    u64::from_str_radix(line.trim(), 16).expect("hexadecimal")
}

#[test]
fn signal_mask_and_sigpipe_are_inherited() {
    const SIGPIPE: u64 = 1 << (libc::SIGPIPE - 1);
    const SIGUSR1: u64 = 1 << (libc::SIGUSR1 - 1);
    for special in [false, true] {
        let mut command = bare();
        command.arg("--library").arg(probe()).args(["cat", "/proc/self/status"]);
        if special {
            let arrange = || {
                // SAFETY: the set is initialised before its use; all three are
                // async-signal-safe.
                unsafe {
                    let mut set = std::mem::zeroed();
                    libc::sigemptyset(&raw mut set);
                    libc::sigaddset(&raw mut set, libc::SIGUSR1);
                    libc::sigprocmask(libc::SIG_BLOCK, &raw const set, std::ptr::null_mut());
                    libc::signal(libc::SIGPIPE, libc::SIG_IGN);
                }
                Ok(())
            };
            // SAFETY: `arrange` only makes async-signal-safe calls.
            unsafe { command.pre_exec(arrange) };
        }
        let output = limited(command).assert().success().get_output().stdout.clone();
        assert_eq!(status_field(&output, "SigIgn:") & SIGPIPE != 0, special, "SIGPIPE ignored");
        assert_eq!(status_field(&output, "SigBlk:") & SIGUSR1 != 0, special, "SIGUSR1 blocked");
    }
}

#[test]
fn a_program_that_is_not_there_exits_127() {
    run(["no-such-program"]).assert().code(127).stderr(contains("no-such-program: not found"));
    run(["/no/such/program"]).assert().code(127).stderr(contains("/no/such/program"));
    run(["/bin/true/x"]).assert().code(127);
    run([""]).assert().code(127);
}

#[test]
fn a_file_that_cannot_be_executed_exits_126() {
    let folder = TempDir::new().expect("a folder");
    let plain = folder.path().join("plain");
    write(&plain, "x");
    mode(&plain, 0o644);
    run([&plain]).assert().code(126).stderr(contains("Permission denied"));
    run([folder.path()]).assert().code(126).stderr(contains("not a regular file"));
    run(["plain"]).env("PATH", folder.path()).assert().code(126);
    let orphan = script(folder.path(), "orphan", "#!/no/such/interpreter\n");
    run([&orphan]).assert().code(126).stderr(contains("/no/such/interpreter"));
}

#[test]
fn path_is_searched_as_execvp_does() {
    let folder = TempDir::new().expect("a folder");
    let (first, second) = (folder.path().join("1"), folder.path().join("2"));
    std::fs::create_dir(&first).expect("mkdir");
    std::fs::create_dir(&second).expect("mkdir");
    write(&first.join("tool"), "not executable");
    script(&second, "tool", "#!/bin/sh\necho second\n");
    let path = [first.as_os_str().as_bytes(), b":", second.as_os_str().as_bytes()].concat();
    run(["tool"]).env("PATH", OsStr::from_bytes(&path)).assert().success().stdout("second\n");
    run(["tool"]).env("PATH", "").current_dir(&second).assert().success().stdout("second\n");
    run(["true"]).env_remove("PATH").assert().success().stderr(LOADED);
    run(["tool"]).env("PATH", "/nowhere").assert().code(127);
}

#[test]
fn sigwards_own_failures_exit_125() {
    let mut nothing = bare();
    nothing.arg("--library").arg(probe());
    limited(nothing).assert().code(125);
    run(["--mode", "sometimes", "true"]).assert().code(125).stderr(contains("observe"));
}

// The library.

#[test]
fn a_library_that_cannot_be_preloaded_is_refused() {
    let text = folder().join("main.c");
    for (path, why) in [
        (Path::new("/no/such.so"), "cannot read"),
        (&text, "not a 64-bit ELF shared object"),
        // Position-independent programs are ET_DYN too.
        (Path::new("/bin/true"), "not a 64-bit ELF shared object"),
    ] {
        let mut command = bare();
        command.arg("--library").arg(path).arg("true");
        let why = contains(why).and(contains(path.to_str().expect("UTF-8")));
        limited(command).assert().code(125).stderr(why).stderr(contains("--library PATH"));
    }
}

#[test]
fn an_unreadable_library_is_refused() {
    if !is_root() {
        return;
    }
    let folder = TempDir::new().expect("a folder");
    mode(folder.path(), 0o755);
    let (library, command) = (folder.path().join("lib.so"), folder.path().join("sigward"));
    std::fs::copy(probe(), &library).expect("copy");
    copy(cargo_bin!("sigward"), &command).expect("copy");
    mode(&command, 0o755);
    for (bits, code) in [(0o600, 125), (0o644, 0)] {
        mode(&library, bits);
        let mut command = std::process::Command::new(&command);
        command.uid(NOBODY).arg("run").arg("--library").arg(&library).arg("true");
        limited(command).assert().code(code);
    }
}

#[test]
fn a_path_that_ld_preload_would_cut_is_refused() {
    let folder = TempDir::new().expect("a folder");
    for name in ["with blank.so", "with:colon.so", "with\ttab.so", "with$LIB.so"] {
        let library = folder.path().join(name);
        std::fs::copy(probe(), &library).expect("copy");
        let mut command = bare();
        command.arg("--library").arg(&library).arg("true");
        limited(command)
            .assert()
            .code(125)
            .stderr(contains("LD_PRELOAD would cut it").and(contains(name)));
    }
}

#[test]
fn a_relative_library_path_is_made_absolute() {
    let mut command = bare();
    command.args(["--library", "libprobe.so", "sh", "-c", "cd /; exec true"]);
    command.current_dir(folder());
    limited(command).assert().success().stderr(LOADED.repeat(2));
}

#[test]
fn the_library_is_found_beside_the_command_or_in_lib_sigward() {
    let prefix = TempDir::new().expect("a folder");
    let (bin, lib) = (prefix.path().join("bin"), prefix.path().join("lib/sigward"));
    std::fs::create_dir_all(&bin).expect("mkdir");
    std::fs::create_dir_all(&lib).expect("mkdir");
    let command = bin.join("sigward");
    copy(cargo_bin!("sigward"), &command).expect("copy");
    let shown = || {
        let mut command = std::process::Command::new(&command);
        command.env_remove("LD_PRELOAD").args(["run", "sh", "-c", "echo $LD_PRELOAD"]);
        limited(command).assert()
    };
    shown().code(125).stderr(contains("no libsigward.so at"));
    std::fs::copy(probe(), lib.join("libsigward.so")).expect("copy");
    shown().success().stdout(contains("lib/sigward/libsigward.so"));
    std::fs::copy(probe(), bin.join("libsigward.so")).expect("copy");
    shown().success().stdout(contains("bin/libsigward.so"));
}

// The environment.

fn preload_shown(existing: &str) -> String {
    let assert = run(["sh", "-c", "echo \"$LD_PRELOAD\""]).env("LD_PRELOAD", existing).assert();
    String::from_utf8_lossy(&assert.success().get_output().stdout).trim().to_owned()
}

#[test]
fn an_existing_ld_preload_is_kept_behind_ours() {
    let other = folder().join("libother.so");
    std::fs::copy(probe(), &other).expect("copy");
    let (ours, other) = (probe().display().to_string(), other.display().to_string());
    assert_eq!(preload_shown(""), ours);
    assert_eq!(preload_shown(&other), format!("{ours}:{other}"));
    assert_eq!(preload_shown(&format!("{other} {other}")), format!("{ours}:{other}:{other}"));
    // Not twice, and moved to the front.
    assert_eq!(preload_shown(&format!("{other}:{ours}")), format!("{ours}:{other}"));
}

#[test]
fn a_second_libsigward_is_refused() {
    let folder = TempDir::new().expect("a folder");
    let second = folder.path().join("libsigward.so");
    std::fs::copy(probe(), &second).expect("copy");
    run(["true"])
        .env("LD_PRELOAD", &second)
        .assert()
        .code(125)
        .stderr(contains("another libsigward.so").and(contains(second.to_str().expect("UTF-8"))));
}

#[test]
fn bad_settings_are_refused_by_name_value_and_what_is_accepted() {
    run(["true"])
        .env("SIGWARD_ALTSTACK", "bolt")
        .assert()
        .code(125)
        .stderr(contains("SIGWARD_ALTSTACK=bolt"))
        .stderr(contains("accepted: auto, lock, frame, touch, off"));
    run(["--set", "SIGWARD_STACK=much", "true"])
        .assert()
        .code(125)
        .stderr(contains("SIGWARD_STACK=much").and(contains("a number of bytes")));
    run(["true"])
        .env("SIGWARD_ALTSTAK", "lock")
        .assert()
        .code(125)
        .stderr(contains("SIGWARD_ALTSTAK=lock: no such variable"));
    for setting in ["PATH=/", "SIGWARD_LOG", "=x"] {
        run(["--set", setting, "true"]).assert().code(125).stderr(contains(setting));
    }
    run(["true"]).env("SIGWARD_ALTSTACK", "lock").assert().success();
}

#[test]
fn help_names_every_variable() {
    let mut command = bare();
    command.arg("--help");
    let mut assert = limited(command).assert().success();
    for row in sigward::config::TABLE {
        assert = assert.stdout(contains(format!("{}: {}", row.name, row.accepted)));
    }
}

#[test]
fn options_override_the_environment() {
    run([
        "--mode",
        "observe",
        "--set",
        "SIGWARD_LOG=warn",
        "sh",
        "-c",
        "echo $SIGWARD $SIGWARD_LOG",
    ])
    .env("SIGWARD", "off")
    .env("SIGWARD_LOG", "bogus, but not used")
    .assert()
    .success()
    .stdout("observe warn\n");
}

#[test]
fn avoid_avx_extends_the_tunables() {
    let shown = |existing: Option<&str>, option: &[&str]| {
        let mut command = run(option.iter().chain(&["sh", "-c", "echo \"$GLIBC_TUNABLES\""]));
        if let Some(existing) = existing {
            command.env("GLIBC_TUNABLES", existing);
        }
        let output = command.assert().success().get_output().stdout.clone();
        String::from_utf8_lossy(&output).trim().to_owned()
    };
    let avoid = ["--avoid-avx"];
    assert_eq!(shown(None, &[]), "");
    assert!(shown(None, &avoid).starts_with("glibc.cpu.hwcaps=-AVX,-AVX2,"));
    let kept = shown(Some("glibc.malloc.check=1"), &avoid);
    assert!(kept.starts_with("glibc.malloc.check=1:glibc.cpu.hwcaps=-AVX,"), "{kept}");
    let extended = shown(Some("glibc.cpu.hwcaps=-FMA"), &avoid);
    assert!(extended.starts_with("glibc.cpu.hwcaps=-FMA,-AVX,"), "{extended}");
}

/// What glibc itself says of AVX2 (CPUID leaf 7, EBX bit 5).
#[test]
fn avoid_avx_reaches_glibc() {
    const LOADER: &str = "/lib64/ld-linux-x86-64.so.2";
    const LEAF_7_EBX: &str = "x86.cpu_features.features[0x1].active[0x1]=0x";
    let active = |option: &[&str]| {
        let list = format!("exec {LOADER} --list-diagnostics");
        let assert = run(option.iter().copied().chain(["sh", "-c", &list])).assert();
        let output = assert.get_output().stdout.clone();
        let text = String::from_utf8_lossy(&output).into_owned();
        let line = text.lines().find_map(|line| line.strip_prefix(LEAF_7_EBX))?.to_owned();
        u64::from_str_radix(&line, 16).ok().map(|bits| bits & 1 << 5 != 0)
    };
    // Only where glibc can tell (2.33) and the processor has AVX2.
    if active(&[]) == Some(true) {
        assert_eq!(active(&["--avoid-avx"]), Some(false));
    }
}

#[test]
fn the_memlock_limit_is_raised_where_the_library_acts() {
    const SOFT: u64 = 64 << 10;
    const HARD: u64 = 1 << 20;
    let kib = |mode: &str| {
        let mut command = bare();
        command.arg("--library").arg(probe());
        command.args(["--mode", mode, "bash", "-c", "ulimit -l"]);
        let limit = libc::rlimit { rlim_cur: SOFT, rlim_max: HARD };
        // SAFETY: setrlimit is async-signal-safe and reads `limit` only.
        unsafe {
            command.pre_exec(move || {
                libc::setrlimit(libc::RLIMIT_MEMLOCK, &raw const limit);
                Ok(())
            });
        }
        let output = limited(command).assert().success().get_output().stdout.clone();
        String::from_utf8_lossy(&output).trim().to_owned()
    };
    assert_eq!(kib("on"), "1024");
    assert_eq!(kib("off"), "64");
    assert_eq!(kib("observe"), "64");
    let mut check = std::process::Command::new(cargo_bin!("sigward"));
    if check.args(["check"]).status().expect("sigward").code() == Some(0) {
        assert_eq!(kib("auto"), "64");
    }
}

// Programs that a preload does not reach.

fn assert_refused(program: &Path, why: &str) {
    run([program])
        .assert()
        .code(125)
        .stderr(contains("would run without protection").and(contains(why)))
        .stderr(contains(program.to_str().expect("UTF-8")).and(contains("--force")))
        .stderr(contains(LOADED).not());
}

/// The refusal was right: run all the same, the library is not in it.
fn assert_unprotected(program: &Path, why: &str) {
    run([OsStr::new("--force"), program.as_os_str()])
        .assert()
        .success()
        .stderr(contains(why).and(contains(LOADED).not()));
}

#[test]
fn a_static_program_is_refused() {
    let folder = TempDir::new().expect("a folder");
    let program = static_program(folder.path());
    assert_refused(&program, "statically linked");
    run([OsStr::new("--force"), program.as_os_str()]).assert().success();
}

#[test]
fn a_program_of_another_class_or_machine_is_refused() {
    let folder = TempDir::new().expect("a folder");
    assert_refused(&patched_true(folder.path(), &[(4, 1)]), "not a 64-bit program");
    assert_refused(&patched_true(folder.path(), &[(18, 183), (19, 0)]), "another machine");
    // The same file unpatched is taken.
    run([patched_true(folder.path(), &[])]).assert().success().stderr(LOADED);
}

#[test]
fn setuid_and_setgid_programs_are_refused() {
    if !is_root() {
        let su = Path::new("/usr/bin/su");
        run([su]).assert().code(125).stderr(contains("setuid"));
        return;
    }
    let folder = TempDir::new().expect("a folder");
    mode(folder.path(), 0o755);
    let program = patched_true(folder.path(), &[]);
    for (bits, why) in [(0o4755, "setuid"), (0o2755, "setgid")] {
        chown(&program, Some(NOBODY), Some(NOBODY)).expect("chown");
        mode(&program, bits);
        assert_refused(&program, why);
        assert_unprotected(&program, why);
        // Bits that change nothing do not keep the loader from us.
        chown(&program, Some(0), Some(0)).expect("chown");
        mode(&program, bits);
        run([&program]).assert().success().stderr(LOADED);
    }
    // Without the execute bit of the group, setgid means something else.
    chown(&program, Some(0), Some(NOBODY)).expect("chown");
    mode(&program, 0o2745);
    run([&program]).assert().success().stderr(LOADED);
}

/// A copy of sigward that `nobody` may run, as `nobody`.
fn as_nobody(folder: &Path, program: &Path) -> assert_cmd::assert::Assert {
    let command = folder.join("sigward");
    if !command.exists() {
        copy(cargo_bin!("sigward"), &command).expect("copy");
        mode(&command, 0o755);
    }
    let mut command = std::process::Command::new(&command);
    command.uid(NOBODY).gid(NOBODY).env_remove("LD_PRELOAD");
    command.arg("run").arg("--library").arg(probe()).arg(program);
    limited(command).assert()
}

#[test]
fn a_program_that_cannot_be_read_is_refused() {
    if !is_root() {
        return;
    }
    let folder = TempDir::new().expect("a folder");
    mode(folder.path(), 0o755);
    let program = patched_true(folder.path(), &[]);
    as_nobody(folder.path(), &program).success().stderr(LOADED);
    mode(&program, 0o711);
    as_nobody(folder.path(), &program)
        .code(125)
        .stderr(contains("cannot be read").and(contains("--force")));
}

#[test]
fn a_program_with_file_capabilities_is_refused() {
    if !is_root() {
        return;
    }
    let folder = TempDir::new().expect("a folder");
    mode(folder.path(), 0o755);
    let program = patched_true(folder.path(), &[]);
    as_nobody(folder.path(), &program).success().stderr(LOADED);
    // struct vfs_cap_data, revision 2, effective: CAP_NET_BIND_SERVICE.
    let mut data = [0_u8; 20];
    data[..4].copy_from_slice(&0x0200_0001_u32.to_le_bytes());
    data[4..8].copy_from_slice(&(1_u32 << 10).to_le_bytes());
    let path = std::ffi::CString::new(program.as_os_str().as_bytes()).expect("no NUL");
    // SAFETY: NUL-terminated names, and `data` is 20 bytes long.
    let set = unsafe {
        libc::setxattr(path.as_ptr(), c"security.capability".as_ptr(), data.as_ptr().cast(), 20, 0)
    };
    if set != 0 {
        eprintln!("no extended attributes here: {}", std::io::Error::last_os_error());
        return;
    }
    as_nobody(folder.path(), &program).code(125).stderr(contains("file capabilities"));
    // To root they add nothing, and the loader obeys.
    run([&program]).assert().success().stderr(LOADED);
}

#[test]
fn scripts_are_judged_by_their_interpreter() {
    let folder = TempDir::new().expect("a folder");
    let at = folder.path();
    let fine = script(at, "fine", "#! /bin/sh -e\necho \"ran $1\"\n");
    run([fine.as_os_str(), OsStr::new("it")]).assert().success().stdout("ran it\n").stderr(LOADED);
    let without = script(at, "without", "echo \"shell $1\"\n");
    run([without.as_os_str(), OsStr::new("it")])
        .assert()
        .success()
        .stdout("shell it\n")
        .stderr(LOADED);
    let nested = script(at, "nested", &format!("#!{}\n", fine.display()));
    run([&nested]).assert().success().stderr(LOADED);
    let program = static_program(at);
    let bound = script(at, "bound", &format!("#!{}\n", program.display()));
    run([&bound]).assert().code(125).stderr(contains("statically linked"));
    let circle = script(at, "circle", &format!("#!{}\n", at.join("circle").display()));
    run([&circle]).assert().code(126).stderr(contains("too many"));
}
