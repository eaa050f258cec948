//! The library built for `FreeBSD`, under a supervisor that emulates its kernel: libc's
//! stubs fail as published, ours do not.
//!
//! `make freebsd` builds the library first. Without it these tests are skipped, except in
//! CI.

mod support;

use std::path::PathBuf;
use std::sync::OnceLock;

use sigward_harness::artifacts::target;
use sigward_harness::need;
use sigward_harness::{Outcome, Run};
use support::{Counts, supervised};

/// A copy of the library that Linux's loader accepts: the byte of the ELF header that
/// marks `FreeBSD`'s ABI is cleared. Nothing else is changed.
fn library() -> Option<PathBuf> {
    static COPY: OnceLock<Option<PathBuf>> = OnceLock::new();
    const EI_OSABI: usize = 7;
    const FREEBSD: u8 = 9;
    let copy = COPY.get_or_init(|| {
        let built = target().join("freebsd/x86_64-unknown-freebsd/release/libsigward.so");
        if !need::required(built.exists(), &built.to_string_lossy(), "make freebsd") {
            return None;
        }
        let mut bytes = std::fs::read(&built).unwrap();
        assert_eq!(std::mem::replace(&mut bytes[EI_OSABI], 0), FREEBSD);
        let copy = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("libsigward-freebsd.so");
        std::fs::write(&copy, bytes).unwrap();
        Some(copy)
    });
    copy.clone()
}

/// A run of fbsd_wait on the kernel described by `options`.
fn freebsd(options: &[&str], library: Option<&PathBuf>, arguments: &[&str]) -> (Outcome, Counts) {
    program("fbsd_wait", options, library, arguments)
}

fn program(
    name: &str,
    options: &[&str],
    library: Option<&PathBuf>,
    arguments: &[&str],
) -> (Outcome, Counts) {
    let supervisor = Run::new(env!("CARGO_BIN_EXE_sigward-freebsd")).args(options);
    supervised(supervisor, library.map(PathBuf::as_path), name, arguments)
}

const AFFECTED: &[&str] = &["--osreldate", "900044"];
const AFFECTED_WITHOUT_INT80: &[&str] = &["--osreldate", "900044", "--no-int80"];
/// An early 8.x: it has INT 0x80, but that must not be trusted.
const UNVERIFIED_INT80: &[&str] = &["--osreldate", "800107"];
const FIXED: &[&str] = &["--osreldate", "903000", "--fixed"];

#[test]
fn the_stubs_of_libc_fail_as_published() {
    for (function, error) in [("wait4", "Bad address"), ("wait6", "Invalid argument")] {
        let (outcome, counts) = freebsd(AFFECTED, None, &["race", "1000", function]);
        assert!(outcome.stderr.contains(error), "{outcome:?}");
        assert!(!outcome.success() && counts["restarts_syscall"] > 0, "{outcome:?} {counts:?}");
    }
    let (outcome, counts) = freebsd(FIXED, None, &["race", "1000", "wait4"]);
    assert!(outcome.success(), "a fixed kernel restarts rightly: {outcome:?}");
    assert!(counts["restarts_syscall"] > 0, "{counts:?}");
}

#[test]
fn ours_survive() {
    let Some(library) = library() else { return };
    for function in ["wait4", "wait6"] {
        let arguments = ["race", "2000", function];
        let (outcome, counts) = freebsd(AFFECTED, Some(&library), &arguments);
        assert_eq!(outcome.stdout, "forks 2000 failed 0 wrong 0\n", "{outcome:?}");
        assert!(counts["restarts_int80"] > 0, "{counts:?}");
        assert_eq!(counts["calls_int80"], 2000, "one call per child: {counts:?}");

        for kernel in [AFFECTED_WITHOUT_INT80, UNVERIFIED_INT80] {
            let (outcome, counts) = freebsd(kernel, Some(&library), &arguments);
            assert_eq!(outcome.stdout, "forks 2000 failed 0 wrong 0\n", "{outcome:?}");
            assert_eq!(counts["calls_int80"], 0, "{counts:?}");
        }
    }
}

#[test]
fn a_fixed_kernel_is_left_alone() {
    let Some(library) = library() else { return };
    let (bare, before) = freebsd(FIXED, None, &["semantics"]);
    let (ours, after) = freebsd(FIXED, Some(&library), &["semantics"]);
    assert_eq!(bare, ours);
    assert_eq!(after["calls_int80"], 0);
    // One system call asks for the release.
    assert_eq!(before["calls_syscall"] + 1, after["calls_syscall"]);
}

#[test]
fn each_way_says_what_a_fixed_kernel_says() {
    let Some(library) = library() else { return };
    let (right, _) = freebsd(FIXED, None, &["semantics"]);
    assert!(right.stdout.contains("restarted: child 800\n"), "{right:?}");
    assert!(right.stdout.contains("interrupted: Interrupted system call\n"), "{right:?}");
    for kernel in [AFFECTED, AFFECTED_WITHOUT_INT80, UNVERIFIED_INT80] {
        let (ours, _) = freebsd(kernel, Some(&library), &["semantics"]);
        assert_eq!(right.stdout, ours.stdout, "{kernel:?}");
    }
    let (wrong, _) = freebsd(AFFECTED, None, &["semantics"]);
    assert!(wrong.stdout.contains("restarted: Bad address\n"), "{wrong:?}");
}

/// Cancellation is libthr's task: calls still pass through its functions, and end in
/// ours.
#[test]
fn libthr_stays_in_between() {
    let Some(library) = library() else { return };
    let arguments = ["race", "1000", "wait4"];
    let (outcome, counts) = program("fbsd_thr", AFFECTED, Some(&library), &arguments);
    let expected = "forks 1000 failed 0 wrong 0\nthrough libthr 1000\n";
    assert_eq!(outcome.stdout, expected, "{outcome:?}");
    assert_eq!(counts["calls_int80"], 1000, "{counts:?}");
}
