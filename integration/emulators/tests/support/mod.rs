//! Runs programs with a wait strategy, on a healthy and on a defective kernel.

#![allow(dead_code, reason = "each test program uses its part")]

use std::collections::HashMap;
use std::path::Path;
use std::time::Duration;

use sigward_harness::artifacts;
use sigward_harness::programs::{Libc, build};
use sigward_harness::{Outcome, Run};

/// The strategies, as `SIGWARD_WAIT` names them.
pub const STRATEGIES: [&str; 2] = ["int80", "two-phase"];

/// Long enough for a busy machine.
pub const DEADLINE: Duration = Duration::from_secs(300);

/// A run of a C program, with the library if a strategy is given.
pub fn program(name: &str, libc: Libc, strategy: Option<&str>) -> Run {
    let run = Run::new(build(name, libc).unwrap()).deadline(DEADLINE);
    match strategy {
        Some(strategy) => run.preload(artifacts::preload()).env("SIGWARD_WAIT", strategy),
        None => run,
    }
}

/// The supervisor's counts.
pub type Counts = HashMap<String, u64>;

/// A run under the supervisor: `options` are the supervisor's, `arguments` the program's.
pub fn defective(
    options: &[&str],
    name: &str,
    arguments: &[&str],
    strategy: Option<&str>,
) -> (Outcome, Counts) {
    let library = strategy.map(|_| artifacts::preload());
    let supervisor = Run::new(env!("CARGO_BIN_EXE_sigward-restart"))
        .env("SIGWARD_WAIT", strategy.unwrap_or_default())
        .args(options);
    supervised(supervisor, library, name, arguments)
}

/// A run under `supervisor` with its options, and with `library` preloaded into the
/// program.
pub fn supervised(
    supervisor: Run,
    library: Option<&Path>,
    name: &str,
    arguments: &[&str],
) -> (Outcome, Counts) {
    let report = tempfile::NamedTempFile::new().unwrap();
    let mut run = supervisor
        .arg("--report")
        .arg(report.path())
        .args(["--", "/usr/bin/env"])
        .deadline(DEADLINE);
    if let Some(library) = library {
        // Set after the supervisor, into which the library must not be preloaded.
        run = run.arg(format!("LD_PRELOAD={}", library.display()));
    }
    let outcome = run.arg(build(name, Libc::Glibc).unwrap()).args(arguments).output().unwrap();
    let text = std::fs::read_to_string(report.path()).unwrap();
    let counts = text
        .lines()
        .filter_map(|line| line.split_once(' '))
        .map(|(name, value)| (name.to_owned(), value.parse().unwrap()))
        .collect();
    (outcome, counts)
}
