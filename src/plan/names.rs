//! The names of small integers in the block: one table for writers and readers.
//! New names are added at the end, and none is removed.

/// The names of 0, 1, 2, ... in order, in one text with spaces in between:
/// separate texts would each cost every process that loads the library a
/// relocation.
#[derive(Clone, Copy, Debug)]
pub struct Names(&'static str);

impl Names {
    /// The name of `value`; `None` if there is none (yet).
    #[must_use]
    pub fn of(self, value: u8) -> Option<&'static str> {
        // Uses `get`, to have no panic path.
        let (mut start, mut number) = (0, 0_u8);
        for (at, byte) in self.0.bytes().enumerate() {
            if byte == b' ' {
                if number == value {
                    return self.0.get(start..at);
                }
                (start, number) = (at.wrapping_add(1), number.wrapping_add(1));
            }
        }
        if number == value { self.0.get(start..) } else { None }
    }

    /// The name of one of our own values. Async-signal-safe.
    #[must_use]
    pub fn own(self, value: u8) -> &'static str {
        self.of(value).unwrap_or_default()
    }

    /// The value that has this name.
    #[must_use]
    pub fn value(self, name: &str) -> Option<u8> {
        self.0.split(' ').position(|each| each == name).map(|at| at as u8)
    }
}

/// What the hooks do.
pub const DUTY: Names = Names("inert observe act");

/// The reason for that: [`Reason`].
pub const REASON: Names = Names(
    "undecided set excluded secure-execution no-environment kernel-affected kernel-in-range \
     kernel-not-affected kernel-unknown small-stacks sanitizer valgrind overridden gvisor \
     unknown-libc filter-kills filter-refuses filter-not-tried",
);

/// Why a process has its duty.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Reason {
    /// The constructor has not decided yet.
    Undecided,
    /// `SIGWARD` is set to it.
    Set,
    /// `SIGWARD_ONLY` or `SIGWARD_EXCEPT` excludes the program.
    Excluded,
    /// The environment of a setuid program's caller must not control it.
    SecureExecution,
    /// Without an environment the user's wishes are unknown.
    NoEnvironment,
    /// The kernel has the defect.
    KernelAffected,
    /// The kernel may have the defect: its version is in a range.
    KernelInRange,
    /// The kernel does not have the defect.
    KernelNotAffected,
    /// The kernel is not recognised.
    KernelUnknown,
    /// Stacks that are too small are to be reported or replaced.
    SmallStacks,
    /// A sanitizer is in the process.
    Sanitizer,
    /// A valgrind tool tracks the program's memory.
    Valgrind,
    /// The program itself defines a function that we hook.
    Overridden,
    /// gVisor writes the frames.
    Gvisor,
    /// A libc that we do not know.
    UnknownLibc,
    /// A seccomp filter kills the process for one of our calls.
    FilterKills,
    /// A seccomp filter refuses one of our calls.
    FilterRefuses,
    /// A seccomp filter could not be tried out.
    FilterNotTried,
}

/// How a stack is held, best first.
pub const RUNG: Names = Names("lock frame touch report");

/// What is done about stacks that are too small.
pub const REMEDY: Names = Names("none report fix");

/// How waits for children are carried out.
pub const WAIT: Names = Names("off int80 two-phase");

/// What a program sees of a wait that a handler interrupts.
pub const INTERRUPTED: Names = Names("keep retry");

/// When ordinary stacks begin to be held.
pub const ORDINARY: Names = Names("never with-a-handler at-start");

/// The role of a stack for its thread.
pub const PLACE: Names = Names("current pending disarmed ordinary");

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::Strategy;

    #[test]
    fn names_and_values_are_each_others() {
        for names in [DUTY, REASON, RUNG, REMEDY, WAIT, INTERRUPTED, ORDINARY, PLACE] {
            let all: Vec<_> = (0..=u8::MAX).map_while(|value| names.of(value)).collect();
            assert!(all.iter().all(|name| !name.is_empty() && !name.contains(char::is_whitespace)));
            for (value, name) in (0..).zip(&all) {
                assert_eq!(names.value(name), Some(value), "{name}");
            }
            assert_eq!(names.of(all.len() as u8), None);
            assert_eq!(names.own(u8::MAX), "");
        }
        let last = Reason::FilterNotTried as u8;
        assert!(REASON.of(last).is_some() && REASON.of(last + 1).is_none());
        assert_eq!(REASON.of(Reason::Gvisor as u8), Some("gvisor"));
        for strategy in [Strategy::Off, Strategy::Int80, Strategy::TwoPhase] {
            assert_eq!(WAIT.of(strategy as u8), Some(strategy.name()));
        }
    }
}
