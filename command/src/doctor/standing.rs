//! The answer for one process or program, and the exit code that follows.

use serde::{Serialize, Serializer};

use super::super::exit::Exit;
use super::super::inspect::Coverage;

/// How a process or program stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// The library protects it; for a program: would, if it were started with it.
    Covered,
    /// There is nothing that the library is for.
    NothingToCover,
    /// The library is in it, but something is missing.
    PartlyCovered,
    NotCovered,
    /// It could not be seen, or the kernel is unknown.
    Unknown,
}

impl Standing {
    pub const ALL: [Self; 5] =
        [Self::Covered, Self::NothingToCover, Self::PartlyCovered, Self::NotCovered, Self::Unknown];

    /// Of a process in which no library acts.
    pub fn without(affected: Option<bool>) -> Self {
        match affected {
            Some(true) => Self::NotCovered,
            Some(false) => Self::NothingToCover,
            None => Self::Unknown,
        }
    }

    /// Of a program with this coverage.
    pub fn of_program(coverage: Coverage, affected: Option<bool>) -> Self {
        match (coverage, affected) {
            (_, Some(false)) => Self::NothingToCover,
            (Coverage::Covered, _) => Self::Covered,
            (_, None) => Self::Unknown,
            (_, Some(true)) => Self::where_affected(coverage),
        }
    }

    /// Of a program with this coverage, on a kernel that has the defect.
    pub fn where_affected(coverage: Coverage) -> Self {
        match coverage {
            Coverage::Covered => Self::Covered,
            Coverage::Partly => Self::PartlyCovered,
            Coverage::NotCovered => Self::NotCovered,
        }
    }

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Covered => "covered",
            Self::NothingToCover => "nothing to cover",
            Self::PartlyCovered => "partly covered",
            Self::NotCovered => "not covered",
            Self::Unknown => "unknown",
        }
    }

    pub fn exit(self) -> Exit {
        match self {
            Self::Covered | Self::NothingToCover => Exit::Success,
            Self::PartlyCovered | Self::NotCovered => Exit::Affected,
            Self::Unknown => Exit::Unknown,
        }
    }

    /// The exit code for several: what is certainly not covered counts most.
    pub fn exit_of_all(all: impl Iterator<Item = Self>) -> Exit {
        all.map(Self::exit).fold(Exit::Success, |worst, exit| match (worst, exit) {
            (Exit::Affected, _) | (_, Exit::Affected) => Exit::Affected,
            (Exit::Unknown, _) | (_, Exit::Unknown) => Exit::Unknown,
            _ => Exit::Success,
        })
    }
}

impl Serialize for Standing {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.as_str().replace(' ', "-"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_covered_counts_most() {
        let exit = |all: &[Standing]| Standing::exit_of_all(all.iter().copied());
        assert_eq!(exit(&[]), Exit::Success);
        assert_eq!(exit(&[Standing::Covered, Standing::NothingToCover]), Exit::Success);
        assert_eq!(exit(&[Standing::Covered, Standing::Unknown]), Exit::Unknown);
        assert_eq!(exit(&[Standing::Unknown, Standing::NotCovered]), Exit::Affected);
        assert_eq!(exit(&[Standing::PartlyCovered, Standing::Unknown]), Exit::Affected);
    }

    #[test]
    fn a_program_is_judged_with_its_kernel() {
        let of = Standing::of_program;
        assert_eq!(of(Coverage::NotCovered, Some(false)), Standing::NothingToCover);
        assert_eq!(of(Coverage::NotCovered, Some(true)), Standing::NotCovered);
        assert_eq!(of(Coverage::NotCovered, None), Standing::Unknown);
        assert_eq!(of(Coverage::Covered, None), Standing::Covered);
    }
}
