//! Every `SIGWARD_*` variable: one table, one parser over bytes.
//!
//! [`TABLE`] is what the README, `docs/environment.md` and the command are
//! checked against. [`parse`] is async-signal-safe: it neither allocates nor
//! panics, makes no system call and reads nothing but its arguments. In an
//! environment without `SIGWARD` variables it costs one prefix comparison per
//! variable.

use core::fmt;

/// An enum whose values are words; the first one is the default. Behind `|`
/// stand older words for a value, which are not shown.
macro_rules! words {
    (
        $(#[$doc:meta])*
        $name:ident {
            $(#[$first_doc:meta])* $first:ident = $first_word:literal $(| $first_alias:literal)*,
            $($(#[$value_doc:meta])* $value:ident = $word:literal $(| $alias:literal)*,)*
        }
    ) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum $name { $(#[$first_doc])* $first, $($(#[$value_doc])* $value,)* }

        impl $name {
            /// The accepted words; the first one is the default.
            pub const WORDS: &'static [&'static str] = &[$first_word, $($word),*];

            /// The same as a text.
            const LIST: &'static str = concat!($first_word $(, ", ", $word)*);

            /// The word for this value.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { Self::$first => $first_word, $(Self::$value => $word),* }
            }

            fn from_word(word: &[u8]) -> Option<Self> {
                $(if word == $first_alias.as_bytes() { return Some(Self::$first); })*
                if word == $first_word.as_bytes() { return Some(Self::$first); }
                $(
                    $(if word == $alias.as_bytes() { return Some(Self::$value); })*
                    if word == $word.as_bytes() { return Some(Self::$value); }
                )*
                None
            }
        }
    };
}

words! {
    /// `SIGWARD`: whether to act at all.
    Mode {
        /// Act only on an affected kernel.
        Auto = "auto",
        /// Act on every kernel.
        On = "on",
        /// Be inert.
        Off = "off",
        /// Count what would be done, change nothing.
        Observe = "observe",
    }
}

words! {
    /// `SIGWARD_ALTSTACK`: the rung of the residency ladder to start from.
    Altstack {
        /// From the top rung that fits.
        Auto = "auto",
        /// Lock the whole stack.
        Lock = "lock",
        /// Lock the pages that a frame needs, touch those below.
        Frame = "frame",
        /// Touch without locking.
        Touch = "touch",
        /// Leave alternate stacks alone.
        Off = "off",
    }
}

/// `SIGWARD_STACK`: how much of each ordinary thread stack is made resident.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stack {
    /// A window where a handler's frame can land, touched and not locked.
    Auto,
    /// Nothing.
    Off,
    /// This many bytes below the thread's start.
    Bytes(usize),
    /// All of it.
    Full,
}

words! {
    /// `SIGWARD_FORK`: the stacks of other threads in a forked child.
    Fork {
        /// Zeroes, where a stack is proven to be nothing else.
        Auto = "auto",
        /// Copies, as without the library.
        Copy = "copy",
    }
}

words! {
    /// `SIGWARD_WAIT`: how a wait for a child enters the kernel.
    Wait {
        /// The cure of an affected kernel; nothing on Linux.
        Auto = "auto",
        /// Straight through.
        Off = "off",
        /// Block in INT 0x80.
        Int80 = "int80",
        /// Block in a call that can be restarted harmlessly, then reap.
        TwoPhase = "two-phase",
    }
}

words! {
    /// `SIGWARD_WAIT_EINTR`: what an interrupted wait does.
    WaitEintr {
        /// Fail with EINTR, as without the library.
        Keep = "keep",
        /// Wait again.
        Retry = "retry",
    }
}

words! {
    /// `SIGWARD_SIZE`: alternate stacks that are too small for a frame.
    SmallStacks {
        /// What the verdict asks for.
        Auto = "auto",
        /// Leave them alone.
        Off = "off",
        /// Log them.
        Report = "report",
        /// Put a larger one in their place.
        Fix = "fix",
    }
}

words! {
    /// `SIGWARD_LOG`: the most detailed level that is written to stderr. Of
    /// `error` and `trace`, which older versions took, no message ever was.
    Log {
        /// Silence.
        Off = "off" | "error",
        /// Refusals that an operator should know of.
        Warn = "warn",
        /// And decisions.
        Info = "info",
        /// And each stack.
        Debug = "debug" | "trace",
    }
}

words! {
    /// `SIGWARD_STATS`: one line of counts at exit.
    Stats {
        /// No line.
        Off = "0",
        /// One line.
        On = "1",
    }
}

impl Stack {
    const LIST: &'static str = "auto, off, full";

    fn from_value(value: &[u8]) -> Option<Self> {
        match value {
            b"auto" => Some(Self::Auto),
            b"off" => Some(Self::Off),
            b"full" => Some(Self::Full),
            _ => bytes(value).map(Self::Bytes),
        }
    }
}

/// What a variable accepts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Accepted {
    /// One of these words, the first of which is the default.
    Words(&'static str),
    /// One of these words, or a size.
    WordsOrSize(&'static str),
    /// A size.
    Size,
    /// Comma-separated patterns.
    Globs,
}

impl fmt::Display for Accepted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Words(words) => f.write_str(words),
            Self::WordsOrSize(words) => write!(f, "{words}, {SIZE}"),
            Self::Size => f.write_str(SIZE),
            Self::Globs => f.write_str("comma-separated patterns with * and ?"),
        }
    }
}

