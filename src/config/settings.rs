//! The settings of one process.

use core::fmt;

use super::signals::Signals;
use super::table::{Field, TABLE};
use super::values::{
    Altstack, AltstackAll, Depth, Fork, Inherit, Log, Mode, SmallStacks, Stack, Stats, Wait,
    WaitEintr, bytes,
};

/// The settings of one process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Config {
    /// `SIGWARD`; also [`Mode::Off`] if `SIGWARD_ONLY` or `SIGWARD_EXCEPT`
    /// exclude the program.
    pub mode: Mode,
    /// `SIGWARD_ALTSTACK`.
    pub altstack: Altstack,
    /// `SIGWARD_STACK`.
    pub stack: Stack,
    /// `SIGWARD_FORK`.
    pub fork: Fork,
    /// `SIGWARD_WAIT`.
    pub wait: Wait,
    /// `SIGWARD_WAIT_EINTR`.
    pub wait_eintr: WaitEintr,
    /// `SIGWARD_SIZE`.
    pub small_stacks: SmallStacks,
    /// `SIGWARD_SIZE_ROOM`, in bytes.
    pub room: Option<usize>,
    /// `SIGWARD_ALTSTACK_ALL`.
    pub altstack_all: AltstackAll,
    /// `SIGWARD_ONSTACK`.
    pub onstack: Signals,
    /// `SIGWARD_THREAD_STACK_MIN`, in bytes.
    pub thread_stack_min: Option<usize>,
    /// `SIGWARD_DEPTH`.
    pub depth: Depth,
    /// `SIGWARD_FRAME`, in bytes.
    pub frame: Option<usize>,
    /// `SIGWARD_LOG`.
    pub log: Log,
    /// `SIGWARD_STATS`.
    pub stats: Stats,
    /// `SIGWARD_INHERIT`.
    pub inherit: Inherit,
    /// Whether `SIGWARD_ONLY` or `SIGWARD_EXCEPT` excluded the program.
    pub excluded: bool,
}

impl Config {
    /// The settings for an empty environment.
    pub const DEFAULT: Self = Self {
        mode: Mode::Auto,
        altstack: Altstack::Auto,
        stack: Stack::Auto,
        fork: Fork::Auto,
        wait: Wait::Auto,
        wait_eintr: WaitEintr::Keep,
        small_stacks: SmallStacks::Auto,
        room: None,
        altstack_all: AltstackAll::Off,
        onstack: Signals::NONE,
        thread_stack_min: None,
        depth: Depth::Off,
        frame: None,
        log: Log::Off,
        stats: Stats::Off,
        inherit: Inherit::On,
        excluded: false,
    };

    /// The effective value of each variable, in the order of [`TABLE`]. Leaves
    /// out the two pattern lists: the mode shows their result.
    pub fn describe(self) -> impl Iterator<Item = (&'static str, Shown)> {
        TABLE.iter().filter_map(move |variable| {
            let shown = match variable.field {
                Field::Mode => Shown::Word(self.mode.as_str()),
                Field::Altstack => Shown::Word(self.altstack.as_str()),
                Field::Stack => match self.stack {
                    Stack::Auto => Shown::Word("auto"),
                    Stack::Off => Shown::Word("off"),
                    Stack::Full => Shown::Word("full"),
                    Stack::Bytes(bytes) => Shown::Bytes(bytes),
                },
                Field::Fork => Shown::Word(self.fork.as_str()),
                Field::Wait => Shown::Word(self.wait.as_str()),
                Field::WaitEintr => Shown::Word(self.wait_eintr.as_str()),
                Field::SmallStacks => Shown::Word(self.small_stacks.as_str()),
                Field::Room => self.room.map_or(Shown::Word(""), Shown::Bytes),
                Field::AltstackAll => Shown::Word(self.altstack_all.as_str()),
                Field::Onstack => Shown::Signals(self.onstack),
                Field::ThreadStackMin => {
                    self.thread_stack_min.map_or(Shown::Word(""), Shown::Bytes)
                }
                Field::Depth => Shown::Word(self.depth.as_str()),
                Field::Frame => self.frame.map_or(Shown::Word(""), Shown::Bytes),
                Field::Log => Shown::Word(self.log.as_str()),
                Field::Stats => Shown::Word(self.stats.as_str()),
                Field::Inherit => Shown::Word(self.inherit.as_str()),
                Field::Only | Field::Except => return None,
            };
            Some((variable.name, shown))
        })
    }

    /// Sets a field. False if the value is not accepted; the field then keeps
    /// its default.
    pub(super) fn set(&mut self, field: Field, value: &[u8]) -> bool {
        fn put<T>(place: &mut T, value: Option<T>) -> bool {
            value.map(|value| *place = value).is_some()
        }
        match field {
            Field::Mode => put(&mut self.mode, Mode::from_word(value)),
            Field::Altstack => put(&mut self.altstack, Altstack::from_word(value)),
            Field::Stack => put(&mut self.stack, Stack::from_value(value)),
            Field::Fork => put(&mut self.fork, Fork::from_word(value)),
            Field::Wait => put(&mut self.wait, Wait::from_word(value)),
            Field::WaitEintr => put(&mut self.wait_eintr, WaitEintr::from_word(value)),
            Field::SmallStacks => put(&mut self.small_stacks, SmallStacks::from_word(value)),
            Field::Room => put(&mut self.room, bytes(value).map(Some)),
            Field::AltstackAll => put(&mut self.altstack_all, AltstackAll::from_word(value)),
            Field::Onstack => put(&mut self.onstack, Signals::from_list(value)),
            Field::ThreadStackMin => put(&mut self.thread_stack_min, bytes(value).map(Some)),
            Field::Depth => put(&mut self.depth, Depth::from_word(value)),
            Field::Frame => put(&mut self.frame, bytes(value).map(Some)),
            Field::Log => put(&mut self.log, Log::from_word(value)),
            Field::Stats => put(&mut self.stats, Stats::from_word(value)),
            Field::Inherit => put(&mut self.inherit, Inherit::from_word(value)),
            Field::Only | Field::Except => true,
        }
    }
}

impl Default for Config {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// An effective value, ready to print.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shown {
    /// A word; empty if not set.
    Word(&'static str),
    /// A number of bytes.
    Bytes(usize),
    /// A set of signals.
    Signals(Signals),
}

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Word(word) => f.write_str(word),
            Self::Bytes(bytes) => write!(f, "{bytes}"),
            Self::Signals(signals) => write!(f, "{signals}"),
        }
    }
}
