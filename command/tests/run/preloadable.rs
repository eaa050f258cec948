//! Programs into which the loader preloads nothing.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt;
use std::path::Path;

use assert_cmd::cargo::cargo_bin;
use predicates::prelude::*;
use predicates::str::contains;
use sigward_harness::need;
use sigward_harness::programs::copy;
use tempfile::TempDir;

use super::{
    LOADED, NOBODY, limited, mode, patched_true, probe, public_folder, run, script, static_program,
};

fn assert_refused(program: &Path, why: &str) {
    run([program])
        .assert()
        .code(125)
        .stderr(contains("would run without protection").and(contains(why)))
        .stderr(contains(program.to_str().expect("UTF-8")).and(contains("--force")))
        .stderr(contains(LOADED).not());
}

/// The refusal was right: if the program runs anyway, the library is not in it.
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
    // One line, without the advice that the user followed.
    run([OsStr::new("--force"), program.as_os_str()]).assert().success().stderr(format!(
        "sigward: warning: {} would run without protection: \
         it is statically linked, so no loader runs\n",
        program.display()
    ));
}

#[test]
fn a_program_that_is_left_alone_need_not_be_preloadable() {
    let folder = TempDir::new().expect("a folder");
    let program = static_program(folder.path());
    run([&program]).env("SIGWARD", "off").assert().success().stderr("");
    run([&program]).env("SIGWARD_EXCEPT", "stat*").assert().success().stderr("");
    run([&program]).env("SIGWARD_ONLY", "another").assert().success().stderr("");
    run([&program]).env("SIGWARD", "observe").assert().code(125);
}

#[test]
fn a_program_of_another_class_or_machine_is_refused() {
    let folder = TempDir::new().expect("a folder");
    assert_refused(&patched_true(folder.path(), &[(4, 1)]), "not a 64-bit program");
    assert_refused(&patched_true(folder.path(), &[(18, 183), (19, 0)]), "another machine");
    // The same file unpatched is accepted.
    run([patched_true(folder.path(), &[])]).assert().success().stderr(LOADED);
}

#[test]
fn setuid_and_setgid_programs_are_refused() {
    if !need::root() {
        return;
    }
    let folder = public_folder();
    let program = patched_true(folder.path(), &[]);
    for (bits, why) in [(0o4755, "setuid"), (0o2755, "setgid")] {
        chown(&program, Some(NOBODY), Some(NOBODY)).expect("chown");
        mode(&program, bits);
        assert_refused(&program, why);
        assert_unprotected(&program, why);
        // Bits that change nothing do not make the loader ignore us.
        chown(&program, Some(0), Some(0)).expect("chown");
        mode(&program, bits);
        run([&program]).assert().success().stderr(LOADED);
    }
    // Without the group's execute bit, setgid means something else.
    chown(&program, Some(0), Some(NOBODY)).expect("chown");
    mode(&program, 0o2745);
    run([&program]).assert().success().stderr(LOADED);
}

/// Runs `sigward run` as `nobody`, from a copy that `nobody` may execute.
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
    if !need::root() {
        return;
    }
    let folder = public_folder();
    let program = patched_true(folder.path(), &[]);
    as_nobody(folder.path(), &program).success().stderr(LOADED);
    mode(&program, 0o711);
    as_nobody(folder.path(), &program)
        .code(125)
        .stderr(contains("cannot be read").and(contains("--force")));
}

#[test]
fn a_program_with_file_capabilities_is_refused() {
    if !need::root() {
        return;
    }
    let folder = public_folder();
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
    let remedy = "set TMPDIR to a file system that has them";
    if !need::optional(set == 0, "file capabilities", remedy) {
        return;
    }
    as_nobody(folder.path(), &program).code(125).stderr(contains("file capabilities"));
    // For root they add nothing, and the loader obeys `LD_PRELOAD`.
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

/// The loader obeys `LD_PRELOAD` also where it is started itself.
#[test]
fn a_program_that_is_started_through_its_loader_is_covered() {
    const GLIBC: &str = "/lib64/ld-linux-x86-64.so.2";
    let folder = TempDir::new().expect("a folder");
    run([GLIBC, "/bin/true"]).assert().success().stderr(LOADED);
    run([GLIBC, "--argv0", "x", "/bin/echo", "a"]).assert().success().stdout("a\n").stderr(LOADED);
    run([GLIBC, "--list", "/bin/true"]).assert().success().stdout(contains("libc.so.6"));
    let foreign = patched_true(folder.path(), &[(18, 183), (19, 0)]);
    run([OsStr::new(GLIBC), foreign.as_os_str()])
        .assert()
        .code(125)
        .stderr(contains("another machine").and(contains(foreign.to_str().expect("UTF-8"))));
    if need::required(need::installed("musl-gcc").is_some(), "musl", "apt-get install musl-tools") {
        let program = folder.path().join("musl");
        let source = super::folder().join("main.c");
        let mut build = std::process::Command::new("musl-gcc");
        build.arg("-o").arg(&program).arg(source);
        assert!(build.status().expect("musl-gcc").success());
        let loader = Path::new("/lib/ld-musl-x86_64.so.1");
        run([loader.as_os_str(), program.as_os_str()]).assert().success().stderr(LOADED);
    }
}

/// The kernel does not follow a first line whose interpreter it sees only in part.
#[test]
fn a_script_with_too_long_a_first_line_is_run_by_the_shell() {
    let folder = TempDir::new().expect("a folder");
    let long = format!("#!/{}/bin/sh\necho \"ran $1\"\n", "x".repeat(300));
    let program = script(folder.path(), "long", &long);
    run([program.as_os_str(), OsStr::new("it")])
        .assert()
        .success()
        .stdout("ran it\n")
        .stderr(LOADED);
}
