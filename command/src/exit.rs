//! The one table of exit codes.

use std::process::ExitCode;

/// Every exit code of `sigward` itself. After a successful `sigward run` the status is
/// the program's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// Done; `check`: not affected; `probe`: no defect seen.
    Success = 0,
    /// `check`: affected; `probe`: a defect seen.
    Affected = 1,
    /// `check`: the texts do not decide it; `probe`: not everything could be tried.
    Unknown = 2,
    /// `check --format nrpe`: unknown.
    NrpeUnknown = 3,
    /// sigward failed or refused: bad arguments, bad `SIGWARD_*` value, no
    /// usable library, a program into which the library cannot be loaded.
    Failed = 125,
    /// `run`: the program was found but cannot be executed.
    NotExecutable = 126,
    /// `run`: the program was not found.
    NotFound = 127,
}

/// The table, for `--help`.
pub const HELP: &str = "\
Exit codes:
    0  done; check: not affected; probe: no defect seen
    1  check: affected; probe: a defect seen
    2  check: the kernel's texts do not decide it; probe: not everything could be tried
     (check --format nrpe: 0 fine, 1 warning, 2 critical, 3 unknown, as Nagios has it)
  125  sigward failed or refused
  126  run: the program was found but cannot be executed
  127  run: the program was not found
run: otherwise the program's own status";

impl Exit {
    /// `check --format nrpe`: affected, but sigward helps, or the harm is slight.
    pub const NRPE_WARNING: Self = Self::Affected;
    /// `check --format nrpe`: affected, and only another kernel helps.
    pub const NRPE_CRITICAL: Self = Self::Unknown;
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}
