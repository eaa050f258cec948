//! Releasing stacks around a call, and holding them again.

use super::dangling;
use crate::os::call;
use crate::os::errno;
use crate::os::page::Pages;
use crate::os::signals::{self, Blocked};
use crate::residency::charge::{FORKS, State, charge, fork_is_under_way};
use crate::residency::page_locks::ThisProcess;
use crate::residency::registry::note_unended;
use crate::state::stats;

/// The original call. Returns the value of the result register; -1 is a
/// failure.
pub type Commit<'a> = &'a dyn Fn() -> isize;
/// The original call on the given range (start and length in bytes).
pub type CommitOn<'a> = &'a dyn Fn(usize, usize) -> isize;

/// What each of these calls returns when it fails.
pub(super) const FAILED: isize = -1;

/// All memory, as a range.
pub(super) const EVERYWHERE: (usize, usize) = (0, usize::MAX);

pub(super) fn pages(start: usize, length: usize) -> Pages {
    Pages::around(start, start.saturating_add(length))
}

/// A call that removes, replaces or moves memory in the ranges (start and
/// length in bytes): munmap(2), mmap(2) with `MAP_FIXED`, mremap(2), brk(2).
/// The caller has already made [`origin`](crate::residency::origin) forget them.
/// Async-signal-safe.
pub fn replacing(ranges: &[(usize, usize)], commit: Commit<'_>) -> isize {
    without_holds(ranges, true, commit)
}

/// munmap(2): like [`replacing`], and the calling thread's own alternate stack
/// is no longer used once it is gone. Async-signal-safe.
pub fn unmapping(start: usize, length: usize, commit: Commit<'_>) -> isize {
    let disarmed = dangling::disarm(start, length);
    let result = replacing(&[(start, length)], commit);
    match disarmed {
        Some(stack) if result == FAILED => stack.put_back(),
        Some(_) => dangling::tell(),
        None => {}
    }
    result
}

/// Makes the call while the stacks in the ranges are released.
#[inline(never)] // for depth
pub(super) fn without_holds(
    ranges: &[(usize, usize)],
    replaced: bool,
    commit: Commit<'_>,
) -> isize {
    let before = errno::get();
    let mut done = None;
    loop {
        let ended = FORKS.ended();
        let blocked = Blocked::all();
        if suspend(ranges, &blocked) {
            let own = ranges.iter().any(|&(start, length)| stands_on(start, length));
            let (result, blocked) = if own {
                // A handler may jump out of the call.
                note_unended();
                drop(blocked);
                let result = done.unwrap_or_else(commit);
                if !signals::have_room() {
                    // The stacks are held again when the program sets them
                    // again.
                    return result;
                }
                (result, Blocked::all())
            } else {
                (done.unwrap_or_else(commit), blocked)
            };
            resume(ranges, replaced, &blocked);
            return result;
        }
        drop(blocked);
        // For example, a fork is in progress that waits for this thread. The
        // call must not fail because of our locks; what is left afterwards is
        // held after the fork.
        if fork_is_under_way() {
            FORKS.unlock_meanwhile(if done.is_none() { ranges } else { &[] });
        }
        let result = done.unwrap_or_else(commit);
        if FORKS.ended() == ended {
            return result;
        }
        // A fork has ended meanwhile and restored its locks. The call may have
        // failed because of them, or our unlocking may have removed them again.
        // Either way, go around again.
        if result == FAILED {
            errno::set(before);
        } else {
            done = Some(result);
        }
    }
}

/// Releases the stacks in the ranges. False if the registry is not available.
#[inline(never)] // for depth
fn suspend(ranges: &[(usize, usize)], blocked: &Blocked) -> bool {
    let suspended = charge(blocked, |State { registry, .. }| {
        for &(start, length) in ranges {
            let others = registry.suspend(pages(start, length), call::gettid(), &mut ThisProcess);
            stats::WINDOWS.add(others);
        }
    });
    suspended.is_some()
}

#[inline(never)] // for depth
fn resume(ranges: &[(usize, usize)], replaced: bool, blocked: &Blocked) {
    let resumed = charge(blocked, |State { registry, .. }| {
        for &(start, length) in ranges {
            registry.resume(pages(start, length), replaced, &mut ThisProcess);
        }
        stats::PINNED.set(registry.pinned_pages());
    });
    if resumed.is_none() {
        note_unended();
    }
}

/// Whether a call on the range may remove the memory we are running on. The
/// range of all memory is used for a call that removes nothing.
fn stands_on(start: usize, length: usize) -> bool {
    (start, length) != EVERYWHERE && signals::stand_on(start, length)
}

/// A call that leaves the memory in place but may remove its residency or its
/// lock: mprotect(2), shmdt(2). Async-signal-safe.
pub fn weakening(start: usize, length: usize, commit: Commit<'_>) -> isize {
    if stands_on(start, length) {
        let result = commit();
        if signals::have_room() {
            appeared(start, length);
        }
        return result;
    }
    let blocked = Blocked::all();
    let result = commit();
    refresh(start, length, &blocked);
    result
}

/// Memory may have appeared, or come back, in the range: makes the stacks there
/// resident. Async-signal-safe.
pub fn appeared(start: usize, length: usize) {
    refresh(start, length, &Blocked::all());
}

#[inline(never)] // for depth
fn refresh(start: usize, length: usize, blocked: &Blocked) {
    charge(blocked, |State { registry, .. }| {
        registry.refresh(pages(start, length), &mut ThisProcess);
        stats::PINNED.set(registry.pinned_pages());
    });
}

#[inline(never)] // for depth
pub(super) fn disprove(start: usize, length: usize) {
    charge(&Blocked::all(), |state| state.registry.disprove(pages(start, length)));
}
