//! madvise(2) and process_madvise(2).

use core::ffi::c_int;

use super::{Commit, CommitOn, FAILED, appeared, disprove, pages, weakening, without_holds};
use crate::altstack::{State, charge, origin};
use crate::arch;
use crate::sys::call;
use crate::sys::errno::{self, Errno};
use crate::sys::page::{self, Pages};
use crate::sys::signals::Blocked;

/// Linux 6.13: pages that fault for good, without a mapping of their own.
const MADV_GUARD_INSTALL: c_int = 102;

/// process_madvise(2), of whose ranges these may hold stacks. On a copy of this
/// process they may have the addresses of ours. Async-signal-safe.
pub fn advising_ranges(ranges: &[(usize, usize)], advice: c_int, commit: Commit<'_>) -> isize {
    let flags_a_fork = flags_a_fork(advice);
    if flags_a_fork {
        for &(start, length) in ranges {
            origin::unmapped(start, length);
        }
    }
    without_holds(ranges, flags_a_fork, commit)
}

/// Whether `advice` says what a fork is to do with memory.
#[must_use]
pub const fn flags_a_fork(advice: c_int) -> bool {
    matches!(advice, libc::MADV_WIPEONFORK | libc::MADV_DONTFORK)
}

/// madvise(2) on a range that holds a stack. `commit` makes the original call
/// on a range of its own. Async-signal-safe.
pub fn advise(start: usize, length: usize, advice: c_int, commit: CommitOn<'_>) -> isize {
    let bytes = length.div_ceil(page::SIZE).checked_mul(page::SIZE);
    let whole = start.is_multiple_of(page::SIZE)
        && bytes.is_some_and(|bytes| start.checked_add(bytes).is_some());
    match advice {
        _ if !whole => commit(start, length),
        libc::MADV_DONTNEED | libc::MADV_FREE => {
            // With MADV_FREE the kernel may as well keep the pages.
            let zero = advice == libc::MADV_DONTNEED;
            around_our_frame(pages(start, length), zero, commit)
        }
        _ => advise_otherwise(start, length, advice, commit),
    }
}

#[inline(never)] // for depth
fn advise_otherwise(start: usize, length: usize, advice: c_int, commit: CommitOn<'_>) -> isize {
    match advice {
        _ if flags_a_fork(advice) => {
            origin::unmapped(start, length);
            disprove(start, length);
            commit(start, length)
        }
        // The kernel refuses these on locked memory. A guard fails the lock
        // that would cover it, and our touch, which the kernel makes for us.
        libc::MADV_PAGEOUT | libc::MADV_COLD | libc::MADV_REMOVE | MADV_GUARD_INSTALL => {
            let_go_of(start, length, commit)
        }
        _ => weakening(start, length, &|| commit(start, length)),
    }
}

/// Commits on the range while the stacks there are let go of.
fn let_go_of(start: usize, length: usize, commit: CommitOn<'_>) -> isize {
    without_holds(&[(start, length)], false, &|| commit(start, length))
}

/// Whether another thread's stack is concerned, and all of the held pages are
/// proven private anonymous memory.
#[inline(never)] // for depth
fn others_proven(asked: Pages) -> bool {
    let proven = charge(&Blocked::all(), |State { registry, .. }| {
        !registry.only(call::gettid(), asked) && registry.all_proven(asked)
    });
    proven.unwrap_or(false)
}

/// Whether the kernel, which goes upwards, would go on after this outcome of
/// a part: past a hole it does, and tells of it in the end.
fn goes_on(outcome: isize) -> bool {
    outcome != FAILED || Errno(errno::get()) == Errno::ENOMEM
}

/// Commits on the parts of the range that no stack holds. The stacks stay:
/// their threads could meet a signal without the lock or without the page.
#[inline(never)] // for depth
fn around_held(asked: Pages, zero: bool, commit: CommitOn<'_>) -> isize {
    let mut outcome = commit(asked.address(), 0);
    let mut rest = asked;
    while !rest.is_empty() && goes_on(outcome) {
        let (part, served) = served_in_place(rest, zero);
        if !served {
            outcome = outcome.min(let_go_of(part.address(), part.bytes(), commit));
        }
        rest.first = part.end;
    }
    outcome
}

/// The lowest part of `rest` that is held, or is not. If it is, and proven, it
/// stays, and with `zero` zeroes are written to it: the same to the program.
/// True if that was done.
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
        // SAFETY: the program asks for these whole pages to read as zeroes,
        // and the pages under our frames are not among them.
        let cleared = || unsafe { call::write_zeroes(held.address(), held.bytes()) }.is_ok();
        (held, registry.all_proven(held) && (!zero || cleared()))
    });
    served.unwrap_or((rest, false))
}

/// Gives `asked` away without the pages under our own frames: the program may
/// give away all below its stack pointer, but not what we stand on there.
/// What lies below a stack pointer is undefined at any time.
fn around_our_frame(asked: Pages, zero: bool, commit: CommitOn<'_>) -> isize {
    /// More than the frames below this one take.
    const BELOW: usize = 2048;
    /// More than lies between here and the program's frame.
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
        // What was only touched is gone.
        appeared(asked.address(), asked.bytes());
        outcome
    } else {
        let_go_of(asked.address(), asked.bytes(), commit)
    }
}
