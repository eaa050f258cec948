//! What a test needs of the machine, and what is said where it is missing.

use std::collections::BTreeSet;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::Command;
use std::sync::{Mutex, PoisonError};

use crate::programs;

/// Whether a need of the tests is met. What is missing is told on stderr, once.
///
/// # Panics
///
/// When it is not met and `CI` is `true`: CI tests everything.
#[must_use]
pub fn required(met: bool, what: &str, remedy: &str) -> bool {
    let ci = std::env::var_os("CI").is_some_and(|ci| ci == "true");
    assert!(met || !ci, "{what} is missing: {remedy}");
    optional(met, what, remedy)
}

/// As [`required`], for what may be missing in CI, too.
#[must_use]
pub fn optional(met: bool, what: &str, remedy: &str) -> bool {
    static TOLD: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());
    let mut told = TOLD.lock().unwrap_or_else(PoisonError::into_inner);
    if !met && told.insert(what.to_owned()) {
        let note = format!("SKIPPED: all tests with {what}, which is missing ({remedy})\n");
        // Not eprintln!: the test runner would swallow it.
        let _ = io::stderr().write_all(note.as_bytes());
    }
    met
}

/// The path of the program `name`, which is in Debian's package of that name.
///
/// # Panics
///
/// As [`required`].
#[must_use]
pub fn program(name: &str) -> Option<PathBuf> {
    found(programs::installed(name), name)
}

/// The path of the interpreter `python3`.
///
/// # Panics
///
/// As [`required`].
#[must_use]
pub fn python() -> Option<PathBuf> {
    found(programs::python(), "python3")
}

fn found(path: Option<PathBuf>, name: &str) -> Option<PathBuf> {
    if required(path.is_some(), name, &format!("apt-get install {name}")) { path } else { None }
}

/// Whether we are root, which some tests need in order to become somebody else.
///
/// # Panics
///
/// As [`required`].
#[must_use]
pub fn root() -> bool {
    required(nix::unistd::Uid::effective().is_root(), "root's rights", "run them as root")
}

/// Whether we may make namespaces of pids, which containers consist of.
#[must_use]
pub fn namespaces() -> bool {
    let try_it = Command::new("unshare").args(["--pid", "--mount", "--fork", "true"]).status();
    let may = try_it.is_ok_and(|status| status.success());
    optional(may, "pid namespaces", "run them with CAP_SYS_ADMIN")
}
