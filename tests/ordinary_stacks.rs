//! Handlers without `SA_ONSTACK`: part of each thread's own stack is held, within its real
//! bounds, and its guard is never touched.

use sigward_harness::Run;
use sigward_harness::programs::{self, build};
use sigward_harness::scenarios::ORDINARY_STACKS;

#[test]
fn frames_within_the_window_do_not_fault() {
    let broken = ORDINARY_STACKS.broken();
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

#[test]
fn the_window_is_what_was_asked_for() {
    for &libc in programs::libcs() {
        for thread in ["main", "thread"] {
            let run = Run::new(build("ordinary", libc).unwrap()).arg(thread);
            let faulting = |size: &str| {
                let trace = run.clone().sigward("on").env("SIGWARD_STACK", size).frames().unwrap();
                assert!(trace.outcome.success(), "{:?}", trace.outcome);
                // Seven frames, each deeper than the previous one.
                assert_eq!(trace.frames.len(), 7);
                trace.faulting()
            };
            let off = faulting("off");
            assert_eq!(faulting("auto"), 0);
            assert_eq!(faulting("64k"), 0);
            assert_eq!(faulting("full"), 0);
            let some = faulting("16k");
            assert!(some > 0 && some < off, "{thread}: {some} of {off}");
        }
    }
}

/// A lock would split the mapping of a thread's stack, by which overflow handlers recognize it,
/// and would take room from alternate stacks.
#[test]
fn windows_are_locked_only_on_request_and_held_only_for_handlers() {
    for &libc in programs::libcs() {
        let stdout = |scenario: &str, size: &str| {
            let run = Run::new(build("ordinary", libc).unwrap()).arg(scenario).sigward("on");
            let outcome = run.env("SIGWARD_STACK", size).output().unwrap();
            assert!(outcome.success(), "{libc:?} {scenario} {size}: {outcome:?}");
            outcome.stdout
        };
        for (size, handler, none) in [
            ("auto", "6 present, 0 locked", "0 present, 0 locked"),
            ("off", "0 present, 0 locked", "0 present, 0 locked"),
            ("48k", "6 present, 6 locked", "6 present, 6 locked"),
            ("full", "6 present, 6 locked", "6 present, 6 locked"),
        ] {
            let with = stdout("report-with-handler", size);
            assert_eq!(with, format!("held: {handler}\nmeasured: 0\n"), "{libc:?} {size}");
            let without = stdout("report-without-handler", size);
            let expected = format!("held: {none}\n").repeat(20) + "measured: 0\n";
            assert_eq!(without, expected, "{libc:?} {size}");
        }
    }
}

/// What the library maps for itself never lies next to a stack that has no guard.
#[test]
fn an_overflow_is_recognized_by_its_address() {
    for &libc in programs::libcs() {
        let run = Run::new(build("overflow_apart", libc).unwrap());
        let without = run.output().unwrap();
        assert!(without.success(), "{libc:?}: {without:?}");
        assert!(
            without.stdout.contains("is 0 pages below the stack, code 1\n"),
            "{libc:?}: {without:?}"
        );
        for size in ["auto", "off", "full"] {
            let with = run.clone().sigward("on").env("SIGWARD_STACK", size).output().unwrap();
            assert_eq!(with, without, "{libc:?}, SIGWARD_STACK={size}");
        }
    }
}

/// A lock on the lowest page of the mapping would keep the main stack from growing.
#[test]
fn main_grows_beyond_what_is_locked() {
    for &libc in programs::libcs() {
        for size in ["off", "auto", "256k", "1m", "full"] {
            let run = Run::new(build("ordinary", libc).unwrap()).arg("main-grows");
            let outcome = run.sigward("on").env("SIGWARD_STACK", size).output().unwrap();
            assert!(outcome.success(), "SIGWARD_STACK={size}: {outcome:?}");
        }
    }
}

/// Even if the whole stack is requested, neither the guard nor a neighbour is held.
#[test]
fn nothing_beyond_the_stack_is_touched() {
    for &libc in programs::libcs() {
        for scenario in
            ["thread-large-guard", "thread-given", "thread-given-smallest", "thread-tiny"]
        {
            let run = Run::new(build("ordinary", libc).unwrap()).arg(scenario);
            let without = run.output().unwrap();
            assert!(without.success(), "{without:?}");
            // musl does not say where a guard is.
            let silent =
                scenario == "thread-tiny" || libc.is_musl() && scenario == "thread-large-guard";
            assert_eq!(without.stdout.contains("resident"), !silent, "{scenario} {libc:?}");
            for size in ["auto", "full"] {
                let with = run.clone().sigward("on").env("SIGWARD_STACK", size).output().unwrap();
                assert_eq!(with, without, "{scenario}, SIGWARD_STACK={size}");
                let beyond = with.stdout.lines().filter(|line| line.contains("resident"));
                for line in beyond {
                    assert!(line.contains(": 0 of ") && line.ends_with(" 0 locked"), "{line}");
                }
            }
        }
    }
}

/// The main stack's growth would count against the limit on locked memory.
#[test]
fn main_grows_when_its_limit_is_raised() {
    for &libc in programs::libcs() {
        for size in ["auto", "full"] {
            let run = Run::new(build("limit_raised", libc).unwrap()).unprivileged();
            let run = run.memlock(64 << 10).sigward("on").env("SIGWARD_STACK", size);
            let outcome = run.output().unwrap();
            assert_eq!(outcome.stdout, "6 MiB deep\n", "{libc:?} {size}: {outcome:?}");
        }
    }
}