const SIZE: &str = "a number of bytes (suffix K, M or G)";

/// Which field of [`Config`] a row fills.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Field {
    Mode,
    Altstack,
    Stack,
    Fork,
    Wait,
    WaitEintr,
    SmallStacks,
    Frame,
    Log,
    Stats,
    Only,
    Except,
}

/// One row of [`TABLE`]. What it says of itself are functions: the library, which
/// does not ask for all of it, does not carry it.
#[derive(Debug, PartialEq, Eq)]
pub struct Variable {
    /// The name in the environment.
    pub name: &'static str,
    field: Field,
}

impl Variable {
    /// What it accepts.
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
            Field::Frame => Accepted::Size,
            Field::Log => Accepted::Words(Log::LIST),
            Field::Stats => Accepted::Words(Stats::LIST),
            Field::Only | Field::Except => Accepted::Globs,
        }
    }

    /// The value that absence, or an empty value, stands for; empty if none.
    #[must_use]
    pub fn default(&self) -> &'static str {
        match self.accepted() {
            Accepted::Words(words) | Accepted::WordsOrSize(words) => {
                words.split(", ").next().unwrap_or("")
            }
            Accepted::Size | Accepted::Globs => "",
        }
    }

    /// What it does, in one line.
    #[must_use]
    pub const fn meaning(&self) -> &'static str {
        match self.field {
            Field::Mode => {
                "act only on an affected kernel, act always, be inert, or count without acting"
            }
            Field::Altstack => "the step from which alternate signal stacks are made resident",
            Field::Stack => {
                "how much of each ordinary thread stack is made resident: by itself only while a \
                 handler can use it, and without a lock"
            }
            Field::Fork => {
                "whether a forked child finds zeroes in other threads' alternate stacks, or a copy"
            }
            Field::Wait => "how a wait for a child enters the kernel",
            Field::WaitEintr => "whether an interrupted wait fails as before or waits again",
            Field::SmallStacks => "what to do about alternate stacks too small for a signal frame",
            Field::Frame => "pretend that a signal frame has this size (for tests)",
            Field::Log => "the most detailed level of messages on standard error",
            Field::Stats => "one line of counts on standard error when the program ends",
            Field::Only => "be inert in programs whose name matches none of the patterns",
            Field::Except => "be inert in programs whose name matches one of the patterns",
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
    variable("SIGWARD_FRAME", Field::Frame),
    variable("SIGWARD_LOG", Field::Log),
    variable("SIGWARD_STATS", Field::Stats),
    variable("SIGWARD_ONLY", Field::Only),
    variable("SIGWARD_EXCEPT", Field::Except),
];

