//! A missing requirement is reported, and in CI it fails the test or is listed; it never passes
//! silently.

use std::fs;
use std::process::{Command, Output};

use sigward_harness::filter::Filter;
use sigward_harness::need;
use sigward_harness::programs::{build, libcs};
use sigward_harness::run::Run;

/// Runs one of the ignored tests below in its own process; the report goes to `folder`.
fn in_ci(test: &str, ci: &str, folder: &std::path::Path) -> Output {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--ignored", "--exact", test]);
    command.env("CI", ci).env("CARGO_TARGET_DIR", folder).output().unwrap()
}

#[test]
#[ignore = "run by the others"]
fn something_required() {
    assert!(!need::required(false, "a moon", "wait for night"));
}

#[test]
#[ignore = "run by the others"]
fn something_optional() {
    assert!(!need::optional(false, "a moon", "wait for night"));
    assert!(!need::optional(false, "a moon", "wait for night"));
}

#[test]
fn outside_ci_it_is_reported_once() {
    let folder = tempfile::tempdir().unwrap();
    for test in ["something_required", "something_optional"] {
        let output = in_ci(test, "", folder.path());
        assert!(output.status.success(), "{output:?}");
        let said = String::from_utf8(output.stderr).unwrap();
        let note = "SKIPPED: all tests with a moon: not available (wait for night)\n";
        assert_eq!(said.matches(note).count(), 1, "{said}");
        assert!(!folder.path().join("left-out").exists());
    }
}

#[test]
fn in_ci_it_fails_or_is_listed() {
    let folder = tempfile::tempdir().unwrap();
    let output = in_ci("something_required", "true", folder.path());
    assert!(!output.status.success(), "{output:?}");
    assert!(!folder.path().join("left-out").exists());

    let output = in_ci("something_optional", "true", folder.path());
    assert!(output.status.success(), "{output:?}");
    let listed = fs::read_to_string(folder.path().join("left-out")).unwrap();
    let line = "need something_optional: a moon (wait for night)\n";
    assert_eq!(listed, line.repeat(2));
}

/// The program then fails in the same way with and without the library, which proves
/// nothing.
#[test]
fn a_machine_without_room_for_threads_gives_no_result() {
    let refused = Filter::new().refuse(libc::SYS_clone, libc::EAGAIN);
    let refused = refused.refuse(libc::SYS_clone3, libc::EAGAIN);
    for &libc in libcs() {
        let run = Run::new(build("altstack_threads", libc).unwrap()).filter(refused.clone());
        for error in [run.output().unwrap_err(), run.frames().unwrap_err()] {
            assert!(error.to_string().contains("no more processes or threads"), "{error}");
        }
    }
}
