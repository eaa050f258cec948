//! The options of `sigward run` that change what the program gets, and what is said.

use std::os::unix::process::CommandExt;

use predicates::prelude::*;
use predicates::str::contains;
use sigward_harness::need;
use tempfile::TempDir;

use super::{LOADED, bare, folder, limited, probe, public_folder, run, script};

/// What the program sees of its limits: locked memory in KiB, queued signals.
fn limits(options: &[&str], memlock: (u64, u64)) -> assert_cmd::assert::Assert {
    let mut command = bare();
    command.arg("--library").arg(probe()).args(options);
    command.args(["bash", "-c", "ulimit -l; ulimit -i"]);
    let arrange = move || {
        for (limit, (soft, hard)) in
            [(libc::RLIMIT_MEMLOCK, memlock), (libc::RLIMIT_SIGPENDING, (100, 200))]
        {
            let limits = libc::rlimit { rlim_cur: soft, rlim_max: hard };
            // SAFETY: it only reads `limits`.
            unsafe { libc::setrlimit(limit, &raw const limits) };
        }
        Ok(())
    };
    // SAFETY: an async-signal-safe call.
    unsafe { command.pre_exec(arrange) };
    limited(command).assert()
}

#[test]
fn limits_are_raised_set_or_left_alone() {
    let memlock = (64 << 10, 1 << 20);
    for (options, expected) in [
        (&["--mode", "on"][..], "1024\n200\n"),
        (&["--mode", "on", "--no-limits"], "64\n100\n"),
        (&["--mode", "off"], "64\n100\n"),
        (&["--mode", "off", "--memlock", "max"], "1024\n100\n"),
        (&["--memlock", "128K"], "128\n100\n"),
        (&["--memlock", "0"], "0\n100\n"),
    ] {
        limits(options, memlock).success().stdout(expected);
    }
    limits(&["--memlock", "128K", "--no-limits"], memlock).code(125);
    limits(&["--memlock", "much"], memlock).code(125).stderr(contains("accepted: max"));
}

/// `sigpending-limit`: at the limit, a kernel with that defect delivers SIGSEGV without its
/// address. What counts is how many signals the kernel itself still queues.
#[test]
fn more_signals_can_wait_than_the_soft_limit_allows() {
    const QUEUE: &str = "#include <signal.h>\n#include <stdio.h>\n#include <unistd.h>\n\
        int main(void) {\n\
            sigset_t set;\n\
            sigfillset(&set);\n\
            sigprocmask(SIG_BLOCK, &set, 0);\n\
            int queued = 0;\n\
            while (queued <= 1000 && sigqueue(getpid(), SIGRTMIN, (union sigval){0}) == 0)\n\
                queued++;\n\
            puts(queued > 1000 ? \"room\" : \"full\");\n\
            return 0;\n\
        }\n";
    let made = TempDir::new().expect("a folder");
    let (source, program) = (made.path().join("queue.c"), made.path().join("queue"));
    super::write(&source, QUEUE);
    super::gcc(&["-o"], &program, &source);
    for (options, expected) in
        [(&["--mode", "on"][..], "room\n"), (&["--mode", "on", "--no-limits"], "full\n")]
    {
        let mut command = bare();
        command.arg("--library").arg(probe()).args(options).arg(&program);
        let arrange = || {
            let limits = libc::rlimit { rlim_cur: 100, rlim_max: 2000 };
            // SAFETY: it only reads `limits`.
            unsafe { libc::setrlimit(libc::RLIMIT_SIGPENDING, &raw const limits) };
            Ok(())
        };
        // SAFETY: an async-signal-safe call.
        unsafe { command.pre_exec(arrange) };
        limited(command).assert().success().stdout(expected);
    }
}

