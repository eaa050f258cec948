//! The library for 64-bit ARM, under an emulator of that processor's user mode, which writes signal
//! frames itself: whether they fault is shown on real kernels only, by `make arm64-vm`.

use std::path::Path;
use std::time::Duration;

use sigward_harness::artifacts::preload_arm64;
use sigward_harness::programs::{self, Libc, build, build_with, cross_compiler};
use sigward_harness::{Run, need};

/// What starts and ends the same with and without the library, but not as it should: the emulator
/// starts no other program of this kind, does not know `SS_AUTODISARM` and seccomp filters, and has
/// the stack elsewhere.
const NOT_EMULATED: &[&str] =
    &["autodisarm", "below_a_stack", "limit_raised", "small_under_filter"];

fn is_there() -> bool {
    let found = need::installed("qemu-aarch64").is_some();
    need::required(found, "qemu-aarch64", "apt-get install qemu-user")
}

/// A run under the emulator, with variables for the program.
fn run(program: &Path, variables: &[(&str, &str)]) -> Run {
    let libraries = cross_compiler().ancestors().nth(2).unwrap().join("aarch64-linux-gnu");
    let mut run = Run::new("qemu-aarch64").args(["-cpu", "max", "-L"]).arg(libraries);
    for (name, value) in variables {
        run = run.arg("-E").arg(format!("{name}={value}"));
    }
    run.arg(program).deadline(Duration::from_secs(60))
}

/// With the library, and `SIGWARD` set to `mode`.
fn with(program: &Path, mode: &str, more: &[(&str, &str)]) -> Run {
    let library = preload_arm64().to_str().unwrap();
    run(program, &[&[("LD_PRELOAD", library), ("SIGWARD", mode)], more].concat())
}

#[test]
fn a_program_sees_no_difference() {
    if !is_there() {
        return;
    }
    let programs = programs::comparable(&[Libc::Arm64]).unwrap();
    assert!(programs.len() > 20, "{programs:?}");
    for (name, libc) in programs {
        let program = build(&name, libc).unwrap();
        let without = run(&program, &[]).output().unwrap();
        let idle = [2, 99].contains(&without.code());
        assert_eq!(idle, NOT_EMULATED.contains(&&*name), "{name}: {without:?}");
        for mode in ["on", "auto"] {
            let with = with(&program, mode, &[]).output().unwrap();
            assert_eq!(with, without, "{name}, SIGWARD={mode}");
        }
    }
}

/// Vectors of 256 bytes, a stack of 8 KiB, and signals that interrupt code with vectors.
#[test]
fn a_stack_that_is_too_small_for_long_vectors_is_replaced() {
    if !is_there() {
        return;
    }
    let program = build_with("long_vectors", Libc::Arm64, &["-march=armv8-a+sve"]).unwrap();
    let plain = run(&program, &[]).arg("8192").output().unwrap();
    assert!(!plain.success(), "{plain:?}");
    for (mode, remedy) in [("auto", "fix"), ("on", "auto"), ("on", "fix")] {
        let variables = [("SIGWARD_SIZE", remedy)];
        let lives = with(&program, mode, &variables).arg("8192").output().unwrap();
        assert!(lives.success(), "{mode}, {remedy}: {lives:?}");
    }
}

#[test]
fn waits_are_libcs_own_and_a_wish_for_others_is_answered() {
    if !is_there() {
        return;
    }
    let program = build("altstack_mmap", Libc::Arm64).unwrap();
    let variables = [("SIGWARD_WAIT", "two-phase"), ("SIGWARD_LOG", "warn")];
    let said = with(&program, "on", &variables).output().unwrap();
    assert!(said.success(), "{said:?}");
    let why = "SIGWARD_WAIT=two-phase is not usable: this library has no waits to cure";
    assert!(said.stderr.contains(why), "{said:?}");
}
