//! The program's own memory calls on its stacks: each returns what it would without the
//! library, the next delivery does not fault, and the program's memory locks stay its own.

use std::time::Duration;

use sigward_harness::Run;
use sigward_harness::every_stack::{self, pages_held, unless_every_stack_is_ours};
use sigward_harness::programs::{self, Libc, build};
use sigward_harness::scenarios::{MEMORY_CALLS, NOT_HERE};

#[test]
fn the_next_delivery_does_not_fault() {
    let broken = MEMORY_CALLS.broken();
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

/// Another thread may set a stack after a call was found to affect none.
#[test]
fn a_stack_may_be_set_amid_advice() {
    for libc in programs::libcs() {
        let run = Run::new(build("set_amid_advice", *libc).unwrap());
        let without = run.output().unwrap();
        for rung in ["lock", "touch"] {
            let with = run.clone().sigward("on").env("SIGWARD_ALTSTACK", rung).output().unwrap();
            assert!(without.success() && with.success(), "{without:?} {with:?}");
            assert_eq!(with.stdout, without.stdout, "{rung}");
            let given_up = with.stderr.lines().find(|line| line.starts_with("given up"));
            let pages = format!("given up: {}", pages_held(16));
            assert_eq!(given_up, Some(&*pages), "{rung}");
        }
        assert!(without.stderr.contains("given up: 0"), "{without:?}");
    }
}

#[test]
fn advice_may_give_up_all_below_the_callers_frame() {
    for libc in programs::libcs() {
        let run = Run::new(build("gives_up_below", *libc).unwrap());
        for run in [run.clone(), run.sigward("on")] {
            let outcome = run.output().unwrap();
            assert_eq!(outcome.stdout, "returned 0, zero 1\n", "{outcome:?}");
        }
    }
}

/// What the program sees of its locks, and what is locked while the stack exists.
fn views(output: &str) -> (Vec<&str>, Vec<&str>) {
    let (held, own): (Vec<_>, Vec<_>) = output.lines().partition(|line| line.starts_with("held "));
    (own, held.iter().filter_map(|line| line.rsplit(' ').next()).collect())
}

/// Scenario, and how many of 16 pages are locked at each `held` line without the library:
/// those that the program locked. With the library it is always all.
const LOCKS: &[(&str, &[&str])] = &[
    ("none", &["0"]),
    ("before", &["16"]),
    ("before-in-part", &["8"]),
    ("after", &["16"]),
    ("after-in-part", &["2"]),
    ("on-fault", &["16"]),
    ("all-current", &["16"]),
    ("all-future", &["16"]),
    ("all-future-then-none", &["0"]),
    ("unlocked", &["0"]),
    ("unlocked-in-part", &["8"]),
    ("refused", &["0"]),
    ("replaced", &["0"]),
    ("locked-by-mmap", &[]),
    ("unmapped-then-others", &[]),
    ("detached-then-others", &[]),
];

#[test]
fn the_programs_locks_are_its_own() {
    for libc in programs::libcs() {
        for (scenario, bare) in LOCKS {
            let run = Run::new(build("locked", *libc).unwrap()).arg(scenario);
            let without = run.output().unwrap();
            let with = run.sigward("on").output().unwrap();
            assert!(without.success() && with.success(), "{scenario}: {without:?} {with:?}");
            let ((own, held), (own_with, held_with)) =
                (views(&without.stdout), views(&with.stdout));
            assert_eq!(own, own_with, "{scenario}: the library changes the program's view");
            assert_eq!(held, *bare, "{scenario}");
            if every_stack::requested() {
                assert_eq!(held_with, *bare, "{scenario}: only what the program locked");
            } else {
                assert_eq!(
                    held_with,
                    vec!["16"; bare.len()],
                    "{scenario}: the stack is not locked"
                );
            }
        }
    }
}

/// Scenario, and what is locked of the stack before the program asks for all that it may
/// lock, after that, and after it has released that.
const LIMITS: &[(&str, &[&str])] = &[
    ("whole-limit", &["16", "0", "16"]),
    ("whole-limit-by-mmap", &["0"]),
    ("whole-limit-for-the-future", &[]),
    ("whole-limit-for-the-heap", &[]),
];

#[test]
fn a_program_gets_all_of_its_limit() {
    for libc in programs::libcs() {
        for (scenario, locked) in LIMITS {
            // The stack fits, but not together with what the program asks for.
            for limit in [64 << 10, 256 << 10] {
                let run = Run::new(build("locked", *libc).unwrap()).arg(scenario);
                let run = run.unprivileged().memlock(limit).env("SIGWARD_STACK", "off");
                let without = run.output().unwrap();
                if without.code() == NOT_HERE {
                    continue;
                }
                let with = run.sigward("on").output().unwrap();
                let (own, held) = views(&with.stdout);
                assert_eq!(views(&without.stdout).0, own, "{scenario}, {limit} bytes");
                let locked: Vec<_> = locked
                    .iter()
                    .map(|pages| if every_stack::requested() { "0" } else { pages })
                    .collect();
                assert_eq!(held, locked, "{scenario}, {limit} bytes");
                assert!(with.success(), "{scenario}, {limit} bytes: {with:?}");
            }
        }
    }
}

/// Scenario, and how often it makes sigward release a stack of one of four threads.
const FAILING: &[(&str, &str)] = &[
    ("hole", "0"),
    ("no-access", "0"),
    ("too-much", "0"),
    ("refused", "0"),
    ("by-vector", "0"),
    ("whole-limit", "4"),
    ("by-vector-on-stacks", "4"),
];

#[test]
fn a_call_that_fails_by_itself_takes_no_lock() {
    for libc in programs::libcs() {
        for (scenario, windows) in FAILING {
            let run = Run::new(build("failing", *libc).unwrap()).arg(scenario);
            let run = run.unprivileged().memlock(512 << 10).env("SIGWARD_STACK", "off");
            let without = run.output().unwrap();
            if without.code() == NOT_HERE {
                continue;
            }
            let with = run.sigward("on").env("SIGWARD_STATS", "1").output().unwrap();
            assert!(without.success() && with.success(), "{scenario}: {without:?} {with:?}");
            let ((own, _), (own_with, held)) = (views(&without.stdout), views(&with.stdout));
            assert_eq!(own, own_with, "{scenario}");
            let pages = pages_held(16).to_string();
            assert!(held.iter().all(|held| *held == pages), "{scenario}: {with:?}");
            let own = *scenario == "by-vector-on-stacks" && every_stack::requested();
            let windows = if own { "0" } else { windows };
            assert_eq!(with.figure("windows"), windows, "{scenario} under {libc:?}");
        }
    }
}

/// The well-known reproducer discards its own stack in a loop. It must not fail, as it does
/// if the stack is simply locked, and must not fault. `make soak` runs it for a minute.
#[test]
fn the_reproducer_runs_on() {
    let seconds = std::env::var("SOAK_SECONDS").unwrap_or_else(|_| "3".to_owned());
    let suits = |libc: &&Libc| programs::suits("winch_storm", **libc).unwrap();
    for &libc in programs::libcs().iter().filter(suits) {
        let run = Run::new(build("winch_storm", libc).unwrap());
        let run = run.deadline(Duration::from_secs(600));
        // The control: the program locks its stack, as a simple cure would.
        let naive = run.clone().args(["1", "naive"]).output().unwrap();
        assert_eq!(naive.code(), 2, "{naive:?}");
        assert!(naive.stderr.contains("madvise: "), "{naive:?}");

        let with = run.clone().sigward("on");
        let outcome = with.clone().arg(&seconds).output().unwrap();
        assert!(outcome.success(), "{outcome:?}");

        assert!(run.arg("1").frames().unwrap().faulting() > 0);
        let trace = with.arg("1").frames().unwrap();
        assert!(trace.outcome.success() && !trace.frames.is_empty(), "{:?}", trace.outcome);
        assert_eq!(trace.faulting(), 0, "of {} frames", trace.frames.len());
    }
}

/// A plugin whose calls bypass our hooks meets our locks; a setting without locks avoids
/// that.
#[test]
fn a_library_that_is_bound_past_us_meets_locks_only() {
    let library = build("libbound_past", Libc::Glibc).unwrap();
    let run = Run::new(build("bound_past", Libc::Glibc).unwrap()).arg(library);
    assert_eq!(run.output().unwrap().stdout, "Success\n");
    let on = run.sigward("on");
    if unless_every_stack_is_ours("the program's own stack has no lock") {
        assert_eq!(on.output().unwrap().stdout, "Invalid argument\n");
    }
    let touched = on.env("SIGWARD_ALTSTACK", "touch").env("SIGWARD_STACK", "off");
    assert_eq!(touched.output().unwrap().stdout, "Success\n");
}
