//! When to stand down: what in a process makes our work dangerous or useless.
//!
//! In doubt nothing is done. Each reason is told at `SIGWARD_LOG=warn`.
//!
//! A seccomp filter that is in place at load is tried out in a disposable
//! child ([`filter`]). One that the program installs later, on itself, is not:
//! the trial needs clone(2), which such filters kill for. Before it goes in,
//! all locks are given back, and nothing is done any more ([`confining`]).

use core::fmt;

use crate::altstack::{self, Duty, size};
use crate::loaded::Table;
use crate::stats;
use crate::sys::errno::Errno;
use crate::sys::probe;
use crate::wait;

/// What a sanitizer's run-time defines. It keeps books of its own on stacks
/// and memory calls, and wants to be the first to see them.
pub static SANITIZERS: Table<4> =
    Table::new("__asan_init\0__tsan_init\0__msan_init\0__hwasan_init\0");

/// What a program that defines it itself puts before us: a sanitizer that was
/// linked in statically, or a layer like ours.
pub static OVERRIDES: Table<1> = Table::new("sigaltstack\0");

/// Why to stand down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// A sanitizer is in the process, which defines this name.
    Sanitizer(&'static str),
    /// The program comes before us with a definition of this name.
    Overridden(&'static str),
    /// gVisor writes the signal frames, and knows no residency.
    Gvisor,
    /// This is no libc that we know.
    UnknownLibc,
    /// A seccomp filter kills for this system call.
    Killed(&'static str),
    /// A seccomp filter refuses this system call.
    Refused(&'static str, Errno),
    /// A seccomp filter is in place, and could not be tried out.
    Untried(Errno),
}

impl Reason {
    /// The most that may be done.
    #[must_use]
    pub const fn leaves(self) -> Duty {
        match self {
            Reason::Gvisor | Reason::UnknownLibc => Duty::Observe,
            _ => Duty::Inert,
        }
    }

    /// Whether this line is the last that may be written: to say who we are
    /// takes system calls, too.
    #[must_use]
    pub const fn silences(self) -> bool {
        matches!(self, Reason::Killed(_) | Reason::Untried(_))
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Reason::Sanitizer(name) => write!(f, "a sanitizer is in the process ({name})"),
            Reason::Overridden(name) => write!(f, "the program defines {name} itself"),
            Reason::Gvisor => f.write_str("this is gVisor, which writes signal frames itself"),
            Reason::UnknownLibc => f.write_str("no libc that is known"),
            Reason::Killed(call) => write!(f, "a seccomp filter kills for {call}"),
            Reason::Refused(call, error) => {
                write!(f, "a seccomp filter refuses {call} ({error})")
            }
            Reason::Untried(error) => {
                write!(f, "a seccomp filter could not be tried out ({error})")
            }
        }
    }
}

/// Whether a seccomp filter stands in our way. One open, read and close of
/// /proc/self/status; only where that shows a filter, or cannot be read, a
/// short-lived child. Only for use at load.
#[must_use]
pub fn filter() -> Option<Reason> {
    if probe::unfiltered() {
        return None;
    }
    match probe::attempt() {
        Ok(probe::Finding::Able) => None,
        Ok(probe::Finding::Killed(call)) => Some(Reason::Killed(call)),
        Ok(probe::Finding::Refused(call, error)) => Some(Reason::Refused(call, error)),
        Err(error) => Some(Reason::Untried(error)),
    }
}

/// The program is about to install a seccomp filter by `commit`: gives all
/// locks back and stands down for good, or until `commit` has `failed`.
/// Async-signal-safe.
pub fn confining<R>(failed: impl Fn(&R) -> bool, commit: impl FnOnce() -> R) -> R {
    // A filter that checks the architecture kills for it.
    let strategy = wait::stand_down();
    let Some(left) = altstack::stand_down() else {
        let result = commit();
        if failed(&result) {
            wait::stand_up(strategy);
        }
        return result;
    };
    let remedy = size::stand_down();
    // Not at exit: the filter may kill for a write then.
    log::warn!("standing down: the program installs a seccomp filter");
    let wanted = stats::at_once();
    let result = commit();
    if failed(&result) {
        stats::wanted(wanted);
        size::take_charge(remedy);
        altstack::stand_up(left);
        wait::stand_up(strategy);
    }
    result
}
