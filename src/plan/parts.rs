//! What the parts of a plan can be, and the reasons for them. Their names are
//! in [`names`].

use super::names;

/// Why a part of the plan is as it is. The words for it are the command's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Why {
    /// Nothing was said, and this is what is done then.
    Default,
    /// Its variable says so.
    Set,
    /// `SIGWARD_ONLY` or `SIGWARD_EXCEPT` leaves the program out.
    Excluded,
    /// A setuid program must not be steered by its caller's environment.
    Secure,
    /// Without an environment nothing is known of the user's wishes.
    NoEnvironment,
    /// The kernel is affected.
    Affected,
    /// The kernel may be affected: a range holds it.
    InRange,
    /// The kernel is not affected.
    NotAffected,
    /// Nothing is known of the kernel, and no range holds it.
    UnknownKernel,
    /// The kernel restarts waits as it should.
    WaitsAreRight,
    /// `SIGWARD_SIZE` asks for it, on every kernel.
    SmallStacks,
    /// [`Plan::obstacle`](super::Plan::obstacle).
    Obstacle,
    /// The duty is one that does without.
    Duty,
    /// Stacks are seen anyway.
    AtWork,
    /// There is something to say.
    Talkative,
    /// There is nothing to say.
    Silent,
    /// A seccomp filter does not let a line be written.
    Filter,
    /// A seccomp filter could not be tried out: it may kill for a write.
    Untried,
    /// The kernel said so at exec.
    Told,
    /// The processor says so.
    Cpu,
    /// To a tool that looks for races, what is found at its first use is one.
    BookKeeper,
}

/// One part of the plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part<T> {
    /// What is to be done.
    pub value: T,
    /// Why.
    pub why: Why,
}

impl<T> Part<T> {
    pub(super) const fn new(value: T, why: Why) -> Self {
        Part { value, why }
    }
}

/// What the hooks do, least first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Duty {
    /// Straight through.
    Inert,
    /// Count, change nothing.
    Observe,
    /// Make stacks resident.
    Act,
}

impl Duty {
    /// Its name in messages.
    #[must_use]
    pub fn name(self) -> &'static str {
        names::DUTY.own(self as u8)
    }
}

impl From<u8> for Duty {
    /// The duty with that discriminant; `Inert` for none.
    fn from(value: u8) -> Self {
        let known = [Duty::Observe, Duty::Act];
        known.into_iter().find(|duty| *duty as u8 == value).unwrap_or(Duty::Inert)
    }
}

/// A way of making a stack resident.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Rung {
    /// All of it locked.
    Lock,
    /// The pages locked that a frame and one nested in it need, and those
    /// below touched.
    Frame,
    /// Touched, which is written to without a lock: present until evicted.
    Touch,
    /// Nothing could be done: reported only.
    Report,
}

impl Rung {
    /// All rungs, best first.
    pub const ALL: [Rung; 4] = [Rung::Lock, Rung::Frame, Rung::Touch, Rung::Report];

    /// Its name in messages and in `SIGWARD_ALTSTACK`.
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
    /// So much is touched, from the moment when a handler exists whose frame
    /// can land there.
    Armed(usize),
    /// So much is locked, from the thread's start.
    Locked(usize),
}

/// What is done about an alternate stack that is too small.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Remedy {
    /// Nothing.
    None,
    /// It is logged.
    Report,
    /// The kernel gets a larger one.
    Fix,
}

/// How a wait for a child is carried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Strategy {
    /// As libc does it.
    Off = 0,
    /// It sleeps in INT 0x80.
    Int80 = 1,
    /// Waits are `WNOHANG` and naps.
    TwoPhase = 2,
}

impl Strategy {
    /// Its name in `SIGWARD_WAIT` and in messages.
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
    /// EINTR, as ever.
    Keep,
    /// Nothing: the wait goes on. For old programs that do not expect EINTR.
    Retry,
}

/// What may be written to standard error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Words {
    /// Nothing.
    None,
    /// Why nothing is done, and no more.
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

/// Which system calls made through syscall(2) are looked at.
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
