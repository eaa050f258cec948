//! Every variable that sigward reads, in one table that the documents are made
//! from.

use core::fmt;

use super::values::{
    Altstack, AltstackAll, Depth, Fork, Inherit, Log, Mode, SmallStacks, Stack, Stats, Wait,
    WaitEintr,
};

/// What a variable accepts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Accepted {
    /// One of these words; the first one is the default.
    Words(&'static str),
    /// One of these words, or a size.
    WordsOrSize(&'static str),
    /// A size.
    Size,
    /// Comma-separated patterns.
    Globs,
    /// Comma-separated signals.
    Signals,
}

impl fmt::Display for Accepted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Words(words) => f.write_str(words),
            Self::WordsOrSize(words) => write!(f, "{words}, {SIZE}"),
            Self::Size => f.write_str(SIZE),
            Self::Globs => f.write_str("comma-separated patterns with * and ?"),
            Self::Signals => {
                f.write_str("comma-separated signals by name or number, such as SEGV,BUS,35")
            }
        }
    }
}

const SIZE: &str = "a number of bytes (suffix K, M or G)";

/// Which field of [`Config`](super::Config) a row fills.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Field {
    Mode,
    Altstack,
    Stack,
    Fork,
    Wait,
    WaitEintr,
    SmallStacks,
    Room,
    AltstackAll,
    Onstack,
    ThreadStackMin,
    Depth,
    Frame,
    Log,
    Stats,
    Only,
    Except,
    Inherit,
}

/// One row of [`TABLE`]. Its descriptions are functions, so that the library
/// does not contain those it never asks for.
#[derive(Debug, PartialEq, Eq)]
pub struct Variable {
    /// The name in the environment.
    pub name: &'static str,
    pub(super) field: Field,
}

impl Variable {
    /// The values that the variable accepts.
    #[must_use]
    pub const fn accepted(&self) -> Accepted {
        match self.field {
            Field::Mode => Accepted::Words(Mode::LIST),
            Field::Altstack => Accepted::Words(Altstack::LIST),
            Field::Stack => Accepted::WordsOrSize(Stack::LIST),
            Field::Fork => Accepted::Words(Fork::LIST),
            Field::Wait => Accepted::Words(Wait::LIST),
            Field::WaitEintr => Accepted::Words(WaitEintr::LIST),
            Field::SmallStacks => Accepted::Words(SmallStacks::LIST),
            Field::AltstackAll => Accepted::Words(AltstackAll::LIST),
            Field::Onstack => Accepted::Signals,
            Field::Depth => Accepted::Words(Depth::LIST),
            Field::Room | Field::ThreadStackMin | Field::Frame => Accepted::Size,
            Field::Log => Accepted::Words(Log::LIST),
            Field::Stats => Accepted::Words(Stats::LIST),
            Field::Only | Field::Except => Accepted::Globs,
            Field::Inherit => Accepted::Words(Inherit::LIST),
        }
    }

    /// The value that applies if the variable is missing or empty; empty if
    /// there is none.
    #[must_use]
    pub fn default(&self) -> &'static str {
        match self.accepted() {
            Accepted::Words(words) | Accepted::WordsOrSize(words) => {
                words.split(", ").next().unwrap_or("")
            }
            Accepted::Size | Accepted::Globs | Accepted::Signals => "",
        }
    }

    /// What the variable does, in one line.
    #[must_use]
    pub const fn meaning(&self) -> &'static str {
        match self.field {
            Field::Mode => {
                "act only on an affected kernel, on every kernel, or never; or only count what \
                 would be done"
            }
            Field::Altstack => "the first step to try to keep alternate signal stacks resident",
            Field::Stack => {
                "how much of each thread's own stack to keep resident; auto does so only once a \
                 handler can use it, and without a lock"
            }
            Field::Fork => {
                "what a forked child finds in other threads' alternate stacks: zeroes, where that \
                 loses nothing, or a copy"
            }
            Field::Wait => "how the program waits for a child",
            Field::WaitEintr => "whether an interrupted wait fails with EINTR or waits again",
            Field::SmallStacks => {
                "what to do about alternate stacks that are too small; auto replaces those on which \
                 not even one signal frame fits"
            }
            Field::Room => {
                "bytes that handlers need beside their frames (24K if not set): report and fix judge \
                 a stack by that, and a larger one has room for it"
            }
            Field::AltstackAll => {
                "whether to give an alternate stack to every thread that has none, the main one \
                 included"
            }
            Field::Onstack => {
                "run the program's handlers of these signals on alternate stacks: add SA_ONSTACK"
            }
            Field::ThreadStackMin => "give new threads at least this much stack",
            Field::Depth => {
                "print how many bytes of alternate stacks were used at most when the program ends; \
                 paint measures the program's own stacks too, and overwrites them for that"
            }
            Field::Frame => "pretend that signal frames have this size (for tests)",
            Field::Log => "the most detailed level of messages on standard error",
            Field::Stats => "print one line of counts on standard error when the program ends",
            Field::Only => "do nothing in programs whose name matches none of the patterns",
            Field::Except => "do nothing in programs whose name matches any of the patterns",
            Field::Inherit => "whether programs that this one starts get the library too",
        }
    }
}

const fn variable(name: &'static str, field: Field) -> Variable {
    Variable { name, field }
}

/// Every variable that sigward reads, in the order of `docs/environment.md`.
pub static TABLE: &[Variable] = &[
    variable("SIGWARD", Field::Mode),
    variable("SIGWARD_ALTSTACK", Field::Altstack),
    variable("SIGWARD_STACK", Field::Stack),
    variable("SIGWARD_FORK", Field::Fork),
    variable("SIGWARD_WAIT", Field::Wait),
    variable("SIGWARD_WAIT_EINTR", Field::WaitEintr),
    variable("SIGWARD_SIZE", Field::SmallStacks),
    variable("SIGWARD_SIZE_ROOM", Field::Room),
    variable("SIGWARD_ALTSTACK_ALL", Field::AltstackAll),
    variable("SIGWARD_ONSTACK", Field::Onstack),
    variable("SIGWARD_THREAD_STACK_MIN", Field::ThreadStackMin),
    variable("SIGWARD_DEPTH", Field::Depth),
    variable("SIGWARD_FRAME", Field::Frame),
    variable("SIGWARD_LOG", Field::Log),
    variable("SIGWARD_STATS", Field::Stats),
    variable("SIGWARD_ONLY", Field::Only),
    variable("SIGWARD_EXCEPT", Field::Except),
    variable("SIGWARD_INHERIT", Field::Inherit),
];