/// The settings of one process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Config {
    /// `SIGWARD`; [`Mode::Off`] also where `SIGWARD_ONLY` or `SIGWARD_EXCEPT`
    /// leave the program out.
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
    /// `SIGWARD_FRAME`, in bytes.
    pub frame: Option<usize>,
    /// `SIGWARD_LOG`.
    pub log: Log,
    /// `SIGWARD_STATS`.
    pub stats: Stats,
    /// Whether `SIGWARD_ONLY` or `SIGWARD_EXCEPT` left the program out.
    pub excluded: bool,
}

impl Config {
    /// What an empty environment gives.
    pub const DEFAULT: Self = Self {
        mode: Mode::Auto,
        altstack: Altstack::Auto,
        stack: Stack::Auto,
        fork: Fork::Auto,
        wait: Wait::Auto,
        wait_eintr: WaitEintr::Keep,
        small_stacks: SmallStacks::Auto,
        frame: None,
        log: Log::Off,
        stats: Stats::Off,
        excluded: false,
    };

    /// The effective value of each variable, in the order of [`TABLE`]. The
    /// two pattern lists are left out: their outcome is in the mode.
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
                Field::Frame => self.frame.map_or(Shown::Word(""), Shown::Bytes),
                Field::Log => Shown::Word(self.log.as_str()),
                Field::Stats => Shown::Word(self.stats.as_str()),
                Field::Only | Field::Except => return None,
            };
            Some((variable.name, shown))
        })
    }

    /// False if the value is not accepted; the field then keeps its default.
    fn set(&mut self, field: Field, value: &[u8]) -> bool {
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
            Field::Frame => put(&mut self.frame, bytes(value).map(Some)),
            Field::Log => put(&mut self.log, Log::from_word(value)),
            Field::Stats => put(&mut self.stats, Stats::from_word(value)),
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
    /// A word; empty = not set.
    Word(&'static str),
    /// A number of bytes.
    Bytes(usize),
}

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Word(word) => f.write_str(word),
            Self::Bytes(bytes) => write!(f, "{bytes}"),
        }
    }
}

/// A variable that is not obeyed, because of its value or its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadValue<'a> {
    /// The name as found.
    pub name: &'a [u8],
    /// The value as found.
    pub value: &'a [u8],
    /// What would be accepted; `None` = no variable has this name.
    pub accepted: Option<Accepted>,
}

impl fmt::Display for BadValue<'_> {
    /// Names the variable, the value and the remedy.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}: ", self.name.escape_ascii(), self.value.escape_ascii())?;
        match self.accepted {
            Some(accepted) => write!(f, "not accepted; accepted: {accepted}"),
            None => f.write_str("no such variable; see `sigward run --help`"),
        }
    }
}

/// What the name of each variable begins with.
pub const PREFIX: &[u8] = b"SIGWARD";

/// Reads the settings from `environ` (`NAME=VALUE` each) for the program at
/// the path `program`.
///
/// The first of several variables of one name counts, as for `getenv`. An
/// empty value stands for the default, and so does one that is not accepted,
/// after a call of `warn`.
pub fn parse<'a>(
    environ: impl Iterator<Item = &'a [u8]>,
    program: &[u8],
    mut warn: impl FnMut(BadValue<'a>),
) -> Config {
    let mut config = Config::DEFAULT;
    let mut seen = 0_u32;
    let (mut only, mut except): (&[u8], &[u8]) = (b"", b"");
    for variable in environ {
        if !variable.starts_with(PREFIX) {
            continue;
        }
        let Some((name, value)) = split_at_equals(variable) else {
            continue;
        };
        let Some(row) = TABLE.iter().find(|row| row.name.as_bytes() == name) else {
            // `SIGWARDEN` is somebody else's.
            if name.get(PREFIX.len()) == Some(&b'_') && !is_service_link(name, value) {
                warn(BadValue { name, value, accepted: None });
            }
            continue;
        };
        let bit = 1_u32 << row.field as u32;
        if seen & bit != 0 {
            continue;
        }
        seen |= bit;
        match row.field {
            _ if value.is_empty() => {}
            Field::Only => only = value,
            Field::Except => except = value,
            field => {
                if !config.set(field, value) {
                    warn(BadValue { name, value, accepted: Some(row.accepted()) });
                }
            }
        }
    }
    let name = base_name(program);
    config.excluded =
        (patterns(only).next().is_some() && !listed(only, name)) || listed(except, name);
    if config.excluded {
        config.mode = Mode::Off;
    }
    config
}

