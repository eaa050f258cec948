//! When to stand down: what in a process makes our work dangerous or useless.
//!
//! If in doubt, do nothing. Each reason is logged at `SIGWARD_LOG=warn`.
//!
//! A seccomp filter that is in place at load is tried out in disposable
//! children ([`filter`], [`may_write`]). A filter that the program installs on
//! itself later is not: the trial needs clone(2), for which such filters kill
//! the process. Before that filter goes in, all locks are released; from then
//! on nothing is done or logged ([`confining`]).

use crate::loaded::SymbolList;
use crate::os::errno::Errno;
use crate::os::{stderr, trials};
use crate::plan::Obstacle;
use crate::summary;
use crate::wait::{self, Strategy};
use crate::{residency, small_stacks};

/// Names that a sanitizer's run-time defines. It keeps its own records of
/// stacks and memory calls, and must be the first to see them.
pub static SANITIZERS: SymbolList<4> =
    SymbolList::new("__asan_init\0__tsan_init\0__msan_init\0__hwasan_init\0");

/// The name that valgrind's memory tools define (memcheck, helgrind, drd,
/// massif, dhat), and no others: their substitute for malloc. They would report
/// our accesses to stacks as the program's errors. Besides, valgrind writes
/// signal frames itself, so there is nothing to hold.
pub static VALGRIND: SymbolList<1> = SymbolList::new("_vgr10010ZU_libcZdsoZa_malloc\0");

/// A name that the program itself defines, ahead of us, if it is statically
/// linked with a sanitizer or contains a layer like ours.
pub static OVERRIDES: SymbolList<1> = SymbolList::new("sigaltstack\0");

/// A name of a collector of garbage that takes the registered range for roots:
/// it must be where the frames are.
pub static COLLECTORS: SymbolList<1> = SymbolList::new("GC_register_altstack\0");

/// Whether the program at `path` finds its own data from the address of its
/// alternate stack, as Wine does.
#[must_use]
pub fn finds_data_by_stack(path: &[u8]) -> bool {
    let name = path.rsplit(|&byte| byte == b'/').next().unwrap_or(path);
    name.starts_with(b"wine")
}

/// Whether the seccomp filter in place prevents our work. Asks a short-lived
/// child. Only for use at load.
#[must_use]
pub fn filter() -> Option<Obstacle> {
    match trials::attempt(trials::Calls::Work) {
        Ok(trials::Finding::Able) => None,
        Ok(trials::Finding::Killed(call)) => Some(Obstacle::Killed(call)),
        Ok(trials::Finding::Refused(call, error)) => Some(Obstacle::Refused(call, error)),
        Err(error) => Some(Obstacle::Untried(error)),
    }
}

/// Whether the filter in place allows a line to be written. Asks another child.
/// Only for use at load.
///
/// # Errors
/// If that could not be tried out.
pub fn may_write() -> Result<bool, Errno> {
    trials::attempt(trials::Calls::Words).map(|finding| finding == trials::Finding::Able)
}

/// Whether a filter that the program installs would change anything for us.
/// Async-signal-safe.
#[must_use]
pub fn has_work() -> bool {
    residency::on_duty() || wait::strategy() != Strategy::Off || stderr::is_open()
}

/// Called when the program installs a seccomp filter by `commit`. Releases
/// all locks and stands down: for good, or until `commit` has `failed`.
/// Async-signal-safe.
///
/// The line of counts is written first: afterwards the filter may kill the
/// process for a write too.
pub fn confining<R>(failed: impl Fn(&R) -> bool, commit: impl FnOnce() -> R) -> R {
    if residency::is_lent() {
        // A filter in a vfork child is not its parent's.
        return commit();
    }
    // A filter that checks the architecture kills the process for `int 0x80`.
    let strategy = wait::stand_down();
    let left = residency::stand_down();
    let remedy = left.map(|_| small_stacks::stand_down());
    let filtered = small_stacks::filtered(true);
    let worked = left.is_some() || strategy != Strategy::Off;
    if worked {
        log::warn!("standing down: the program installs a seccomp filter");
    }
    summary::at_exit();
    let spoke = stderr::close();
    let result = commit();
    if failed(&result) {
        stderr::reopen(spoke);
        let _ = small_stacks::filtered(filtered);
        if let (Some(remedy), Some(left)) = (remedy, left) {
            small_stacks::resume(remedy);
            residency::stand_up(left);
        }
        wait::stand_up(strategy);
        if worked {
            log::warn!("resuming: the seccomp filter was not installed");
        }
    }
    result
}
