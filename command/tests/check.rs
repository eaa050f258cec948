//! `sigward check`: what it prints and how it exits.

use std::process::Stdio;

use assert_cmd::Command;
use assert_cmd::cargo::{cargo_bin, cargo_bin_cmd};
use predicates::prelude::*;
use predicates::str::contains;

const GCC9: &str = "Linux version 5.3.5 (a@b) (gcc version 9.2.1 20190827 (Red Hat 9.2.1-1)) #1";

fn check(arguments: &[&str]) -> Command {
    let mut command = cargo_bin_cmd!("sigward");
    command.arg("check").args(arguments);
    command
}

#[test]
fn an_affected_kernel_exits_1_and_says_why() {
    check(&["--release", "5.3.5", "--proc-version", GCC9])
        .assert()
        .code(1)
        .stdout(contains("affected (high confidence)"))
        .stdout(contains("linux-sigframe-fpu"))
        .stdout(contains("fixed in 5.3.15"))
        .stdout(contains("built by GCC 9, whose code shows the defect"))
        .stdout(contains("SIGWARD=auto hardens programs here.\n"))
        .stdout(contains("reduced").not());
}

#[test]
fn a_preemptible_one_is_told_that_risk_remains() {
    check(&["--release", "5.3.5", "--version-text", "#1 SMP PREEMPT", "--proc-version", GCC9])
        .assert()
        .code(1)
        .stdout(contains("upgrade the kernel"))
        .stdout(contains("the risk is reduced, not removed."));
}

#[test]
fn a_fixed_kernel_exits_0() {
    check(&["--release", "5.3.15", "--proc-version", GCC9])
        .assert()
        .code(0)
        .stdout(contains("not affected (high confidence)"))
        .stdout(contains("\njudged: linux-sigframe-fpu: "))
        .stdout(contains("SIGWARD=auto does nothing here."));
}

#[test]
fn ubuntus_signature_decides() {
    let signature = "Ubuntu 5.3.0-40.32-generic 5.3.18";
    let base = ["--release", "5.3.0-26-generic", "--proc-version", GCC9];
    check(&base).assert().code(1);
    check(&[&base[..], &["--version-signature", signature]].concat())
        .assert()
        .code(0)
        .stdout(contains("upstream version 5.3.18, from /proc/version_signature"));
}

#[test]
fn texts_that_do_not_tell_exit_2() {
    check(&["--release", "5.3.5"])
        .assert()
        .code(2)
        .stdout(contains("compiler is not known: give --proc-version"));
    check(&["--release", "mystery"]).assert().code(2).stdout(contains("SIGWARD=auto does nothing"));
}

#[test]
fn freebsd_can_be_judged_too() {
    check(&["--sysname", "FreeBSD", "--release", "9.2-RELEASE", "--machine", "amd64"])
        .assert()
        .code(1)
        .stdout(contains("freebsd-restart-r10"));
}

#[test]
fn json_holds_the_same() {
    let output = check(&["--json", "--release", "5.3.5", "--proc-version", GCC9])
        .assert()
        .code(1)
        .get_output()
        .stdout
        .clone();
    let json: serde_json::Value = serde_json::from_slice(&output).expect("JSON");
    assert_eq!(json["standing"], "affected");
    assert_eq!(json["defect"], "linux-sigframe-fpu");
    assert_eq!(json["upstream"], "5.3.5");
    assert_eq!(json["upstream_from"], "uname -r");
    assert_eq!(json["compiler"], "GCC 9");
    assert_eq!(json["auto_acts"], true);
    assert_eq!(json["only_reduces"], false);
    assert!(json["reasons"].as_array().is_some_and(|reasons| !reasons.is_empty()));
}

/// Healthy or not, the running kernel gives one of the three answers.
#[test]
fn the_running_kernel_is_judged() {
    let answers = predicate::in_iter([0, 1, 2]);
    check(&[]).assert().code(answers).stdout(contains("because:"));
}

/// A script may read the first line only: the exit code still tells.
#[test]
fn a_reader_that_has_gone_changes_nothing() {
    for format in [&[][..], &["--json"]] {
        let (reader, writer) = std::io::pipe().expect("a pipe");
        drop(reader);
        let output = std::process::Command::new(cargo_bin("sigward"))
            .args(["check", "--release", "5.3.5", "--proc-version", GCC9])
            .args(format)
            .stdout(writer)
            .stderr(Stdio::piped())
            .spawn()
            .and_then(std::process::Child::wait_with_output)
            .expect("sigward");
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        assert_eq!(output.stderr, b"", "{output:?}");
    }
}

#[test]
fn a_full_disk_is_a_failure() {
    let full = std::fs::File::options().write(true).open("/dev/full").expect("/dev/full");
    let mut command = std::process::Command::new(cargo_bin("sigward"));
    let output = command.arg("check").stdout(full).stderr(Stdio::piped()).spawn();
    let output = output.and_then(std::process::Child::wait_with_output).expect("sigward");
    assert_eq!(output.status.code(), Some(125), "{output:?}");
    assert!(output.stderr.starts_with(b"sigward: cannot write to standard output: "), "{output:?}");
}

/// Nobody to tell is no reason to die of a panic.
#[test]
fn a_failure_keeps_its_code_where_nobody_hears_of_it() {
    let (reader, writer) = std::io::pipe().expect("a pipe");
    drop(reader);
    let mut command = std::process::Command::new(cargo_bin("sigward"));
    let status = command.args(["run", "/no/such/program"]).stderr(writer).status();
    assert_eq!(status.expect("sigward").code(), Some(127));
}

#[test]
fn misuse_exits_125() {
    check(&["--version-text", "x"]).assert().code(125).stderr(contains("--release"));
    check(&["--bogus"]).assert().code(125);
    cargo_bin_cmd!("sigward").arg("bogus").assert().code(125);
    cargo_bin_cmd!("sigward").assert().code(125);
    cargo_bin_cmd!("sigward").arg("--help").assert().code(0).stdout(contains("Exit codes:"));
}
