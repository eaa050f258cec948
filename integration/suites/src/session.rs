//! Runs suites, some at the same time: they sleep more than they compute.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use crate::arm::{ARMS, Bench};
use crate::suite::{Suite, packages};
use crate::{row, table};

/// The result of a suite.
pub struct SuiteResult {
    /// Its line of the table; empty if it was not run.
    pub line: String,
    /// Remarks, one per line.
    pub remarks: String,
    /// Whether it shows that the library changes nothing.
    pub holds: bool,
}

/// Runs `work` for each of `all`, `jobs` at a time; returns the results in the order of `all`.
pub fn run<T: Sync, R: Send + Sync>(
    all: &[T],
    jobs: usize,
    work: impl Fn(&T) -> R + Sync,
) -> Vec<R> {
    let next = AtomicUsize::new(0);
    let done: Vec<OnceLock<R>> = all.iter().map(|_| OnceLock::new()).collect();
    thread::scope(|scope| {
        for _ in 0..jobs {
            scope.spawn(|| {
                while let Some((one, place)) = {
                    let next = next.fetch_add(1, Ordering::Relaxed);
                    all.get(next).zip(done.get(next))
                } {
                    place.get_or_init(|| work(one));
                }
            });
        }
    });
    done.into_iter().filter_map(OnceLock::into_inner).collect()
}

/// Runs a suite without the library, at first `plain` times, and with each of its
/// settings.
#[must_use]
pub fn compare(bench: &Bench, suite: &'static Suite, plain: usize) -> SuiteResult {
    let remark = |words: String| SuiteResult {
        line: String::new(),
        remarks: format!("- {}: {words}\n", suite.name),
        holds: false,
    };
    if !suite.installed() {
        return remark(format!("NOT RUN: install {}", packages([suite.needs].into_iter())));
    }
    match row::compare(bench, suite, plain..=plain.max(4), ARMS) {
        Err(error) => {
            let message = format!("{error:#}");
            // The last line of a failed command's output gives the reason.
            remark(format!("NOT RUN: {}", message.trim().lines().next_back().unwrap_or_default()))
        }
        Ok(row) => SuiteResult {
            line: table::line(&row),
            remarks: row.remarks().iter().flat_map(|words| ["- ", words, "\n"]).collect(),
            holds: row.holds(),
        },
    }
}
