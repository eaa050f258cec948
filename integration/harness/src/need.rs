//! What a test needs of the machine, and how a missing item is reported.
//!
//! A test that skips something must call this module, and never just return. What CI skips is
//! listed in [`report`], test by test; `.ci/run` prints that at its end.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::Command;
use std::sync::{Mutex, PoisonError};
use std::{env, thread};

use crate::artifacts;

/// Whether a requirement of the tests is met. What is missing is reported on stderr,
/// once.
///
/// # Panics
///
/// If it is not met and `CI` is `true`: CI tests everything.
#[must_use]
pub fn required(met: bool, what: &str, remedy: &str) -> bool {
    assert!(met || !in_ci(), "{what} is missing: {remedy}");
    optional(met, what, remedy)
}

/// Like [`required`], for what may be missing in CI too.
#[must_use]
pub fn optional(met: bool, what: &str, remedy: &str) -> bool {
    static REPORTED: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());
    if met {
        return true;
    }
    let mut reported = REPORTED.lock().unwrap_or_else(PoisonError::into_inner);
    if reported.insert(what.to_owned()) {
        let note = format!("SKIPPED: all tests with {what}: not available ({remedy})\n");
        // Not eprintln!: the test runner would capture it.
        let _ = io::stderr().write_all(note.as_bytes());
    }
    left_out(what, remedy);
    false
}

/// Adds to CI's report that a test skips `what` for a reason that no machine could change, for
/// example because a C library lacks a function.
///
/// # Panics
///
/// If the report cannot be written.
pub fn left_out(what: &str, why: &str) {
    if in_ci() {
        let program = env::current_exe().unwrap_or_default();
        let program = program.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        // Cargo adds a hash to the test program's name.
        let program = program.rsplit_once('-').map_or(&*program, |(name, _)| name);
        let thread = thread::current();
        let line = format!("{program} {}: {what} ({why})\n", thread.name().unwrap_or(""));
        let report = File::options().create(true).append(true).open(report());
        let written = report.and_then(|mut report| report.write_all(line.as_bytes()));
        written.expect("the report can be written");
    }
}

/// The file in which tests in CI record what they skip, one line each.
#[must_use]
pub fn report() -> PathBuf {
    artifacts::target().join("left-out")
}

pub(crate) fn in_ci() -> bool {
    env::var_os("CI").is_some_and(|ci| ci == "true")
}

/// Whether the text reports a failed call for more processes or threads than the machine allows
/// (the cgroup's `pids.max`, `RLIMIT_NPROC`). Such a run proves nothing about the library.
#[must_use]
pub fn no_more_processes(words: &str) -> bool {
    let names = |line: &str, calls: &[&str]| calls.iter().any(|call| line.contains(call));
    words.lines().any(|line| {
        // These do not set errno.
        names(line, &["pthread_create(", "thrd_create("])
            || line.contains("Resource temporarily unavailable")
                && names(line, &["fork", "Fork", "clone", "unshare"])
    })
}

/// The path of the program `name`, from Debian's package of that name.
///
/// # Panics
///
/// Like [`required`].
#[must_use]
pub fn program(name: &str) -> Option<PathBuf> {
    found(installed(name), name)
}

/// The path of the interpreter `python3`.
///
/// # Panics
///
/// Like [`required`].
#[must_use]
pub fn python() -> Option<PathBuf> {
    found(interpreter(), "python3")
}

fn found(path: Option<PathBuf>, name: &str) -> Option<PathBuf> {
    if required(path.is_some(), name, &format!("apt-get install {name}")) { path } else { None }
}

/// Whether we are root. Some tests need that to become another user.
///
/// # Panics
///
/// Like [`required`].
#[must_use]
pub fn root() -> bool {
    required(nix::unistd::Uid::effective().is_root(), "root privileges", "run them as root")
}

/// Whether we may create pid namespaces, which containers consist of.
///
/// # Panics
///
/// If that could not be tried because there may be no more processes.
#[must_use]
pub fn namespaces() -> bool {
    let tried = Command::new("unshare").args(["--pid", "--mount", "--fork", "true"]).output();
    let (may, words) = match tried {
        Ok(output) => (output.status.success(), String::from_utf8_lossy(&output.stderr).into()),
        Err(error) => (false, format!("unshare: {error}")),
    };
    assert!(!no_more_processes(&words), "{words}");
    let remedy = format!("run them with CAP_SYS_ADMIN; {}", words.trim());
    optional(may, "pid namespaces", &remedy)
}

/// The path of an installed program, found in `PATH`.
#[must_use]
pub fn installed(name: &str) -> Option<PathBuf> {
    env::split_paths(env::var_os("PATH").as_deref().unwrap_or(OsStr::new("/usr/bin:/bin")))
        .map(|folder| folder.join(name))
        .find(|path| path.is_file())
}

/// The path of the Python interpreter itself. `python3` in `PATH` may be a shell script
/// (pyenv) whose own signals must not be measured.
#[must_use]
pub fn interpreter() -> Option<PathBuf> {
    let words = ["-c", "import sys; print(sys.executable)"];
    let output = Command::new("python3").args(words).output().ok()?;
    let path = String::from_utf8(output.stdout).ok()?;
    (output.status.success() && !path.trim().is_empty()).then(|| path.trim().into())
}
