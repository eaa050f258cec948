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

/// The reason for that: [`Reason`](super::Reason).
pub const REASON: Names = Names(
    "undecided set excluded secure-execution no-environment kernel-affected kernel-in-range \
     kernel-not-affected kernel-unknown small-stacks sanitizer valgrind overridden gvisor \
     unknown-libc filter-kills filter-refuses filter-not-tried",
);

/// How a stack is held, best first.
pub const RUNG: Names = Names("lock frame touch report");

/// What is done about stacks that are too small.
pub const REMEDY: Names = Names("none report fix certain");

/// How waits for children are carried out.
pub const WAIT: Names = Names("off int80 two-phase");

/// What a program sees of a wait that a handler interrupts.
pub const INTERRUPTED: Names = Names("keep retry");

/// When ordinary stacks begin to be held.
pub const ORDINARY: Names = Names("never with-a-handler at-start");

/// The role of a stack for its thread.
pub const ROLE: Names = Names("current pending disarmed ordinary");

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::{Reason, Strategy};

    #[test]
    fn names_and_values_are_each_others() {
        for names in [DUTY, REASON, RUNG, REMEDY, WAIT, INTERRUPTED, ORDINARY, ROLE] {
            let all: Vec<_> = (0..=u8::MAX).map_while(|value| names.of(value)).collect();
            assert!(all.iter().all(|name| !name.is_empty() && !name.contains(char::is_whitespace)));
            for (value, name) in (0..).zip(&all) {
                assert_eq!(names.value(name), Some(value), "{name}");
            }
            assert_eq!(names.of(all.len() as u8), None);
            assert_eq!(names.own(u8::MAX), "");
        }
        for strategy in [Strategy::Off, Strategy::Int80, Strategy::TwoPhase] {
            assert_eq!(WAIT.of(strategy as u8), Some(strategy.name()));
        }
    }
    /// Readers of other versions rely on these numbers.
    #[test]
    fn the_reasons_for_a_duty_keep_their_values() {
        let rows = [
            (Reason::Undecided, 0, "undecided"),
            (Reason::Set, 1, "set"),
            (Reason::Excluded, 2, "excluded"),
            (Reason::SecureExecution, 3, "secure-execution"),
            (Reason::NoEnvironment, 4, "no-environment"),
            (Reason::KernelAffected, 5, "kernel-affected"),
            (Reason::KernelInRange, 6, "kernel-in-range"),
            (Reason::KernelNotAffected, 7, "kernel-not-affected"),
            (Reason::KernelUnknown, 8, "kernel-unknown"),
            (Reason::SmallStacks, 9, "small-stacks"),
            (Reason::Sanitizer, 10, "sanitizer"),
            (Reason::Valgrind, 11, "valgrind"),
            (Reason::Overridden, 12, "overridden"),
            (Reason::Gvisor, 13, "gvisor"),
            (Reason::UnknownLibc, 14, "unknown-libc"),
            (Reason::FilterKills, 15, "filter-kills"),
            (Reason::FilterRefuses, 16, "filter-refuses"),
            (Reason::FilterNotTried, 17, "filter-not-tried"),
        ];
        for (reason, value, name) in rows {
            assert_eq!((reason as u8, REASON.of(value)), (value, Some(name)));
        }
        assert_eq!(REASON.of(rows.len() as u8), None);
    }
}
