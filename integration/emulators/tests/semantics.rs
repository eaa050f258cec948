//! Every wait function gives libc's results in every situation.

mod support;

use sigward_harness::programs::{self, Libc};
use support::{STRATEGIES, program};

const PARTS: [&str; 12] = [
    "ends",
    "selectors",
    "options",
    "stops",
    "pointers",
    "dispositions",
    "interruptions",
    "nesting",
    "collectors",
    "threads",
    "by_descriptor",
    "beside",
];

fn lines(arguments: &[&str], libc: Libc, strategy: Option<&str>) -> Vec<String> {
    let outcome = program("wait_semantics", libc, strategy).args(arguments).output().unwrap();
    assert!(outcome.success(), "{arguments:?} {strategy:?}: {outcome:?}");
    outcome.stdout.lines().map(str::to_owned).collect()
}

fn compare(arguments: &[&str]) {
    for &libc in programs::libcs() {
        let bare = lines(arguments, libc, None);
        assert!(!bare.is_empty(), "{arguments:?} {libc:?}");
        for strategy in ["off"].iter().chain(&STRATEGIES) {
            let ours = lines(arguments, libc, Some(strategy));
            assert_eq!(bare.len(), ours.len(), "{arguments:?} {strategy} {libc:?}");
            for (bare, ours) in bare.iter().zip(&ours) {
                assert!(bare == ours, "{libc:?} {strategy}\n{bare}\n{ours}");
            }
        }
    }
}

macro_rules! parts {
    ($($name:ident)*) => { $(
        #[test]
        fn $name() {
            assert!(PARTS.contains(&stringify!($name)));
            compare(&[stringify!($name)]);
        }
    )* };
}

parts! {
    ends selectors options stops pointers dispositions interruptions nesting collectors
    threads by_descriptor beside
}

/// Before Linux 5.4 and 4.7, waitid refused options that wait4 accepted.
#[test]
fn what_old_kernels_refuse_is_no_failure() {
    for part in ["selectors", "options", "threads"] {
        let old = [part, "old"];
        compare(&old);
        let differ = lines(&old, Libc::Glibc, None) != lines(&[part], Libc::Glibc, None);
        assert!(differ, "{part}: the filter is one that refuses");
    }
}

/// The test compares the program with itself, so it must be able to see a difference:
/// `SIGWARD_WAIT_EINTR=retry` makes one.
#[test]
fn eintr_is_hidden_on_request() {
    let bare = lines(&["interruptions"], Libc::Glibc, None);
    assert!(bare.iter().any(|line| line.starts_with("alarm ") && line.contains("EINTR")));
    for strategy in ["off"].iter().chain(&STRATEGIES) {
        // The child of the plain alarm never ends by itself: another alarm ends it.
        let outcome = program("wait_retry", Libc::Glibc, Some(strategy))
            .env("SIGWARD_WAIT_EINTR", "retry")
            .output()
            .unwrap();
        assert_eq!(outcome.stdout, "child, after 2 handlers\n", "{strategy}");
    }
    let outcome = program("wait_retry", Libc::Glibc, None).output().unwrap();
    assert_eq!(outcome.stdout, "EINTR, after 1 handlers\n");
}

/// Handlers that are installed or returned by functions other than sigaction(2), and a
/// storm of signals while they change.
#[test]
fn handlers_are_the_programs_own() {
    for &libc in programs::libcs() {
        for part in ["handed_out", "read_past", "interrupt", "storm", "frame", "copied"] {
            let said = |strategy| {
                let run = program("wait_handlers", libc, strategy).arg(part);
                let outcome = run.output().unwrap();
                assert!(outcome.success(), "{part} {libc:?} {strategy:?}: {outcome:?}");
                outcome.stdout
            };
            let bare = said(None);
            assert!(!bare.is_empty(), "{part} {libc:?}");
            for strategy in STRATEGIES {
                assert_eq!(said(Some(strategy)), bare, "{part} {libc:?} {strategy}");
            }
        }
    }
}

/// A handler has a gate in front of it, whatever installed it.
#[test]
fn every_way_to_install_leads_to_the_gate() {
    for &libc in programs::libcs() {
        for strategy in STRATEGIES {
            let outcome =
                program("wait_handlers", libc, Some(strategy)).arg("behind").output().unwrap();
            assert!(outcome.success(), "{libc:?} {strategy}: {outcome:?}");
            assert!(outcome.stdout.lines().count() > 6, "{outcome:?}");
            for line in outcome.stdout.lines() {
                assert!(line.ends_with("itself 0"), "{libc:?} {strategy}: {line}");
            }
        }
    }
}

/// The handlers that libc keeps for itself have no gate.
#[test]
fn libcs_signals_are_its_own() {
    for &libc in programs::libcs() {
        let outcome =
            program("wait_handlers", libc, Some("int80")).arg("private").output().unwrap();
        let lines: Vec<_> = outcome.stdout.lines().collect();
        assert_eq!(lines.len(), 4, "{outcome:?}");
        for line in lines {
            let right =
                line.ends_with("libc's 1, itself 1") || line.ends_with("libc's 0, itself 0");
            assert!(right, "{libc:?}: {line}");
        }
    }
}
