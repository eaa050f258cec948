//! The possible values of a plan's parts. Their names are in [`names`].

use super::names;
use super::reason::Reason;

/// One part of the plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part<T> {
    /// What to do.
    pub value: T,
    /// Why.
    pub reason: Reason,
}

impl<T> Part<T> {
    pub(super) const fn new(value: T, reason: Reason) -> Self {
        Part { value, reason }
    }
}

/// What the hooks do, least first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Duty {
    /// Pass every call through.
    Inert,
    /// Count, but change nothing.
    Observe,
    /// Make stacks resident.
    Act,
}

impl Duty {
    /// The name in messages.
    #[must_use]
    pub fn name(self) -> &'static str {
        names::DUTY.own(self as u8)
    }
}

impl From<u8> for Duty {
    /// The duty with that discriminant; `Inert` if there is none.
    fn from(value: u8) -> Self {
        let known = [Duty::Observe, Duty::Act];
        known.into_iter().find(|duty| *duty as u8 == value).unwrap_or(Duty::Inert)
    }
}

/// A way of making a stack resident.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Rung {
    /// Lock all of it.
    Lock,
    /// Lock the pages for a frame and one nested in it, and touch those below.
    Frame,
    /// Touch the pages, that is, write to them without a lock: present until
    /// evicted.
    Touch,
    /// Only report the stack, because nothing could be done.
    Report,
}

impl Rung {
    /// All rungs, best first.
    pub const ALL: [Rung; 4] = [Rung::Lock, Rung::Frame, Rung::Touch, Rung::Report];

    /// The name in messages and in `SIGWARD_ALTSTACK`.
    #[must_use]
    pub fn name(self) -> &'static str {
        names::RUNG.own(self as u8)
    }
}

/// How much of each thread's own stack is held below its start, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ordinary {
    /// Nothing.
    Off,
    /// Touch this much, once a handler exists whose frame can land there.
    Armed(usize),
    /// Lock this much, from the thread's start.
    Locked(usize),
}

/// What is done about an alternate stack that is too small.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Remedy {
    /// Nothing.
    None,
    /// Log it.
    Report,
    /// Register a larger one.
    Fix,
    /// Register a larger one if not even one frame fits on it, or if it was
    /// refused.
    Certain,
}

/// Whose alternate stacks are measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Depth {
    /// Nobody's.
    Off,
    /// Ours.
    Ours,
    /// Ours and the program's, which are painted.
    All,
}

/// How a wait for a child is carried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Strategy {
    /// Call libc.
    Off = 0,
    /// Sleep in INT 0x80.
    Int80 = 1,
    /// Use `WNOHANG` and naps.
    TwoPhase = 2,
}

impl Strategy {
    /// The name in `SIGWARD_WAIT` and in messages.
    #[must_use]
    pub fn name(self) -> &'static str {
        names::WAIT.own(self as u8)
    }
}

/// What the program sees when a handler without `SA_RESTART` interrupts its
/// wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Interrupted {
    /// EINTR, as without the library.
    Keep,
    /// Nothing: the wait goes on. For old programs that do not expect EINTR.
    Retry,
}

/// What may be written to standard error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Messages {
    /// Nothing.
    None,
    /// Only why nothing is done.
    Last,
    /// Anything.
    All,
}

/// When the functions behind the hooks are looked up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LookUp {
    /// Each when it is first needed.
    Lazy,
    /// All at load.
    AtLoad,
}

/// Which system calls made through syscall(2) are checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(clippy::struct_excessive_bools, reason = "each is a set of its own")]
pub struct Seen {
    /// Signal stacks, memory, the end of a thread.
    pub stacks: bool,
    /// Handlers.
    pub handlers: bool,
    /// Forks.
    pub forks: bool,
    /// Waits.
    pub waits: bool,
    /// Seccomp filters that the program installs.
    pub filters: bool,
}
