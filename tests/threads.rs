//! Threads that end in every possible way: their stacks are held to the last moment and
//! then released.

use sigward_harness::Run;
use sigward_harness::every_stack;
use sigward_harness::programs::{build, libcs};
use sigward_harness::scenarios::THREADS;

#[test]
fn stacks_are_held_to_the_last_and_then_released() {
    let broken = THREADS.broken();
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

/// Before glibc 2.34 the thread functions may come with a library that is loaded later.
#[test]
fn the_end_of_late_threads_is_seen() {
    for &libc in libcs() {
        let library = build("liblate", libc).unwrap();
        let run = Run::new(build("late_threads", libc).unwrap()).arg(library);
        for stack in ["off", "auto"] {
            let run =
                run.clone().sigward("on").env("SIGWARD_STACK", stack).env("SIGWARD_STATS", "1");
            let outcome = run.output().unwrap();
            assert_eq!(outcome.stdout, "locks left: 0 KiB\n", "{libc:?} {stack}: {outcome:?}");
            let rung = if every_stack::requested() { "frame" } else { "lock" };
            let held = [outcome.figure("stacks"), outcome.figure(rung)];
            assert_eq!(held, ["4", "4"], "{}", outcome.stderr);
        }
    }
}
