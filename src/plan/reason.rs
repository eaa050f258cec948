//! The one list of reasons: for each part of a plan, and for what the block
//! publishes.

/// The reason for a part of the plan. The command has the words for it.
///
/// Those up to [`FilterNotTried`](Reason::FilterNotTried) can be the reason for
/// a duty. The block publishes them, and [`names::REASON`](super::names::REASON)
/// names them: their values never change, and new ones need a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Reason {
    /// The constructor has not decided yet.
    Undecided = 0,
    /// Its variable is set to it.
    Set = 1,
    /// `SIGWARD_ONLY` or `SIGWARD_EXCEPT` excludes the program.
    Excluded = 2,
    /// The environment of a setuid program's caller must not control it.
    SecureExecution = 3,
    /// Without an environment the user's wishes are unknown.
    NoEnvironment = 4,
    /// The kernel has the defect.
    KernelAffected = 5,
    /// The kernel may have the defect: its version is in a range.
    KernelInRange = 6,
    /// The kernel does not have the defect.
    KernelNotAffected = 7,
    /// The kernel is not recognised, and its version is in no range.
    KernelUnknown = 8,
    /// `SIGWARD_SIZE` asks for it, on every kernel.
    SmallStacks = 9,
    /// [`Obstacle::Sanitizer`](super::Obstacle::Sanitizer).
    Sanitizer = 10,
    /// [`Obstacle::Valgrind`](super::Obstacle::Valgrind).
    Valgrind = 11,
    /// [`Obstacle::Overridden`](super::Obstacle::Overridden).
    Overridden = 12,
    /// [`Obstacle::Gvisor`](super::Obstacle::Gvisor).
    Gvisor = 13,
    /// [`Obstacle::UnknownLibc`](super::Obstacle::UnknownLibc).
    UnknownLibc = 14,
    /// [`Obstacle::Killed`](super::Obstacle::Killed).
    FilterKills = 15,
    /// [`Obstacle::Refused`](super::Obstacle::Refused).
    FilterRefuses = 16,
    /// [`Obstacle::Untried`](super::Obstacle::Untried).
    FilterNotTried = 17,
    /// Nothing was set: this is the default.
    Default,
    /// The duty does not need it.
    Duty,
    /// The kernel restarts waits correctly.
    WaitsAreRight,
    /// The kernel has no `int 0x80` that can be relied on.
    NoInt80,
    /// There is something to write.
    Messages,
    /// There is nothing to write.
    NoMessages,
    /// A seccomp filter does not allow a line to be written.
    WriteForbidden,
    /// A seccomp filter could not be tried out: it may kill the process for a
    /// write.
    WriteNotTried,
    /// `AT_MINSIGSTKSZ`, which the kernel passes at exec.
    AuxiliaryVector,
    /// The processor's CPUID.
    Cpuid,
    /// The program relies on the place of the stack that it sets.
    PlaceMatters,
    /// A valgrind tool that looks for races would report a look-up at first use
    /// as one.
    RaceDetector,
}
