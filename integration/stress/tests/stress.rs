//! The stress program with the library, with a small limit on locks, and without the
//! library.
//!
//! `STRESS_SECONDS` sets the total time (CI: 60; `make soak`: 600).

use std::time::Duration;

use sigward_harness::scenarios::FRAMES;
use sigward_harness::{Outcome, Run, need};

fn seconds() -> u64 {
    let asked = std::env::var("STRESS_SECONDS").ok().and_then(|text| text.parse().ok());
    asked.unwrap_or(if std::env::var_os("CI").is_some() { 60 } else { 6 })
}

fn stress(seconds: u64) -> Run {
    let run = Run::new(env!("CARGO_BIN_EXE_stress")).args(["--seconds", &seconds.to_string()]);
    run.env("SIGWARD_STATS", "1").deadline(Duration::from_secs(2 * seconds + 120))
}

#[track_caller]
fn passes(outcome: &Outcome) {
    let Outcome { stdout, stderr, .. } = outcome;
    assert!(outcome.success(), "{stdout}{stderr}");
    println!("{stdout}{stderr}");
}

#[test]
fn with_room_for_locks() {
    if !need::root() {
        return;
    }
    passes(&stress(seconds() / 3).sigward("on").env("SIGWARD_STACK", "off").output().unwrap());
    passes(&stress(seconds() / 3).sigward("on").output().unwrap());
}

/// Handlers get so much room that most stacks are ones of the library's.
#[test]
fn with_larger_stacks_in_place_of_the_programs() {
    if !need::root() {
        return;
    }
    let run = stress(seconds() / 3).sigward("on").env("SIGWARD_SIZE", "fix");
    let outcome = run.env("SIGWARD_SIZE_ROOM", "64K").output().unwrap();
    passes(&outcome);
    assert_ne!(outcome.figure("too_small"), "0", "{}", outcome.stderr);
}

/// 64 KiB, the usual limit on old systems. The program's own locks get all of it whenever
/// it asks. How much of a stack is locked depends on the CPU; that no frame faults must
/// not.
#[test]
fn with_a_small_limit_on_locks() {
    for frame in FRAMES {
        let run = stress(seconds() / 3).sigward("on").unprivileged().memlock(64 << 10);
        let outcome = run.env("SIGWARD_FRAME", frame).output().unwrap();
        passes(&outcome);
        assert_ne!(outcome.figure("touch"), "0", "nothing was refused: {}", outcome.stderr);
    }
}

/// The control arm: without the library, the first comparison fails. The seed decides which
/// step comes first, and this one's is no step that takes a signal before it.
#[test]
fn without_the_library_it_fails() {
    let outcome = stress(6).args(["--seed", "1"]).output().unwrap();
    assert_eq!(outcome.code(), 1, "{}", outcome.stdout);
    let lacks = ["is not resident", "is not locked"].map(|what| outcome.stdout.contains(what));
    assert!(lacks.contains(&true), "{}", outcome.stdout);
}
