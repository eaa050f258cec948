//! Ten thousand threads come and go, each with an alternate stack that it never disables.

use std::time::Duration;

use sigward_harness::Run;
use sigward_harness::every_stack;
use sigward_harness::programs::{build, libcs};

#[test]
fn no_lock_remains() {
    for &libc in libcs() {
        let run = Run::new(build("threads_many", libc).unwrap()).deadline(Duration::from_secs(300));
        let run = run.sigward("on").env("SIGWARD_STATS", "1");
        let outcome = run.env("SIGWARD_STACK", "off").unprivileged().memlock(8 << 20).output();
        let outcome = outcome.unwrap();
        // VmLck at the end is what it was after the first sixteen threads.
        assert!(outcome.success(), "{}{}", outcome.stdout, outcome.stderr);
        // Every stack was locked, and none is still recorded.
        let rung = if every_stack::requested() { "frame" } else { "lock" };
        for (figure, expected) in [(rung, "10000"), ("live", "0"), ("locked_kib", "0")] {
            assert_eq!(outcome.figure(figure), expected, "{figure}: {}", outcome.stderr);
        }
    }
}

/// `docs/performance.md` has the time it takes; this tests that it works.
#[test]
fn ten_thousand_stacks_are_live_at_once() {
    // With ours beside them they take seven mappings each, and vm.max_map_count is 65,530.
    let (live, rung) = if every_stack::requested() { (5000, "frame") } else { (10_000, "lock") };
    for &libc in libcs() {
        let run =
            Run::new(build("registration_cost", libc).unwrap()).args([&*live.to_string(), "1000"]);
        let run = run.deadline(Duration::from_secs(150)).sigward("on").env("SIGWARD_STATS", "1");
        let outcome = run.env("SIGWARD_STACK", "off").output().unwrap();
        assert!(outcome.success(), "{}{}", outcome.stdout, outcome.stderr);
        // These stacks, a hundred for warming up, and a thousand.
        for figure in ["stacks", rung] {
            assert_eq!(outcome.figure(figure), (live + 1100).to_string(), "{}", outcome.stderr);
        }
    }
}
