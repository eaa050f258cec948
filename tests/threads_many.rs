//! Ten thousand threads come and go, each with an alternate stack that it never disables.

use std::time::Duration;

use sigward_harness::Run;
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
        for figure in [" lock=10000 ", " live=0 ", " locked_kib=0 "] {
            assert!(outcome.stderr.contains(figure), "{figure}: {}", outcome.stderr);
        }
    }
}

/// `docs/performance.md` has the time it takes; this tests that it works.
#[test]
fn ten_thousand_stacks_are_live_at_once() {
    for &libc in libcs() {
        let run = Run::new(build("registration_cost", libc).unwrap()).args(["10000", "1000"]);
        let run = run.deadline(Duration::from_secs(150)).sigward("on").env("SIGWARD_STATS", "1");
        let outcome = run.env("SIGWARD_STACK", "off").output().unwrap();
        assert!(outcome.success(), "{}{}", outcome.stdout, outcome.stderr);
        // Ten thousand stacks, a hundred for warming up, and a thousand.
        assert!(outcome.stderr.contains("stacks=11100 lock=11100 "), "{}", outcome.stderr);
    }
}
