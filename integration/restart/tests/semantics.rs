//! Every wait function in every situation says what libc says.

mod support;

use sigward_harness::programs::{self, Libc};
use support::{STRATEGIES, program};

const PARTS: [&str; 11] = [
    "ends",
    "selectors",
    "options",
    "stops",
    "pointers",
    "dispositions",
    "interruptions",
    "nesting",
    "threads",
    "by_descriptor",
    "beside",
];

fn lines(part: &str, libc: Libc, strategy: Option<&str>) -> Vec<String> {
    let outcome = program("wait_semantics", libc, strategy).arg(part).output().unwrap();
    assert!(outcome.success(), "{part} {strategy:?}: {outcome:?}");
    outcome.stdout.lines().map(str::to_owned).collect()
}

/// Where a strategy may differ, as `docs/wait.md` says.
fn deviates(strategy: &str, situation: &str) -> bool {
    // The handler made the child reapable: the child is reported, not EINTR.
    strategy == "two-phase" && situation.starts_with("handler-ends-child ")
}

fn compare(part: &str) {
    for &libc in programs::libcs() {
        let bare = lines(part, libc, None);
        for strategy in ["off"].iter().chain(&STRATEGIES) {
            let ours = lines(part, libc, Some(strategy));
            assert_eq!(bare.len(), ours.len(), "{part} {strategy} {libc:?}");
            let mut after_deviation = false;
            for (bare, ours) in bare.iter().zip(&ours) {
                let excused =
                    deviates(strategy, bare) || after_deviation && bare.starts_with("then ");
                assert!(excused || bare == ours, "{libc:?} {strategy}\n{bare}\n{ours}");
                after_deviation = deviates(strategy, bare);
                if after_deviation {
                    assert_ne!(bare, ours, "{strategy}: not a deviation any more");
                }
            }
        }
    }
}

macro_rules! parts {
    ($($name:ident)*) => { $(
        #[test]
        fn $name() {
            assert!(PARTS.contains(&stringify!($name)));
            compare(stringify!($name));
        }
    )* };
}

parts! {
    ends selectors options stops pointers dispositions interruptions nesting threads
    by_descriptor beside
}

/// The program is compared with itself, so it must be able to see a
/// difference: `SIGWARD_WAIT_EINTR=retry` makes one.
#[test]
fn eintr_is_hidden_when_that_is_asked_for() {
    let bare = lines("interruptions", Libc::Glibc, None);
    assert!(bare.iter().any(|line| line.starts_with("alarm ") && line.contains("EINTR")));
    for strategy in ["off"].iter().chain(&STRATEGIES) {
        // The child of the plain alarm never ends: another alarm ends it.
        let outcome = program("wait_retry", Libc::Glibc, Some(strategy))
            .env("SIGWARD_WAIT_EINTR", "retry")
            .output()
            .unwrap();
        assert_eq!(outcome.stdout, "child, after 2 handlers\n", "{strategy}");
    }
    let outcome = program("wait_retry", Libc::Glibc, None).output().unwrap();
    assert_eq!(outcome.stdout, "EINTR, after 1 handlers\n");
}
