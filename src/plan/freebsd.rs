//! The plan for `FreeBSD`: only waits matter there.

use super::parts::{Part, Strategy};
use super::reason::Reason;
use crate::config::{Config, Mode, Wait};
use crate::quirks::{FreeBsdRelease, Int80};

/// How to carry out waits, and why, on the kernel of `release`; `None` if the
/// table does not list it. `auto` means off on a kernel that the table calls
/// fixed or does not list. Asks `has_int80`, whether the kernel has that entry
/// for native programs, only if the table calls the entry right. Never asks
/// twice. Async-signal-safe if `has_int80` is.
#[must_use]
pub fn waits(
    config: &Config,
    release: Option<&FreeBsdRelease>,
    has_int80: impl FnOnce() -> bool,
) -> Part<Strategy> {
    let by_int80 = |reason| {
        if release.is_some_and(|row| row.int80 == Int80::Right) && has_int80() {
            Part::new(Strategy::Int80, reason)
        } else {
            Part::new(Strategy::TwoPhase, Reason::NoInt80)
        }
    };
    match (config.mode, config.wait) {
        (Mode::Off, _) if config.excluded => Part::new(Strategy::Off, Reason::Excluded),
        (Mode::Off, _) | (_, Wait::Off) => Part::new(Strategy::Off, Reason::Set),
        (_, Wait::TwoPhase) => Part::new(Strategy::TwoPhase, Reason::Set),
        (_, Wait::Int80) => by_int80(Reason::Set),
        (_, Wait::Auto) => match release {
            None => Part::new(Strategy::Off, Reason::KernelUnknown),
            Some(row) if row.affected => by_int80(Reason::KernelAffected),
            Some(_) => Part::new(Strategy::Off, Reason::KernelNotAffected),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::quirks::freebsd_release_of;

    #[test]
    fn waits_by_setting_and_release() {
        use Strategy::{Int80, Off, TwoPhase};
        type Row = (Wait, i32, bool, Strategy, Reason);
        const OLDER: i32 = 602_000;
        const UNVERIFIED: i32 = 800_107;
        const AFFECTED: i32 = 902_001;
        const FIXED: i32 = 903_000;
        const LATER: i32 = 1_401_000;
        let rows: [Row; 21] = [
            (Wait::Auto, -1, true, Off, Reason::KernelUnknown),
            (Wait::Auto, OLDER, true, Off, Reason::KernelUnknown),
            (Wait::Auto, UNVERIFIED, true, TwoPhase, Reason::NoInt80),
            (Wait::Auto, AFFECTED, true, Int80, Reason::KernelAffected),
            (Wait::Auto, AFFECTED, false, TwoPhase, Reason::NoInt80),
            (Wait::Auto, FIXED, true, Off, Reason::KernelNotAffected),
            (Wait::Auto, LATER, true, Off, Reason::KernelNotAffected),
            (Wait::Int80, OLDER, true, TwoPhase, Reason::NoInt80),
            (Wait::Int80, UNVERIFIED, true, TwoPhase, Reason::NoInt80),
            (Wait::Int80, AFFECTED, true, Int80, Reason::Set),
            (Wait::Int80, AFFECTED, false, TwoPhase, Reason::NoInt80),
            (Wait::Int80, FIXED, true, Int80, Reason::Set),
            (Wait::Int80, LATER, false, TwoPhase, Reason::NoInt80),
            (Wait::TwoPhase, OLDER, true, TwoPhase, Reason::Set),
            (Wait::TwoPhase, AFFECTED, true, TwoPhase, Reason::Set),
            (Wait::TwoPhase, FIXED, true, TwoPhase, Reason::Set),
            (Wait::TwoPhase, LATER, false, TwoPhase, Reason::Set),
            (Wait::Off, OLDER, true, Off, Reason::Set),
            (Wait::Off, UNVERIFIED, true, Off, Reason::Set),
            (Wait::Off, AFFECTED, true, Off, Reason::Set),
            (Wait::Off, LATER, true, Off, Reason::Set),
        ];
        for (wait, date, has_int80, value, reason) in rows {
            let row = format!("{wait:?} {date} {has_int80}");
            let release = freebsd_release_of(date);
            for mode in [Mode::Auto, Mode::On, Mode::Observe] {
                let config = Config { mode, wait, ..Config::DEFAULT };
                let part = waits(&config, release, || has_int80);
                assert_eq!(part, Part { value, reason }, "{row}");
            }
            let never = || unreachable!("there is nothing to ask");
            let off = Config { mode: Mode::Off, wait, ..Config::DEFAULT };
            let part = waits(&off, release, never);
            assert_eq!(part, Part { value: Off, reason: Reason::Set }, "{row}");
            let excluded = Config { excluded: true, ..off };
            let part = waits(&excluded, release, never);
            assert_eq!(part, Part { value: Off, reason: Reason::Excluded }, "{row}");
        }
    }

    /// An entry that is not known to be right is not used, even if it is there.
    #[test]
    fn the_entry_is_asked_for_only_where_it_is_right() {
        let config = Config { wait: Wait::Int80, ..Config::DEFAULT };
        for date in [-1, 602_000, 700_055, 800_107] {
            let never = || unreachable!("the entry is not right");
            assert_eq!(waits(&config, freebsd_release_of(date), never).value, Strategy::TwoPhase);
        }
    }
}
