//! The gate in front of handlers, in cases where it is more exact than a kernel.

mod support;

use sigward_harness::programs;
use support::{STRATEGIES, program};

/// What a part of wait_gate prints with each strategy.
fn assert_prints(part: &str, expected: &str) {
    for &libc in programs::libcs() {
        for strategy in STRATEGIES {
            let outcome = program("wait_gate", libc, Some(strategy)).arg(part).output().unwrap();
            assert_eq!(outcome.stdout, expected, "{part} {libc:?} {strategy}: {outcome:?}");
        }
    }
}

/// The handler that runs first has interrupted the other one's gate.
#[test]
fn simultaneous_signals_lose_no_child() {
    let expected = "restart 0: reported 20, handled 20\nrestart 1: reported 20, handled 20\n";
    assert_prints("together", expected);
}

#[test]
fn a_jump_out_of_a_wait_leaves_nothing_behind() {
    assert_prints("jumps", "jumped 20, deferred 20, reported 20\n");
}

#[test]
fn a_handler_is_no_more_cancellable_in_a_wait() {
    assert_prints("inside", "handled 1, type deferred\n");
}

#[test]
fn a_vfork_child_waits_in_its_parents_memory() {
    assert_prints("vforked", "reported 40\n");
}

#[test]
fn handlers_that_threads_set_at_once_keep_their_own_flags() {
    assert_prints("setters", "wrong 0\n");
}

#[test]
fn a_small_alternate_stack_has_room_for_the_gate() {
    assert_prints("tight", "got -1, handled 2\n");
}
