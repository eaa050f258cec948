//! What runs, and with which status it ends.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use predicates::str::contains;
use tempfile::TempDir;

use super::{LOADED, bare, folder, gcc, limited, mode, probe, run, script, write};

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
    let why = "its interpreter cannot be executed: /no/such/interpreter: No such file";
    run([&orphan]).assert().code(126).stderr(contains(why));
    let foreign = folder.path().join("foreign");
    let options = ["-Wl,--dynamic-linker=/no/such/loader", "-o"];
    gcc(&options, &foreign, &self::folder().join("main.c"));
    let why = "its loader cannot be executed: /no/such/loader: No such file";
    run([&foreign]).assert().code(126).stderr(contains(why));
    // If sigward did not look at the file before the kernel did, the message does not say
    // that the program itself is missing.
    for program in [&orphan, &foreign] {
        run([program])
            .env("SIGWARD", "off")
            .assert()
            .code(126)
            .stderr(contains("its loader or interpreter is missing"));
    }
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
