//! The program's own locks, and calls that the limit on locks may refuse.

use core::ffi::c_int;

use super::{Commit, EVERYWHERE, FAILED, disprove, pages, replacing, without_holds};
use crate::altstack::pins::Kernel;
use crate::altstack::{State, charge};
use crate::stats;
use crate::sys::call;
use crate::sys::errno::{self, Errno};
use crate::sys::page::{self, Pages};
use crate::sys::signals::Blocked;

/// A call of the program's that locks memory: mlock(2), mlock2(2),
/// mlockall(2). With a range, its pages are the program's own from then on,
/// and are not unlocked by us. Async-signal-safe.
pub fn locking(range: Option<(usize, usize)>, commit: Commit<'_>) -> isize {
    // mlockall(2) without a range is not refused for what is locked already.
    let result = range.map_or_else(commit, |(start, length)| {
        let asked = pages(start, length).count().saturating_mul(page::SIZE);
        // The kernel has one error for the limit and for a hole.
        let refused = |result| failed_by(result, Errno::ENOMEM) && call::is_mapped(start, length);
        with_room(asked, refused, &[], commit)
    });
    if let Some((start, length)) = range.filter(|_| result != FAILED) {
        let locked = pages(start, length);
        charge(&Blocked::all(), |state| state.registry.program_locked(locked, true));
    }
    result
}

/// A call that makes a mapping, or a larger one, by so many bytes, which
/// `MAP_LOCKED` or mlockall(2) may have the kernel lock, and takes away or
/// replaces what `ranges` hold: mmap(2), mremap(2). Async-signal-safe.
#[inline]
pub fn mapping(more: usize, ranges: &[(usize, usize)], commit: impl Fn() -> isize + Copy) -> isize {
    with_room(more, |result| failed_by(result, Errno::EAGAIN), ranges, commit)
}

/// A call that is to move the heap's end from `now` to `end`, which mlockall(2)
/// may have the kernel lock: brk(2), whose answer is another from libc than by
/// syscall(2). Async-signal-safe.
pub fn ending_heap(now: usize, end: usize, ranges: &[(usize, usize)], commit: Commit<'_>) -> isize {
    let refused = |_| end > 0 && call::current_break() < end;
    with_room(end.saturating_sub(now), refused, ranges, commit)
}

/// Commits, [`replacing`] what `ranges` hold, if there are any. If that was
/// `refused` for the limit, which `asked` bytes more would pass, while we hold
/// locks, we give them back and it is made once more; our stacks then get what
/// is left.
#[inline]
fn with_room(
    asked: usize,
    refused: impl FnOnce(isize) -> bool,
    ranges: &[(usize, usize)],
    commit: impl Fn() -> isize + Copy,
) -> isize {
    let before = errno::known();
    let result = if ranges.is_empty() {
        commit()
    } else {
        let stored = commit;
        replacing(ranges, &stored)
    };
    if refused(result) {
        let stored = commit;
        make_room(asked, (result, before), ranges, &stored)
    } else {
        result
    }
}

/// `refused` is what the call returned, and errno before it.
#[cold]
#[inline(never)] // for depth
fn make_room(
    asked: usize,
    refused: (isize, c_int),
    ranges: &[(usize, usize)],
    commit: Commit<'_>,
) -> isize {
    let (mut result, before) = refused;
    let pinned = || charge(&Blocked::all(), |state| state.registry.pinned_pages());
    if passes_limit(asked) && pinned().is_some_and(|pages| pages > 0) {
        for &(start, length) in ranges {
            disprove(start, length);
        }
        result = without_holds(&[EVERYWHERE], false, commit);
        if result != FAILED {
            errno::set(before);
        }
    }
    result
}

#[inline]
fn failed_by(result: isize, error: Errno) -> bool {
    result == FAILED && Errno(errno::get()) == error
}

/// Whether the limit keeps the program from locking `asked` bytes more, and
/// would not if we held no locks. In doubt, yes.
fn passes_limit(asked: usize) -> bool {
    let limit = call::getrlimit(libc::RLIMIT_MEMLOCK).map_or(u64::MAX, |limit| limit.rlim_cur);
    let fits = asked as u64 <= limit;
    fits && !matches!(call::room_for_lock(asked), Ok(()) | Err(Errno::EPERM))
}

/// munlock(2) of a range, or munlockall(2) with `None`: our stacks in it are
/// locked again, and those that had to do without a lock try for one. What
/// was proven of them is not any more: their locks were what told.
/// Async-signal-safe.
pub fn unlocking(range: Option<(usize, usize)>, commit: Commit<'_>) -> isize {
    let blocked = Blocked::all();
    let pages = range.map_or(Pages::ALL, |(start, length)| pages(start, length));
    let result = commit();
    charge(&blocked, |State { registry, .. }| {
        if result == 0 {
            registry.program_locked(pages, false);
        } else {
            registry.program_unlocked_some(pages, &mut Kernel);
        }
        registry.refresh(pages, &mut Kernel);
        registry.climb(&mut Kernel);
        stats::PINNED.set(registry.pinned_pages());
    });
    result
}