/// Whether this is one of the variables that Kubernetes gives every container
/// of a namespace for each Service in it: one named `sigward`, or
/// `sigward-` and anything, makes such of our prefix. Nobody has set them, so
/// they are nobody's mistake.
///
/// Source: Kubernetes, "Connecting Applications with Services", which for the
/// `_PORT` ones follows Docker's container links.
fn is_service_link(name: &[u8], value: &[u8]) -> bool {
    const PROTOCOLS: [&[u8]; 3] = [b"TCP", b"UDP", b"SCTP"];
    if name.ends_with(b"_SERVICE_HOST") {
        return true;
    }
    if name.ends_with(b"_PORT") && value.windows(3).any(|part| part == b"://") {
        return true;
    }
    // From the last word to the first, with the two behind each.
    let (mut next, mut second): (&[u8], &[u8]) = (b"", b"");
    name.rsplit(|byte| *byte == b'_').any(|word| {
        let number = !next.is_empty() && next.iter().all(u8::is_ascii_digit);
        let found = (word == b"SERVICE" && next == b"PORT")
            || (word == b"PORT" && number && PROTOCOLS.contains(&second));
        (next, second) = (word, next);
        found
    })
}

fn split_at_equals(variable: &[u8]) -> Option<(&[u8], &[u8])> {
    let at = variable.iter().position(|byte| *byte == b'=')?;
    Some((variable.get(..at)?, variable.get(at..)?.strip_prefix(b"=")?))
}

/// What follows the last slash.
#[must_use]
pub fn base_name(path: &[u8]) -> &[u8] {
    path.rsplit(|byte| *byte == b'/').next().unwrap_or(path)
}

fn patterns(list: &[u8]) -> impl Iterator<Item = &[u8]> {
    list.split(|byte| *byte == b',').map(<[u8]>::trim_ascii).filter(|pattern| !pattern.is_empty())
}

fn listed(list: &[u8], name: &[u8]) -> bool {
    patterns(list).any(|pattern| glob_matches(pattern, name))
}

/// Whether `pattern` (`*` any run, `?` any one byte) matches all of `name`.
///
/// Keeps one place to come back to, the last `*`: at most
/// `pattern.len() * name.len()` steps, no recursion.
#[must_use]
pub fn glob_matches(pattern: &[u8], name: &[u8]) -> bool {
    let (mut pattern, mut name) = (pattern, name);
    let mut retry: Option<(&[u8], &[u8])> = None;
    loop {
        match (pattern.split_first(), name.split_first()) {
            (None, None) => return true,
            (Some((b'*', behind)), _) => {
                retry = Some((behind, name));
                pattern = behind;
                continue;
            }
            (Some((wanted, behind)), Some((byte, rest))) if *wanted == b'?' || wanted == byte => {
                (pattern, name) = (behind, rest);
                continue;
            }
            _ => {}
        }
        // Let the last `*` swallow one byte more.
        let Some((behind, from)) = retry else {
            return false;
        };
        let Some((_, rest)) = from.split_first() else {
            return false;
        };
        retry = Some((behind, rest));
        (pattern, name) = (behind, rest);
    }
}

/// A decimal number of bytes with an optional suffix K, M or G.
fn bytes(value: &[u8]) -> Option<usize> {
    let (digits, unit) = match value.split_last()? {
        (b'K' | b'k', digits) => (digits, 1 << 10),
        (b'M' | b'm', digits) => (digits, 1 << 20),
        (b'G' | b'g', digits) => (digits, 1 << 30),
        _ => (value, 1),
    };
    if digits.is_empty() {
        return None;
    }
    let mut number = 0_usize;
    for byte in digits {
        let digit = byte.checked_sub(b'0').filter(|digit| *digit < 10)?;
        number = number.checked_mul(10)?.checked_add(usize::from(digit))?;
    }
    number.checked_mul(unit)
}

#[cfg(test)]
mod tests;