#[test]
fn a_limit_above_the_hard_one_is_refused() {
    if !need::root() {
        return;
    }
    let made = public_folder();
    let command = made.path().join("sigward");
    sigward_harness::programs::copy(assert_cmd::cargo::cargo_bin!("sigward"), &command)
        .expect("a copy");
    super::mode(&command, 0o755);
    let mut shell = std::process::Command::new("sh");
    shell.uid(super::NOBODY).args(["-c", "ulimit -l 64; exec \"$0\" run --memlock 1M true"]);
    shell.arg(&command);
    limited(shell)
        .assert()
        .code(125)
        .stderr(contains("--memlock 1048576: above the hard limit of 65536 bytes; raise"));
}

#[test]
fn the_inherited_preload_can_be_dropped() {
    let other = folder().join("libother.so");
    let shown = |options: &[&str]| {
        let command = ["sh", "-c", "echo $LD_PRELOAD"];
        let mut command = run([options, &command].concat());
        let assert = command.env("LD_PRELOAD", &other).assert().success();
        String::from_utf8_lossy(&assert.get_output().stdout).trim().to_owned()
    };
    let (ours, other) = (probe().display().to_string(), other.display().to_string());
    assert_eq!(shown(&[]), format!("{ours}:{other}"));
    assert_eq!(shown(&["--clear-preload"]), ours);
}

#[test]
fn lists_of_programs_are_variables() {
    let command = ["sh", "-c", "echo $SIGWARD_ONLY $SIGWARD_EXCEPT"];
    let options = ["--only", "a,b*", "--except", "c"];
    let mut command = run(options.iter().chain(&command));
    command.env("SIGWARD_ONLY", "x").assert().success().stdout("a,b* c\n");
}

#[test]
fn verbose_says_what_runs_with_which_library() {
    let made = TempDir::new().expect("a folder");
    let program = script(made.path(), "program", "#!/bin/sh\n:\n");
    let program = program.to_str().expect("UTF-8");
    let said = format!(
        "sigward: runs {program} -> /bin/sh -> /lib64/ld-linux-x86-64.so.2 with {}\n{LOADED}",
        probe().display()
    );
    run(["-v", program]).assert().success().stderr(said);
    run(["--dry-run", program])
        .assert()
        .stdout(contains(format!("\nruns: {program} -> /bin/sh -> /lib64/ld-linux")));
    let program = super::static_program(made.path());
    let program = program.to_str().expect("UTF-8");
    run(["--force", "-q", program]).assert().success().stderr("");
    let mut dry = run(["--force", "-q", "--dry-run", "--json", program]);
    let output = dry.assert().success().get_output().stdout.clone();
    let json: serde_json::Value = serde_json::from_slice(&output).expect("JSON");
    assert!(json["not_covered"].as_str().is_some_and(|why| why.contains("statically linked")));
    run(["-q", "-v", "true"]).assert().code(125);
}

/// Programs that start others without the library.
#[test]
fn what_loses_the_library_is_said() {
    let loses = contains("what it starts is not covered");
    run(["env", "-i", "true"]).assert().success().stderr(loses.clone());
    run(["env", "-", "A=1", "true"]).assert().success().stderr(loses.clone());
    run(["-q", "env", "-i", "true"]).assert().success().stderr(loses.clone().not());
    run(["env", "A=1", "true", "-i"]).assert().success().stderr(loses.clone().not());
    let made = TempDir::new().expect("a folder");
    let sudo = script(made.path(), "sudo", "#!/bin/sh\n:\n");
    run([sudo]).assert().success().stderr(contains("sudo clears it").and(loses));
}

/// Also where the reader of a report is gone.
#[test]
fn a_closed_pipe_keeps_the_exit_code() {
    for (arguments, code) in [
        (&["check", "--kernel", "5.3.1"][..], 1),
        (&["run", "--dry-run", "true"], 0),
        (&["--help"], 0),
        (&["run", "--bogus"], 125),
    ] {
        let mut command = std::process::Command::new(assert_cmd::cargo::cargo_bin!("sigward"));
        let (reader, writer) = std::io::pipe().expect("a pipe");
        drop(reader);
        command.args(arguments).env_remove("LD_PRELOAD");
        command.stdout(writer.try_clone().expect("a descriptor")).stderr(writer);
        let status = command.status().expect("sigward");
        assert_eq!(status.code(), Some(code), "{arguments:?}");
    }
}
