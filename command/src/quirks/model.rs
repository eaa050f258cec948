//! What a row of the table is made of.

use std::fmt;

use sigward::quirks::{Confidence, Quirk};

use super::ranges::Ranges;
use crate::machine::Emulator;

/// Where the defect sits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layer {
    Kernel,
    Libc,
    /// A language's runtime, or a program's own code.
    Runtime,
    /// A program that plays a kernel or a processor.
    Emulator,
}

impl Layer {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Kernel => "kernel",
            Self::Libc => "libc",
            Self::Runtime => "runtime",
            Self::Emulator => "emulator",
        }
    }
}

/// The operating system that has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum System {
    Linux,
    FreeBsd,
    NetBsd,
    OpenBsd,
    MacOs,
    Illumos,
    Other,
}

impl System {
    /// The name in `uname -s`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Linux => "Linux",
            Self::FreeBsd => "FreeBSD",
            Self::NetBsd => "NetBSD",
            Self::OpenBsd => "OpenBSD",
            Self::MacOs => "macOS",
            Self::Illumos => "illumos",
            Self::Other => "another system",
        }
    }

    pub fn named(sysname: &str) -> Self {
        match sysname {
            "Linux" => Self::Linux,
            "FreeBSD" => Self::FreeBsd,
            "NetBSD" => Self::NetBsd,
            "OpenBSD" => Self::OpenBsd,
            "Darwin" => Self::MacOs,
            "SunOS" => Self::Illumos,
            _ => Self::Other,
        }
    }
}

/// Processors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arch {
    X86_64,
    X86,
    Arm64,
    Riscv64,
    Powerpc64,
    S390x,
    Parisc,
    Mips,
    Loongarch64,
    Other,
}

impl Arch {
    /// Both kinds of x86.
    pub const ALL_X86: &[Self] = &[Self::X86_64, Self::X86];

    /// The name in `uname -m`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::X86_64 => "x86_64",
            Self::X86 => "i686",
            Self::Arm64 => "aarch64",
            Self::Riscv64 => "riscv64",
            Self::Powerpc64 => "ppc64le",
            Self::S390x => "s390x",
            Self::Parisc => "parisc",
            Self::Mips => "mips",
            Self::Loongarch64 => "loongarch64",
            Self::Other => "another processor",
        }
    }

    /// The processor of a `uname -m`, or of a distribution's name for it.
    pub fn named(machine: &str) -> Option<Self> {
        Some(match machine {
            "x86_64" | "amd64" => Self::X86_64,
            "i386" | "i486" | "i586" | "i686" | "x86" => Self::X86,
            "aarch64" | "arm64" => Self::Arm64,
            "riscv64" => Self::Riscv64,
            "ppc64" | "ppc64le" | "ppc64el" | "powerpc64" | "powerpc64le" => Self::Powerpc64,
            "s390x" => Self::S390x,
            "parisc" | "parisc64" | "hppa" => Self::Parisc,
            "mips" | "mips64" | "mipsel" | "mips64el" => Self::Mips,
            "loongarch64" | "loong64" => Self::Loongarch64,
            _ => return None,
        })
    }
}

/// A feature of the processor without which the defect cannot be met.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cpu {
    AvxOnly,
    Avx512,
    Amx,
    ShadowStack,
    Fred,
    ProtectionKeys,
    Sve,
    Sme,
    Overlay,
    Gcs,
    Vector,
    Transactions,
}

impl Cpu {
    pub const fn name(self) -> &'static str {
        match self {
            Self::AvxOnly => "AVX but not AVX2",
            Self::Avx512 => "AVX-512 or AMX",
            Self::Amx => "AMX",
            Self::ShadowStack => "user shadow stacks (CET)",
            Self::Fred => "FRED",
            Self::ProtectionKeys => "protection keys (PKU)",
            Self::Sve => "SVE",
            Self::Sme => "SME",
            Self::Overlay => "permission overlays (POE)",
            Self::Gcs => "guarded control stacks (GCS)",
            Self::Vector => "the V extension",
            Self::Transactions => "transactional memory",
        }
    }
}

/// A condition for the defect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    Cpu(Cpu),
    /// An option of the kernel's build.
    Config(&'static str),
    /// Something that only the machine's owner knows.
    That(&'static str),
    /// The program runs under this emulator.
    Under(Emulator),
    /// A musl of at least this version, or before it.
    Musl(Musl),
}

/// Versions of musl.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Musl {
    pub from: (u32, u32, u32),
    /// The first version without the defect.
    pub fixed: Option<(u32, u32, u32)>,
}

