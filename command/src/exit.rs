//! The one table of exit codes.

use std::ffi::c_int;

/// Every exit code of `sigward` itself. After a successful `sigward run` the status is
/// the program's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// Done; `check`: not affected; `doctor`: covered, or nothing to cover; `probe`: no
    /// defect seen.
    Success,
    /// `check`: affected; `doctor`: affected and not covered; `probe`: a defect seen.
    Affected,
    /// `check`: the texts do not decide it; `doctor`: not everything that matters could be
    /// seen; `probe`: not everything could be tried.
    Unknown,
    /// `check --format nrpe`: unknown.
    NrpeUnknown,
    /// sigward failed or refused: bad arguments, bad `SIGWARD_*` value, no
    /// usable library, a program into which the library cannot be loaded.
    Failed,
    /// `run`: the program was found but cannot be executed.
    NotExecutable,
    /// `run`: the program was not found.
    NotFound,
    /// `run --init`: the program's own.
    Program(u8),
}

impl Exit {
    /// The exit code.
    pub fn code(self) -> c_int {
        match self {
            Self::Success => 0,
            Self::Affected => 1,
            Self::Unknown => 2,
            Self::NrpeUnknown => 3,
            Self::Failed => 125,
            Self::NotExecutable => 126,
            Self::NotFound => 127,
            Self::Program(code) => code.into(),
        }
    }
}

/// The table, for `--help`.
pub const HELP: &str = "\
Exit codes:
    0  done; check: not affected; doctor: covered, or nothing to cover; probe: no defect seen
    1  check: affected; doctor: affected and not covered; probe: a defect seen
    2  check: the kernel's texts do not decide it; doctor: that, or something could not be seen;
       probe: not everything could be tried
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
