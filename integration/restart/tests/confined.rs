//! `int 0x80` is given up before a seccomp filter kills for it.

mod support;

use std::os::unix::process::ExitStatusExt;

use sigward_harness::programs::Libc;
use support::{STRATEGIES, defective, program};

#[test]
fn a_filter_that_checks_the_architecture_kills_nobody() {
    for strategy in STRATEGIES {
        let late = program("wait_confined", Libc::Glibc, Some(strategy)).arg("late");
        let late = late.output().unwrap();
        assert_eq!(late.stdout, "before 1\nafter 1\nhandler kept 1\n", "{strategy}: {late:?}");
        let early = program("wait_confined", Libc::Glibc, Some(strategy)).arg("early");
        let early = early.output().unwrap();
        assert!(early.success(), "{strategy}: {early:?}");
    }
}

/// The control: the filter kills for `int 0x80`.
#[test]
fn the_filter_is_one_that_kills() {
    let outcome = program("wait_int80", Libc::Glibc, None).output().unwrap();
    assert_eq!(outcome.status.signal(), Some(libc::SIGSYS), "{outcome:?}");
}

/// Libraries ask for filters with a null one; the waits are ours afterwards, too.
#[test]
fn a_filter_that_was_refused_changes_nothing() {
    for who in ["itself", "vfork"] {
        let (outcome, counts) = defective(&[], "seccomp_probe", &[who], Some("int80"));
        assert!(outcome.success(), "{outcome:?}");
        assert!(counts["int80"] > 0, "{who}: {counts:?}");
    }
}
