//! What a run printed and how it ended.

use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;

/// What a run printed and how it ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// Everything written to stdout.
    pub stdout: String,
    /// Everything written to stderr.
    pub stderr: String,
    /// The wait status.
    pub status: ExitStatus,
}

impl Outcome {
    /// Whether the program exited with status 0.
    #[must_use]
    pub fn success(&self) -> bool {
        self.status.success()
    }

    /// The exit code as a shell gives it: 128 + N after death by signal N.
    #[must_use]
    pub fn code(&self) -> i32 {
        self.status.code().unwrap_or_else(|| 128 + self.status.signal().unwrap_or(0))
    }

    /// The figure that `SIGWARD_STATS=1` printed as `name=`.
    ///
    /// # Panics
    ///
    /// If there is no such figure.
    #[must_use]
    #[track_caller]
    pub fn figure(&self, name: &str) -> &str {
        let mut words = self.stderr.split_whitespace();
        let figure = words.find_map(|word| word.strip_prefix(name)?.strip_prefix('='));
        figure.unwrap_or_else(|| panic!("no {name}=: {self:?}"))
    }
}
