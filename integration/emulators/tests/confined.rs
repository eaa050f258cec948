//! `int 0x80` is given up before a seccomp filter kills the process for it.

mod support;

use std::os::unix::process::ExitStatusExt;

use sigward_harness::Run;
use sigward_harness::filter::Filter;
use sigward_harness::programs::Libc;
use support::{STRATEGIES, defective, program};

#[test]
fn an_architecture_filter_does_not_kill() {
    for strategy in STRATEGIES {
        let late = program("wait_confined", Libc::Glibc, Some(strategy)).arg("late");
        let late = late.output().unwrap();
        assert_eq!(late.stdout, "before 1\nafter 1\nhandler kept 1\n", "{strategy}: {late:?}");
        let early = program("wait_confined", Libc::Glibc, Some(strategy)).arg("early");
        let early = early.output().unwrap();
        assert!(early.success(), "{strategy}: {early:?}");
    }
}

#[test]
fn the_reason_for_giving_up_is_logged() {
    let stderr = |run: Run| run.env("SIGWARD_LOG", "warn").output().unwrap().stderr;
    let run = |strategy: &str| program("wait_confined", Libc::Glibc, Some(strategy));
    let early = stderr(run("int80").arg("early").filter(Filter::new()));
    let why = "SIGWARD_WAIT=int80 is not usable: /proc/self/status shows a seccomp filter or \
               cannot be read; using two-phase\n";
    assert!(early.contains(why), "{early}");
    for strategy in STRATEGIES {
        let late = stderr(run(strategy).arg("late"));
        let why = " WARN: standing down: the program installs a seccomp filter\n";
        assert_eq!(late.matches(why).count(), 1, "{late}");
    }
}

/// The control: the filter kills the process for `int 0x80`.
#[test]
fn the_filter_does_kill() {
    let outcome = program("wait_int80", Libc::Glibc, None).output().unwrap();
    assert_eq!(outcome.status.signal(), Some(libc::SIGSYS), "{outcome:?}");
}

/// Libraries test for filters by passing a null one; the waits stay ours afterwards.
#[test]
fn a_filter_that_was_refused_changes_nothing() {
    for who in ["itself", "vfork"] {
        let (outcome, counts) = defective(&[], "seccomp_probe", &[who], Some("int80"));
        assert!(outcome.success(), "{outcome:?}");
        assert!(counts["int80"] > 0, "{who}: {counts:?}");
    }
}
