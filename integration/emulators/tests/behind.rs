//! Another library behind ours sees the program's waits.

mod support;

use sigward_harness::artifacts;
use sigward_harness::programs::Libc;
use support::{STRATEGIES, program};

/// Inverts the bits of its functions' output.
const GARBLED: &str = "wait:garbled,waitpid:garbled,wait3:garbled,wait4:garbled,waitid:garbled";

#[test]
fn another_preloads_functions_are_called() {
    for part in ["ends", "stops"] {
        let run = |strategy| {
            let run = program("wait_semantics", Libc::Glibc, strategy).arg(part);
            run.preload(artifacts::chaos())
        };
        let garbled = |strategy| {
            let outcome = run(strategy).env("CHAOS", GARBLED).output().unwrap();
            assert!(outcome.success(), "{part} {strategy:?}: {outcome:?}");
            outcome.stdout
        };
        let bare = garbled(None);
        assert_ne!(bare, run(None).output().unwrap().stdout, "{part}");
        for strategy in STRATEGIES {
            assert_eq!(garbled(Some(strategy)), bare, "{part} {strategy}");
        }
    }
}

/// The other library's function is a cancellation point, as libc's is. Cancelling the
/// thread still takes effect in the sleep, and loses no child.
#[test]
fn a_cancellation_loses_no_child() {
    for strategy in STRATEGIES {
        let run = program("wait_cancel", Libc::Glibc, Some(strategy)).args(["race", "500"]);
        let outcome = run.preload(artifacts::chaos()).output().unwrap();
        assert_eq!(outcome.stdout, "lost 0\n", "{strategy}: {outcome:?}");
    }
}
