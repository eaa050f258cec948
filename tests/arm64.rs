//! The library for 64-bit ARM, under an emulator of that processor's user mode. Real kernels are for
//! `make arm64-vm`.

use std::sync::LazyLock;

use sigward_harness::emulated::Emulated;
use sigward_harness::programs::{Libc, build_with};

/// What starts and ends the same with and without the library, but not as it should: the emulator
/// starts no other program of this kind, does not know `SS_AUTODISARM` and seccomp filters, and has
/// the stack elsewhere.
const NOT_EMULATED: &[&str] =
    &["autodisarm", "below_a_stack", "limit_raised", "small_under_filter"];

static ARM64: LazyLock<Option<Emulated>> = LazyLock::new(|| Emulated::new(Libc::Arm64, "max"));

#[test]
fn a_program_sees_no_difference() {
    let Some(arm64) = &*ARM64 else { return };
    arm64.assert_no_difference(NOT_EMULATED, &[]);
}

/// Vectors of 256 bytes, a stack of 8 KiB, and signals that interrupt code with vectors.
#[test]
fn a_stack_that_is_too_small_for_long_vectors_is_replaced() {
    let Some(arm64) = &*ARM64 else { return };
    let program = build_with("long_vectors", Libc::Arm64, &["-march=armv8-a+sve"]).unwrap();
    let plain = arm64.run(&program, &[]).arg("8192").output().unwrap();
    assert!(!plain.success(), "{plain:?}");
    for (mode, remedy) in [("auto", "fix"), ("on", "auto"), ("on", "fix")] {
        let variables = [("SIGWARD_SIZE", remedy)];
        let lives = arm64.with(&program, mode, &variables).arg("8192").output().unwrap();
        assert!(lives.success(), "{mode}, {remedy}: {lives:?}");
    }
}

#[test]
fn waits_are_libcs_own_and_a_wish_for_others_is_answered() {
    let Some(arm64) = &*ARM64 else { return };
    arm64.assert_waits_are_libcs_own();
}
