//! madvise(2) and process_madvise(2).

use core::ffi::c_int;

use super::release::{
    Commit, CommitOn, FAILED, appeared, disprove, pages, weakening, without_holds,
};
use crate::arch;
use crate::os::call;
use crate::os::errno::{self, Errno};
use crate::os::page::{self, Pages};
use crate::os::signals::Blocked;
use crate::residency::charge::{State, charge};
use crate::residency::origin;

/// Linux 6.13: makes pages fault permanently, without splitting the mapping.
const MADV_GUARD_INSTALL: c_int = 102;

/// process_madvise(2) on ranges that may hold stacks. If it targets a copy of
/// this process, the addresses may be those of our stacks. Async-signal-safe.
pub fn advising_ranges(ranges: &[(usize, usize)], advice: c_int, commit: Commit<'_>) -> isize {
    let flags_a_fork = flags_a_fork(advice);
    if flags_a_fork {
        for &(start, length) in ranges {
            origin::unmapped(start, length);
        }
    }
    without_holds(ranges, flags_a_fork, commit)
}

/// Whether `advice` sets what a fork does with memory.
#[must_use]
pub const fn flags_a_fork(advice: c_int) -> bool {
    matches!(advice, libc::MADV_WIPEONFORK | libc::MADV_DONTFORK)
}

/// madvise(2) on a range that holds a stack. If it held none when the call
/// began, the call was passed on: `passed` is errno before that and the result,
/// and another thread may have set and held a stack meanwhile, which the call
/// has undone or was refused for. `commit` makes the original call on the range
/// that it is given. Async-signal-safe.
pub fn advise(
    start: usize,
    length: usize,
    advice: c_int,
    passed: Option<(c_int, isize)>,
    commit: CommitOn<'_>,
) -> isize {
    match passed {
        Some((before, result)) if may_be_refused_by_a_lock(result, advice) => errno::set(before),
        Some((_, result)) => {
            appeared(start, length);
            return result;
        }
        None => {}
    }
    let bytes = length.div_ceil(page::size()).checked_mul(page::size());
    let whole = start.is_multiple_of(page::size())
        && bytes.is_some_and(|bytes| start.checked_add(bytes).is_some());
    match advice {
        _ if !whole => commit(start, length),
        libc::MADV_DONTNEED | libc::MADV_FREE => {
            // With MADV_FREE the kernel is free to keep the pages.
            let zero = advice == libc::MADV_DONTNEED;
            around_our_frame(pages(start, length), zero, commit)
        }
        _ => advise_otherwise(start, length, advice, commit),
    }
}

/// Whether the kernel refuses `advice` on locked memory.
const fn refused_if_locked(advice: c_int) -> bool {
    matches!(
        advice,
        libc::MADV_DONTNEED
            | libc::MADV_FREE
            | libc::MADV_PAGEOUT
            | libc::MADV_COLD
            | libc::MADV_REMOVE
            | MADV_GUARD_INSTALL
    )
}

/// Whether a call with `advice` that returned `result` may have failed because
/// something in the range is locked.
#[must_use]
pub fn may_be_refused_by_a_lock(result: isize, advice: c_int) -> bool {
    result == FAILED && refused_if_locked(advice) && Errno(errno::get()) == Errno::EINVAL
}

#[inline(never)] // for depth
fn advise_otherwise(start: usize, length: usize, advice: c_int, commit: CommitOn<'_>) -> isize {
    match advice {
        _ if flags_a_fork(advice) => {
            origin::unmapped(start, length);
            disprove(start, length);
            commit(start, length)
        }
        // The kernel refuses these on locked memory. After a guard, a lock that
        // covers it fails, and so does our touch, which the kernel performs for
        // us.
        libc::MADV_PAGEOUT | libc::MADV_COLD | libc::MADV_REMOVE | MADV_GUARD_INSTALL => {
            releasing(start, length, commit)
        }
        _ => weakening(start, length, &|| commit(start, length)),
    }
}

/// Makes the call while the stacks in the range are released.
fn releasing(start: usize, length: usize, commit: CommitOn<'_>) -> isize {
    without_holds(&[(start, length)], false, &|| commit(start, length))
}

/// Whether another thread's stack is affected, and all of the held pages are
/// proven private anonymous memory.
#[inline(never)] // for depth
fn others_proven(asked: Pages) -> bool {
    let proven = charge(&Blocked::all(), |State { registry, .. }| {
        !registry.only(call::gettid(), asked) && registry.all_proven(asked)
    });
    proven.unwrap_or(false)
}

/// Whether the kernel, which works upwards, would continue after this outcome
/// of a part. It continues after a hole, and reports that at the end.
fn goes_on(outcome: isize) -> bool {
    outcome != FAILED || Errno(errno::get()) == Errno::ENOMEM
}

/// Makes the call on those parts of the range that no stack holds. The stacks
/// stay held, because their threads could get a signal without the lock or the
/// page.
#[inline(never)] // for depth
fn around_held(asked: Pages, zero: bool, commit: CommitOn<'_>) -> isize {
    let mut outcome = commit(asked.address(), 0);
    let mut rest = asked;
    while !rest.is_empty() && goes_on(outcome) {
        let (part, served) = served_in_place(rest, zero);
        if !served {
            outcome = outcome.min(releasing(part.address(), part.bytes(), commit));
        }
        rest.first = part.end;
    }
    outcome
}

/// The lowest part of `rest` that is either held as a whole or not held at all.
/// If it is held and proven, it stays, and with `zero` it is filled with
/// zeroes, which is the same to the program. True if the part was handled that
/// way.
#[inline(never)] // for depth
fn served_in_place(rest: Pages, zero: bool) -> (Pages, bool) {
    let served = charge(&Blocked::all(), |State { registry, .. }| {
        let held = registry.held_run(rest, rest.first);
        if held.is_empty() {
            return (rest, false);
        }
        if held.first > rest.first {
            return (Pages { end: held.first, ..rest }, false);
        }
        // SAFETY: the program asks for these whole pages to read as zeroes, and
        // the pages under our frames are not among them.
        let cleared = || unsafe { call::write_zeroes(held.address(), held.bytes()) }.is_ok();
        (held, registry.all_proven(held) && (!zero || cleared()))
    });
    served.unwrap_or((rest, false))
}

/// Gives up `asked`, except the pages under our own frames. The program may
/// give up everything below its stack pointer, but our frames are there now.
/// Keeping those pages is allowed: what lies below a stack pointer is always
/// undefined.
fn around_our_frame(asked: Pages, zero: bool, commit: CommitOn<'_>) -> isize {
    /// More than the frames below this one need.
    const BELOW: usize = 2048;
    /// More than the distance from here to the program's frame.
    const ABOVE: usize = 1024;
    let here = arch::stack_pointer();
    let ours = Pages::around(here.saturating_sub(BELOW), here.saturating_add(ABOVE));
    if asked.common(ours).is_empty() {
        return give_away(asked, zero, commit);
    }
    let below = Pages { first: asked.first, end: ours.first };
    let above = Pages { first: ours.end, end: asked.end };
    let outcome = if below.is_empty() { 0 } else { give_away(below, zero, commit) };
    if above.is_empty() || !goes_on(outcome) {
        return outcome;
    }
    outcome.min(give_away(above, zero, commit))
}

fn give_away(asked: Pages, zero: bool, commit: CommitOn<'_>) -> isize {
    if others_proven(asked) {
        let outcome = around_held(asked, zero, commit);
        // Pages that were only touched are gone.
        appeared(asked.address(), asked.bytes());
        outcome
    } else {
        releasing(asked.address(), asked.bytes(), commit)
    }
}
