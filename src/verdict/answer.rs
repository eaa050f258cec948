//! The verdict: the answer, and what it rests on.

use core::fmt;

use super::argument::{Argument, Compiler, Step, Text};
use crate::quirks::{Confidence, Quirk, Version};

/// The answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// The kernel has the defect.
    Affected,
    /// The kernel does not have the defect.
    NotAffected,
    /// The texts do not say.
    Unknown,
}

impl fmt::Display for Standing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Standing {
    /// The words that the command prints.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Affected => "affected",
            Self::NotAffected => "not affected",
            Self::Unknown => "unknown",
        }
    }
}

/// What is known about a kernel and one defect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// The judged defect; `None` if no defect of this system is known.
    pub quirk: Option<&'static Quirk>,
    /// The answer.
    pub standing: Standing,
    /// How sure the answer is.
    pub confidence: Confidence,
    /// Whether the texts place the kernel in an affected range.
    pub in_range: bool,
    /// Whether the kernel may preempt itself, so that residency only reduces
    /// the risk. Voluntary preemption does not count.
    pub preempt: bool,
    /// Whether this is gVisor, not Linux: then we stand down.
    pub gvisor: bool,
    /// The upstream version, and where it was found.
    pub upstream: Option<(Version, Text)>,
    /// The compiler that built the kernel.
    pub compiler: Option<Compiler>,
    /// The argument, step by step.
    pub argument: Argument,
}

impl Verdict {
    /// Whether `SIGWARD=auto` acts: affected, or unknown within a range.
    #[must_use]
    pub fn acts(self) -> bool {
        match self.standing {
            Standing::Affected => true,
            Standing::NotAffected => false,
            Standing::Unknown => self.in_range,
        }
    }

    /// Whether hardening lowers the risk without removing it.
    #[must_use]
    pub fn only_reduces(self) -> bool {
        self.acts() && self.preempt
    }

    pub(super) const fn new(quirk: Option<&'static Quirk>) -> Self {
        Self {
            quirk,
            standing: Standing::NotAffected,
            confidence: Confidence::High,
            in_range: false,
            preempt: false,
            gvisor: false,
            upstream: None,
            compiler: None,
            argument: Argument::NONE,
        }
    }

    pub(super) fn concluded(
        mut self,
        standing: Standing,
        confidence: Confidence,
        step: Step,
    ) -> Self {
        self.standing = standing;
        self.confidence = confidence;
        self.argument.push(step);
        self
    }
}
