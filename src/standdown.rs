//! When to stand down: what in a process makes our work dangerous or useless.
//!
//! In doubt nothing is done. Each reason is told at `SIGWARD_LOG=warn`.
//!
//! A seccomp filter that is in place at load is tried out in disposable
//! children ([`filter`], [`words`]). One that the program installs later, on
//! itself, is not: the trial needs clone(2), which such filters kill for.
//! Before it goes in, all locks are given back, and nothing is done or said any
//! more ([`confining`]).

use core::fmt;

use crate::altstack::{self, Duty, size};
use crate::block::names;
use crate::loaded::Table;
use crate::stats;
use crate::sys::errno::Errno;
use crate::sys::{probe, stderr};
use crate::wait::{self, Strategy};

/// What a sanitizer's run-time defines. It keeps books of its own on stacks
/// and memory calls, and wants to be the first to see them.
pub static SANITIZERS: Table<4> =
    Table::new("__asan_init\0__tsan_init\0__msan_init\0__hwasan_init\0");

/// What the tools of valgrind that keep books of memory (memcheck, helgrind,
/// drd, massif, dhat) define, and the others do not: their substitute for
/// malloc. To them our accesses to stacks would be the program's errors; and
/// valgrind writes signal frames itself, so there is nothing to be held.
pub static VALGRIND: Table<1> = Table::new("_vgr10010ZU_libcZdsoZa_malloc\0");

/// What a program that defines it itself puts before us: a sanitizer that was
/// linked in statically, or a layer like ours.
pub static OVERRIDES: Table<1> = Table::new("sigaltstack\0");

/// Why to stand down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// A sanitizer is in the process, which defines this name.
    Sanitizer(&'static str),
    /// valgrind's tool keeps books of the program's memory.
    Valgrind,
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
    /// What the published block says of it.
    #[must_use]
    pub const fn published(self) -> names::Reason {
        match self {
            Reason::Sanitizer(_) => names::Reason::Sanitizer,
            Reason::Valgrind => names::Reason::Valgrind,
            Reason::Overridden(_) => names::Reason::Overridden,
            Reason::Gvisor => names::Reason::Gvisor,
            Reason::UnknownLibc => names::Reason::UnknownLibc,
            Reason::Killed(_) => names::Reason::FilterKills,
            Reason::Refused(..) => names::Reason::FilterRefuses,
            Reason::Untried(_) => names::Reason::FilterNotTried,
        }
    }

    /// The most that may be done.
    #[must_use]
    pub const fn leaves(self) -> Duty {
        match self {
            Reason::Gvisor | Reason::UnknownLibc => Duty::Observe,
            _ => Duty::Inert,
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Reason::Sanitizer(name) => write!(f, "a sanitizer is in the process ({name})"),
            Reason::Valgrind => f.write_str("valgrind keeps books of the program's memory"),
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

/// Whether the seccomp filter that is in place stands in our way: asks a
/// short-lived child. Only for use at load.
#[must_use]
pub fn filter() -> Option<Reason> {
    match probe::attempt(probe::Calls::Work) {
        Ok(probe::Finding::Able) => None,
        Ok(probe::Finding::Killed(call)) => Some(Reason::Killed(call)),
        Ok(probe::Finding::Refused(call, error)) => Some(Reason::Refused(call, error)),
        Err(error) => Some(Reason::Untried(error)),
    }
}

/// Whether a line may be written under the filter that is in place: asks
/// another child. Only for use at load.
///
/// # Errors
/// Where it could not be tried out.
pub fn words() -> Result<bool, Errno> {
    probe::attempt(probe::Calls::Words).map(|finding| finding == probe::Finding::Able)
}

/// Whether a filter that the program installs would change anything for us.
/// Async-signal-safe.
#[must_use]
pub fn has_work() -> bool {
    altstack::on_duty() || wait::strategy() != Strategy::Off || stderr::is_open()
}

/// The program is about to install a seccomp filter by `commit`: gives all
/// locks back and stands down for good, or until `commit` has `failed`.
/// Async-signal-safe.
///
/// The line of counts is written before: afterwards the filter may kill for a
/// write, too.
pub fn confining<R>(failed: impl Fn(&R) -> bool, commit: impl FnOnce() -> R) -> R {
    if altstack::is_lent() {
        // A vfork child's filter is not its parent's.
        return commit();
    }
    // A filter that checks the architecture kills for it.
    let strategy = wait::stand_down();
    let left = altstack::stand_down();
    let remedy = left.map(|_| size::stand_down());
    let worked = left.is_some() || strategy != Strategy::Off;
    if worked {
        log::warn!("standing down: the program installs a seccomp filter");
    }
    stats::at_exit();
    let spoke = stderr::close();
    let result = commit();
    if failed(&result) {
        stderr::reopen(spoke);
        if let (Some(remedy), Some(left)) = (remedy, left) {
            size::take_charge(remedy);
            altstack::stand_up(left);
        }
        wait::stand_up(strategy);
        if worked {
            log::warn!("the filter was not installed: work goes on");
        }
    }
    result
}
