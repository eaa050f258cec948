//! The argument behind a verdict, step by step.

use core::fmt;

use crate::quirks::{FixedBuild, Version};

/// Where the upstream version was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Text {
    /// Last field of `/proc/version_signature`.
    VersionSignature,
    /// The package version in Debian's `uname -v`.
    UnameVersion,
    /// `/proc/version`, because `uname -r` is faked.
    ProcVersion,
    /// `uname -r`.
    UnameRelease,
}

impl Text {
    /// The name by which an administrator knows the text.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::VersionSignature => "/proc/version_signature",
            Self::UnameVersion => "uname -v",
            Self::ProcVersion => "/proc/version",
            Self::UnameRelease => "uname -r",
        }
    }
}

/// The compiler that built the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compiler {
    /// GCC of this major version.
    Gcc(u32),
    /// Clang.
    Clang,
}

/// One step of the argument.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// The table has no row for this operating system.
    OtherSystem,
    /// The defect needs another processor.
    OtherProcessor,
    /// gVisor answers the system calls and writes the signal frames.
    Gvisor,
    /// `uname -r` is not a version number.
    ReleaseUnreadable,
    /// `uname -r` was made up by `setarch --uname-2.6`.
    ReleaseFaked,
    /// The upstream version, and the text that it came from.
    Upstream(Version, Text),
    /// The version is in no affected range.
    OutOfRange,
    /// The version is in the affected range that ends at this one.
    InRange(Version),
    /// The vendor's build is listed as fixed by this row.
    FixedByVendor(&'static FixedBuild),
    /// A vendor built this kernel, and may have taken the fix without being
    /// listed.
    VendorMayHaveFixed,
    /// The compiler, and whether its code shows the defect.
    BuiltBy(Compiler, bool),
    /// The compiler is unknown.
    CompilerUnknown,
    /// The processor has no AVX: only x87 and SSE registers are at risk.
    NoAvx,
    /// The kernel preempts itself: the risk is reduced, not removed.
    Preemptible,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::OtherSystem => f.write_str("no defect of this operating system is known"),
            Self::OtherProcessor => f.write_str("the defect needs an x86 processor"),
            Self::Gvisor => f.write_str(
                "this is gVisor: it writes signal frames itself, the host kernel does not",
            ),
            Self::ReleaseUnreadable => f.write_str("uname -r is not a version number"),
            Self::ReleaseFaked => {
                f.write_str("uname -r is faked (setarch --uname-2.6), so it is not used")
            }
            Self::Upstream(version, text) => {
                write!(f, "upstream version {version}, from {}", text.as_str())
            }
            Self::OutOfRange => f.write_str("this version is in no affected range"),
            Self::InRange(fixed) => {
                write!(f, "this version is in an affected range; fixed in {fixed}")
            }
            Self::FixedByVendor(row) => {
                write!(f, "the vendor fixed this series in build {} ({})", row.build, row.source())
            }
            Self::VendorMayHaveFixed => {
                f.write_str("a vendor's build: it may have the fix without being listed")
            }
            Self::BuiltBy(Compiler::Gcc(major), true) => {
                write!(f, "built by GCC {major}, whose code shows the defect")
            }
            Self::BuiltBy(Compiler::Gcc(major), false) => {
                write!(f, "built by GCC {major}, whose code does not show the defect")
            }
            Self::BuiltBy(Compiler::Clang, _) => {
                f.write_str("built by Clang; only GCC is known to show the defect")
            }
            Self::CompilerUnknown => {
                f.write_str("the compiler is unknown (is /proc/version readable?)")
            }
            Self::NoAvx => {
                f.write_str("no AVX: only x87 and SSE registers are at risk on this processor")
            }
            Self::Preemptible => f.write_str(
                "a preemptible kernel (PREEMPT): resident stacks reduce the risk but do not \
                 remove it; upgrade the kernel",
            ),
        }
    }
}

/// The most steps that an argument has.
const MOST_STEPS: usize = 8;

/// Why the verdict is what it is: steps, in order. Holds eight; further ones are
/// dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Argument {
    steps: [Option<Step>; MOST_STEPS],
}

impl Argument {
    /// No steps.
    pub(super) const NONE: Self = Self { steps: [None; MOST_STEPS] };

    pub(super) fn push(&mut self, step: Step) {
        if let Some(free) = self.steps.iter_mut().find(|step| step.is_none()) {
            *free = Some(step);
        }
    }

    /// The steps, in the order in which they were found.
    pub fn iter(&self) -> impl Iterator<Item = Step> + '_ {
        self.steps.iter().flatten().copied()
    }

    /// Whether `step` is among them.
    #[must_use]
    pub fn contains(&self, step: Step) -> bool {
        self.iter().any(|each| each == step)
    }
}
