//! The waits as cancellation points: they act like libc's, but lose no child.

mod support;

use sigward_harness::programs::{self, Libc};
use support::{STRATEGIES, program};

#[test]
fn each_function_is_what_libc_made_it() {
    // The second one has frames that the unwinder must pass.
    for name in ["wait_cancel", "wait_cancel_unwind"] {
        for &libc in programs::libcs() {
            if !programs::suits(name, libc).unwrap() {
                continue;
            }
            let bare = program(name, libc, None).arg("compare").output().unwrap();
            assert!(bare.stdout.contains("deferred waitpid: canceled cleaned 1"), "{bare:?}");
            let unwound = bare.stdout.contains("deferred waitpid: canceled cleaned 1 unwound 1");
            assert_eq!(unwound, name == "wait_cancel_unwind", "{bare:?}");
            for strategy in STRATEGIES {
                let ours = program(name, libc, Some(strategy)).arg("compare").output().unwrap();
                assert_eq!(bare.stdout, ours.stdout, "{name} {libc:?} {strategy}");
            }
        }
    }
}

/// glibc before 2.41 loses a child that ends just when the waiter is cancelled (glibc bug
/// 12683), so there is no run without the library to compare with. A libc with that bug
/// serves as the control.
#[test]
fn a_cancellation_loses_no_child() {
    for &libc in programs::libcs() {
        for strategy in STRATEGIES {
            let run = program("wait_cancel", libc, Some(strategy)).args(["race", "1000"]);
            let outcome = run.output().unwrap();
            assert_eq!(outcome.stdout, "lost 0\n", "{libc:?} {strategy}: {outcome:?}");
        }
    }
    let bare = program("wait_cancel", Libc::Glibc, None).args(["race", "1000"]).output().unwrap();
    println!("without the library: {}", bare.stdout);
}
