//! The program's own locks, and calls that the limit on locks may make fail.

use core::ffi::c_int;

use super::release::{Commit, EVERYWHERE, FAILED, disprove, pages, replacing, without_holds};
use crate::os::call;
use crate::os::errno::{self, Errno};
use crate::os::page::{self, Pages};
use crate::os::signals::Blocked;
use crate::residency::charge::{State, charge};
use crate::residency::page_locks::ThisProcess;
use crate::state::stats;

/// A call by the program that locks memory: mlock(2), mlock2(2), mlockall(2).
/// If there is a range, its pages count as locked by the program from then on,
/// and we do not unlock them. Async-signal-safe.
pub fn locking(range: Option<(usize, usize)>, commit: Commit<'_>) -> isize {
    // mlockall(2) without a range does not fail because of what is locked
    // already.
    let result = range.map_or_else(commit, |(start, length)| {
        let asked = pages(start, length).count().saturating_mul(page::size());
        // The kernel returns the same error for the limit and for a hole.
        let refused = |result| failed_by(result, Errno::ENOMEM) && call::is_mapped(start, length);
        with_room(asked, refused, &[], commit)
    });
    if let Some((start, length)) = range.filter(|_| result != FAILED) {
        let locked = pages(start, length);
        charge(&Blocked::all(), |state| state.registry.program_locked(locked, true));
    }
    result
}

/// A call that adds `more` bytes of mapping, which the kernel may lock because
/// of `MAP_LOCKED` or mlockall(2), and that removes or replaces what `ranges`
/// hold: mmap(2), mremap(2). Async-signal-safe.
#[inline]
pub fn mapping(more: usize, ranges: &[(usize, usize)], commit: impl Fn() -> isize + Copy) -> isize {
    with_room(more, |result| failed_by(result, Errno::EAGAIN), ranges, commit)
}

/// A call that moves the heap's end from `now` to `end`: brk(2). The kernel may
/// lock the new part because of mlockall(2). libc's brk and syscall(2) return
/// different values. Async-signal-safe.
pub fn ending_heap(now: usize, end: usize, ranges: &[(usize, usize)], commit: Commit<'_>) -> isize {
    let refused = |_| end > 0 && call::current_break() < end;
    with_room(end.saturating_sub(now), refused, ranges, commit)
}

/// Makes the call, [`replacing`] what `ranges` hold, if any. If the call is
/// `refused` because `asked` more bytes would exceed the limit while we hold
/// locks, we release our locks and repeat the call. Our stacks then get what is
/// left.
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

/// Repeats the call without our locks if that can help. `refused` is what the
/// call returned, and errno before it.
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

/// Whether the limit keeps the program from locking `asked` more bytes, and
/// would not if we held no locks. If unsure, true.
fn passes_limit(asked: usize) -> bool {
    let limit = call::getrlimit(libc::RLIMIT_MEMLOCK).map_or(u64::MAX, |limit| limit.rlim_cur);
    let fits = asked as u64 <= limit;
    fits && !matches!(call::room_for_lock(asked), Ok(()) | Err(Errno::EPERM))
}

/// munlock(2) of a range, or munlockall(2) with `None`. Locks our stacks in it
/// again, and tries to lock those that had no lock so far. The stacks in it are
/// no longer proven, because the proof relied on their locks.
/// Async-signal-safe.
pub fn unlocking(range: Option<(usize, usize)>, commit: Commit<'_>) -> isize {
    let blocked = Blocked::all();
    let pages = range.map_or(Pages::ALL, |(start, length)| pages(start, length));
    let result = commit();
    charge(&blocked, |State { registry, .. }| {
        if result == 0 {
            registry.program_locked(pages, false);
        } else {
            registry.program_unlocked_some(pages, &mut ThisProcess);
        }
        registry.refresh(pages, &mut ThisProcess);
        registry.climb(&mut ThisProcess);
        stats::PINNED.set(registry.pinned_pages());
    });
    result
}
