//! When to stand down: what in a process makes our work dangerous or useless.
//!
//! In doubt nothing is done. Each reason is told at `SIGWARD_LOG=warn`.
//!
//! A seccomp filter that is in place at load is tried out in disposable
//! children ([`filter`], [`words`]). One that the program installs later, on
//! itself, is not: the trial needs clone(2), which such filters kill for.
//! Before it goes in, all locks are given back, and nothing is done or said any
//! more ([`confining`]).

use crate::altstack::{self, size};
use crate::loaded::Table;
use crate::plan::Obstacle;
use crate::summary;
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

/// Whether the seccomp filter that is in place stands in our way: asks a
/// short-lived child. Only for use at load.
#[must_use]
pub fn filter() -> Option<Obstacle> {
    match probe::attempt(probe::Calls::Work) {
        Ok(probe::Finding::Able) => None,
        Ok(probe::Finding::Killed(call)) => Some(Obstacle::Killed(call)),
        Ok(probe::Finding::Refused(call, error)) => Some(Obstacle::Refused(call, error)),
        Err(error) => Some(Obstacle::Untried(error)),
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
    summary::at_exit();
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
