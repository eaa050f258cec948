//! `freebsd-restart-r10` under the supervisor: without the library a program like the
//! published reproducer fails; with each strategy it runs without errors.
//!
//! `RESTART_FORKS` sets the number of forks per run (default 2,000; the full run has
//! 100,000).

mod support;

use support::{Counts, STRATEGIES, defective};

/// Functions of wait_race: for one child and for any child.
const FUNCTIONS: [&str; 7] = ["wait4", "waitpid", "waitid", "wait", "wait3", "any4", "anyid"];
const GARBAGE: [&str; 3] = ["kernel", "mapped", "small"];
const CLEAN: &str = "failed 0 lost 0 wrong 0 scribbled 0";

fn forks() -> String {
    std::env::var("RESTART_FORKS").unwrap_or_else(|_| "2000".into())
}

fn affected(counts: &Counts) -> u64 {
    counts["affected_plain"] + counts["affected_handler"]
}

#[test]
fn without_the_library_waits_fail_within_a_thousand_forks() {
    for function in FUNCTIONS {
        for garbage in GARBAGE {
            // Garbage that is harmless for this function leaves no trace: small numbers
            // can be valid options of waitid.
            if garbage == "small" && function.ends_with("id") {
                continue;
            }
            let options = ["--lose", "r10r8r9", "--garbage", garbage];
            // A restart depends on timing; a run of 1,000 has dozens.
            let dirty = (0..3).any(|_| {
                let (outcome, counts) = defective(&options, "wait_race", &[function, "1000"], None);
                assert!(affected(&counts) > 0, "{function} {garbage}: {counts:?}");
                !outcome.success() && !outcome.stdout.contains(CLEAN)
            });
            assert!(dirty, "{function} {garbage}");
        }
    }
}

#[test]
fn a_lost_fourth_argument_alone_is_enough() {
    let (outcome, _) = defective(&["--lose", "r10"], "wait_race", &["wait4", "1000"], None);
    assert!(outcome.stderr.contains("Bad address"), "{outcome:?}");
    // The child was reaped nevertheless: as many children are lost as waits failed.
    let words: Vec<&str> = outcome.stdout.split_whitespace().collect();
    assert_eq!((words[2], words[4], words[3]), ("failed", "lost", words[5]), "{outcome:?}");
}

#[test]
fn a_supervisor_that_loses_nothing_disturbs_nothing() {
    for function in FUNCTIONS {
        let (outcome, counts) = defective(&["--healthy"], "wait_race", &[function, "1000"], None);
        assert!(outcome.success(), "{function}: {outcome:?}");
        assert!(affected(&counts) > 0, "{function}: {counts:?}");
    }
}

#[test]
fn with_each_strategy_nothing_is_lost() {
    let forks = forks();
    for strategy in STRATEGIES {
        for function in FUNCTIONS {
            let mut interrupted = 0;
            for garbage in GARBAGE {
                let options = ["--lose", "r10r8r9", "--garbage", garbage];
                let arguments = [function, &forks];
                let (outcome, counts) =
                    defective(&options, "wait_race", &arguments, Some(strategy));
                assert!(outcome.success(), "{strategy} {function} {garbage}: {outcome:?}");
                assert!(outcome.stdout.contains(CLEAN), "{outcome:?}");
                interrupted += match strategy {
                    "int80" => counts["int80"],
                    _ => counts["continued"],
                };
            }
            assert!(interrupted > 0, "{strategy} {function}: no sleep was interrupted");
        }
    }
}
