//! Which kernel this is, whether it is affected, and why.
//!
//! This is a pure function of the kernel's texts; reading them is done
//! elsewhere. Everything here is async-signal-safe: no allocation, no panic, no
//! system call. It accepts any bytes of any length.
//!
//! A caller can save work by asking [`needs_proc`] first: if that is false, the
//! verdict from `uname` alone is final, and no file has to be opened.

mod argument;
mod build;
mod judge;
mod scan;
mod version;

use core::fmt;

use crate::quirks::{Confidence, Quirk, Version};
pub use argument::{Argument, Compiler, Step, Text};
pub use judge::{judge, judge_running, needs_proc};

/// What the processor supports, from CPUID.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CpuTraits {
    /// A 64-bit x86 process.
    pub x86_64: bool,
    /// XSAVE is present and enabled by the kernel.
    pub xsave: bool,
    /// AVX is present and enabled by the kernel.
    pub avx: bool,
}

impl CpuTraits {
    /// A current x86-64 processor: the cautious assumption about another
    /// machine.
    pub const MODERN: Self = Self { x86_64: true, xsave: true, avx: true };
}

/// The texts with which a kernel describes itself.
#[derive(Clone, Copy, Debug)]
pub struct KernelTexts<'a> {
    /// `uname -s`.
    pub sysname: &'a [u8],
    /// `uname -r`.
    pub release: &'a [u8],
    /// `uname -v`.
    pub version: &'a [u8],
    /// `uname -m`.
    pub machine: &'a [u8],
    /// `/proc/version`, if it was read.
    pub proc_version: Option<&'a [u8]>,
    /// `/proc/version_signature` (Ubuntu), if it exists.
    pub version_signature: Option<&'a [u8]>,
    /// The processor.
    pub cpu: CpuTraits,
}

/// The answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// The kernel has the defect.
    Affected,
    /// The kernel does not have the defect.
    NotAffected,
    /// The texts do not tell.
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

    const fn new(quirk: Option<&'static Quirk>) -> Self {
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

    fn concluded(mut self, standing: Standing, confidence: Confidence, step: Step) -> Self {
        self.standing = standing;
        self.confidence = confidence;
        self.argument.push(step);
        self
    }
}

#[cfg(test)]
mod tests;
