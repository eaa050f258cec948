//! The command in QEMU's user mode: a program that plays a processor and writes the frames.

use std::process::{Command, Output};

use assert_cmd::cargo::cargo_bin;
use sigward_harness::need;

/// Runs the command on an emulated processor, if the emulator is installed.
fn emulated(processor: &str, arguments: &[&str]) -> Option<Output> {
    let found = need::installed("qemu-x86_64");
    if !need::required(found.is_some(), "QEMU's user mode", "apt install qemu-user") {
        return None;
    }
    let mut command = Command::new(found?);
    command.args(["-cpu", processor]).arg(cargo_bin("sigward")).args(arguments);
    Some(command.output().expect("QEMU"))
}

#[test]
fn a_clean_verdict_is_refused() {
    let Some(output) = emulated("max", &["check"]) else { return };
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(said.starts_with("no evidence: this is QEMU's user mode, "), "{said}");
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("qemu-user-frames: affected"), "{said}");
    let output = emulated("max", &["probe", "--seconds", "1"]).expect("QEMU");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(said.starts_with("no evidence: this is QEMU's user mode; "), "{said}");
    assert_ne!(output.status.code(), Some(0), "{said}");
    let output = emulated("max", &["check", "--format", "nrpe"]).expect("QEMU");
    assert_eq!(output.status.code(), Some(3), "{output:?}");
}

/// A processor with AVX and without AVX2 is one that a row asks a setting for.
#[test]
fn a_setting_of_a_runtime_reaches_the_program() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (source, library) = (folder.path().join("empty.c"), folder.path().join("empty.so"));
    std::fs::write(&source, "").expect("a file");
    let mut gcc = Command::new("gcc");
    gcc.args(["-shared", "-nostdlib", "-Wl,-soname,libsigward.so", "-o"]).args([&library, &source]);
    assert!(gcc.status().expect("gcc").success());
    let library = library.to_str().expect("UTF-8");
    let run = |options: &[&str]| {
        let program = ["--library", library, "--mode", "off", "--", "/usr/bin/env"];
        emulated("SandyBridge", &[&["run"], options, &program].concat())
    };
    let setting = "GODEBUG=asyncpreemptoff=1";
    let Some(output) = run(&["--env-cures"]) else { return };
    let (env, said) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(env.lines().any(|line| line == setting), "{output:?}");
    assert!(
        said.contains(&format!("sigward: --env-cures: {setting} (go-ymm-preempt)\n")),
        "{said}"
    );
    let output = run(&[]).expect("QEMU");
    let env = String::from_utf8_lossy(&output.stdout);
    assert!(env.contains("LD_PRELOAD=") && !env.contains(setting), "{output:?}");
}
