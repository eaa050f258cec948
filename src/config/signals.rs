//! A set of signals, as `SIGWARD_ONSTACK` lists them.

use core::fmt;

/// Signals on Linux, one bit each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Signals(u64);

/// The names of signals 1, 2, 3, ... without their `SIG`.
const NAMES: &str = "HUP INT QUIT ILL TRAP ABRT BUS FPE KILL USR1 SEGV USR2 PIPE ALRM TERM STKFLT \
                     CHLD CONT STOP TSTP TTIN TTOU URG XCPU XFSZ VTALRM PROF WINCH IO PWR SYS";

const KILL: u32 = 9;
const STOP: u32 = 19;
/// The C libraries keep these for themselves.
const PRIVATE: core::ops::RangeInclusive<u32> = 32..=33;
const LAST: u32 = 64;

impl Signals {
    /// No signal.
    pub const NONE: Self = Signals(0);

    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// One bit for each signal; signal 1 is the lowest.
    #[must_use]
    pub const fn bits(self) -> u64 {
        self.0
    }

    /// These signals, by number.
    #[must_use]
    pub fn of(numbers: &[u32]) -> Self {
        Signals(numbers.iter().fold(0, |set, number| set | 1 << (number.wrapping_sub(1) % LAST)))
    }

    /// From names, with or without `SIG`, and numbers. `None` if one of them
    /// names no signal that can have a handler of the program's.
    pub(super) fn from_list(list: &[u8]) -> Option<Self> {
        let mut signals = Signals::NONE;
        for item in list.split(|byte| *byte == b',') {
            signals.0 |= 1 << (number(item.trim_ascii())? - 1);
        }
        Some(signals)
    }
}

/// Each named signal with its name, as bytes: slices of text have panic paths.
fn names() -> impl Iterator<Item = (u32, &'static [u8])> {
    (1..).zip(NAMES.as_bytes().split(|byte| *byte == b' '))
}

fn number(item: &[u8]) -> Option<u32> {
    let name = item.strip_prefix(b"SIG").unwrap_or(item);
    let named = names().find(|(_, known)| *known == name);
    let number = named.map(|(number, _)| number).or_else(|| decimal(item))?;
    let usable = (1..=LAST).contains(&number)
        && number != KILL
        && number != STOP
        && !PRIVATE.contains(&number);
    usable.then_some(number)
}

fn decimal(digits: &[u8]) -> Option<u32> {
    super::values::bytes(digits)
        .filter(|_| digits.iter().all(u8::is_ascii_digit))
        .and_then(|number| u32::try_from(number).ok())
}

impl fmt::Display for Signals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut separator = "";
        for number in (1..=LAST).filter(|number| self.0 >> (number - 1) & 1 != 0) {
            f.write_str(separator)?;
            separator = ",";
            match names().find(|(named, _)| *named == number) {
                Some((_, name)) => write!(f, "{}", name.escape_ascii())?,
                None => write!(f, "{number}")?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_have_the_systems_numbers() {
        for (name, signal) in [
            ("HUP", libc::SIGHUP),
            ("BUS", libc::SIGBUS),
            ("SEGV", libc::SIGSEGV),
            ("STKFLT", libc::SIGSTKFLT),
            ("SYS", libc::SIGSYS),
        ] {
            assert_eq!(number(name.as_bytes()), Some(signal as u32), "{name}");
        }
    }

    #[test]
    fn lists_are_read_and_shown_again() {
        let shown = |list: &str| Signals::from_list(list.as_bytes()).map(|set| set.to_string());
        assert_eq!(shown("SEGV,BUS").as_deref(), Some("BUS,SEGV"));
        assert_eq!(shown("SIGSEGV, 7,64,35").as_deref(), Some("BUS,SEGV,35,64"));
        for bad in ["", "SEGV,", "SEG", "segv", "KILL", "STOP", "9", "0", "32", "65", "1K", "-1"] {
            assert_eq!(shown(bad), None, "{bad}");
        }
    }
}