impl fmt::Display for Need {
    /// What follows "applies if".
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cpu(cpu) => write!(f, "the CPU has {}", cpu.name()),
            Self::Config(option) => write!(f, "the kernel has {option}"),
            Self::That(what) => f.write_str(what),
            Self::Under(emulator) => write!(f, "this is {}", emulator.name()),
            Self::Musl(Musl { from: (a, b, c), fixed: None }) => {
                write!(f, "programs use musl {a}.{b}.{c} or later")
            }
            Self::Musl(Musl { fixed: Some((a, b, c)), .. }) => {
                write!(f, "programs use a musl before {a}.{b}.{c}")
            }
        }
    }
}

/// How the affected versions are known.
#[derive(Clone, Copy)]
pub enum Versions {
    /// The kernel CNA's record of this CVE.
    Record(&'static str),
    /// Other sources that give versions.
    Sourced(&'static Ranges),
    /// Ranges inferred from dates or commits: they never say "affected".
    Inferred(&'static Ranges),
    /// The library acts on it, and has a judge of its own for it.
    Acted(&'static Quirk),
    /// Every version: the sizes of today's processors, or a matter of programs.
    Every,
    /// Only the text of the row says what is known.
    Unknown,
}

/// What makes it happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trigger {
    FaultInFrame,
    AnyReturn,
    AnySignal,
    Restart,
    Size,
    CraftedFrame,
    Race,
}

impl Trigger {
    pub const fn name(self) -> &'static str {
        match self {
            Self::FaultInFrame => "a page fault in a signal frame",
            Self::AnyReturn => "any return from a handler",
            Self::AnySignal => "any signal",
            Self::Restart => "a restarted system call",
            Self::Size => "a stack too small for the frame",
            Self::CraftedFrame => "a frame that the kernel did not write (checkpoint/restore)",
            Self::Race => "a race inside the kernel",
        }
    }
}

/// Who meets it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whom {
    Everyone,
    /// Only checkpoint/restore (CRIU), gVisor, debuggers: those that make frames by hand.
    FrameMakers,
    /// Only programs of this kind.
    Programs(&'static str),
}

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Harm {
    /// Registers or memory are silently wrong.
    Data,
    /// A program or the kernel dies or hangs.
    Crash,
    /// A warning, a delay, an odd state.
    Slight,
}

impl Harm {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Data => "silently wrong data",
            Self::Crash => "a crash or a hang",
            Self::Slight => "a warning or an odd state",
        }
    }
}

/// What user space can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cure {
    ResidentStacks,
    NoRestart,
    Room,
    TrueSize,
    Limit,
    /// A variable of the environment, as `NAME=VALUE`.
    Environment(&'static str),
    Disarm,
    /// A wrapper around each handler that keeps registers.
    Registers,
    Nothing,
}

impl Cure {
    pub const fn name(self) -> &'static str {
        match self {
            Self::ResidentStacks => "resident signal stacks",
            Self::NoRestart => "waits that are never restarted",
            Self::Room => "larger alternate stacks",
            Self::TrueSize => "the frame's true size",
            Self::Limit => "a higher limit",
            Self::Environment(_) => "a setting of the runtime",
            Self::Disarm => "disarming a stack before it is unmapped",
            Self::Registers => "registers kept around each handler",
            Self::Nothing => "nothing",
        }
    }
}

/// How much of it sigward does, with the library for that processor, unless the row says
/// otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// sigward removes it. The text says by what.
    Cured(&'static str),
    /// sigward makes it rarer, or removes it for some programs. The text says which part stays.
    Reduced(&'static str),
    /// sigward only says so.
    Told,
}

impl Reach {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Cured(_) => "cured",
            Self::Reduced(_) => "reduced",
            Self::Told => "told only",
        }
    }
}

/// How deep the row is proven.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Proof {
    /// Shown on a kernel that has the defect.
    Shown,
    /// The defect is imitated; the cure is tested against that.
    Pretended,
    /// Read in the sources named.
    Read,
}

impl Proof {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Shown => "shown in a VM",
            Self::Pretended => "pretended",
            Self::Read => "read only",
        }
    }
}

/// One defect.
pub struct Row {
    pub id: &'static str,
    pub layer: Layer,
    pub system: System,
    /// Empty for every processor.
    pub arches: &'static [Arch],
    /// All of them must hold.
    pub needs: &'static [Need],
    pub versions: Versions,
    pub trigger: Trigger,
    pub whom: Whom,
    pub harm: Harm,
    pub cure: Cure,
    pub reach: Reach,
    pub proof: Proof,
    pub confidence: Confidence,
    /// What goes wrong, in one sentence without a full stop.
    pub summary: &'static str,
    /// What to do, besides a kernel that has the fix. May be empty.
    pub instead: &'static str,
    /// Where the row comes from, besides a record.
    pub source: &'static str,
}

impl Row {
    /// Whether an affected machine's owner must hear of it unasked.
    pub fn alarms(&self) -> bool {
        self.layer == Layer::Kernel && self.whom == Whom::Everyone
    }
}
