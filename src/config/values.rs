//! The values of each variable: one enum each, with its words.

/// Defines an enum whose values are words; the first one is the default. Older
/// words for a value follow after `|`, and are not shown.
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

            /// The same, as one text.
            pub(super) const LIST: &'static str = concat!($first_word $(, ", ", $word)*);

            /// The word for this value.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { Self::$first => $first_word, $(Self::$value => $word),* }
            }

            pub(super) fn from_word(word: &[u8]) -> Option<Self> {
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
        /// Do nothing.
        Off = "off",
        /// Count what would be done, but change nothing.
        Observe = "observe",
    }
}

words! {
    /// `SIGWARD_ALTSTACK`: the rung of the residency ladder to start from.
    Altstack {
        /// Start from the highest rung that fits.
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
    /// The part where a handler's frame can land; touched, not locked.
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
        /// Zeroes, if a stack is proven to hold nothing else.
        Auto = "auto",
        /// Copies, as without the library.
        Copy = "copy",
    }
}

words! {
    /// `SIGWARD_WAIT`: how a wait for a child enters the kernel.
    Wait {
        /// Whatever mends an affected kernel; nothing on Linux.
        Auto = "auto",
        /// Call the kernel directly.
        Off = "off",
        /// Block in INT 0x80.
        Int80 = "int80",
        /// Sleep in a call that can be restarted without harm, then reap.
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
    /// `SIGWARD_INHERIT`: the programs that this one starts.
    Inherit {
        /// They get the library.
        On = "on",
        /// They do not: it takes itself out of `LD_PRELOAD` when it is loaded.
        Off = "off",
    }
}

words! {
    /// `SIGWARD_SIZE`: alternate stacks that are too small for a frame.
    SmallStacks {
        /// Replace those on which not even one frame fits.
        Auto = "auto",
        /// Leave them alone.
        Off = "off",
        /// Log them.
        Report = "report",
        /// Replace them by larger ones.
        Fix = "fix",
    }
}

words! {
    /// `SIGWARD_ALTSTACK_ALL`: whether every thread gets an alternate stack.
    AltstackAll {
        /// Only those that the program gives one.
        Off = "0",
        /// All.
        On = "1",
    }
}

words! {
    /// `SIGWARD_DEPTH`: whether the depth of alternate stacks is measured.
    Depth {
        /// No.
        Off = "0",
        /// Of stacks of ours.
        Ours = "1",
        /// Also of the program's, which are painted for that.
        Paint = "paint",
    }
}

words! {
    /// `SIGWARD_LOG`: the most detailed level that is written to stderr. Older
    /// versions also accepted `error` and `trace`, but never had messages of
    /// those levels.
    Log {
        /// Nothing.
        Off = "off" | "error",
        /// Refusals that an operator should know about.
        Warn = "warn",
        /// Decisions too.
        Info = "info",
        /// Each stack too.
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
    pub(super) const LIST: &'static str = "auto, off, full";

    pub(super) fn from_value(value: &[u8]) -> Option<Self> {
        match value {
            b"auto" => Some(Self::Auto),
            b"off" => Some(Self::Off),
            b"full" => Some(Self::Full),
            _ => bytes(value).map(Self::Bytes),
        }
    }
}

/// A decimal number of bytes with an optional suffix K, M or G.
pub(super) fn bytes(value: &[u8]) -> Option<usize> {
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
