//! The program's own memory calls, where they hit a stack that is held: each
//! returns what it would without us, and afterwards the stacks are resident
//! again as far as the memory is there.
//!
//! Where a lock of ours would change the call's outcome, the stack is let go
//! of first and held again after, with signals blocked on the calling thread;
//! for stacks of other threads that leaves a window, which is counted. So does
//! a call over the memory that the caller stands on, during which they are not
//! blocked: it may take the stack away, or its writability, and what comes of
//! that is for the program's handlers to see.

mod advice;
mod locks;

use core::sync::atomic::{AtomicBool, Ordering};

use super::pins::Kernel;
use super::{State, charge, fork};
use crate::stats;
use crate::sys::call;
use crate::sys::errno;
use crate::sys::page::Pages;
use crate::sys::signals::{self, Blocked};
pub use advice::{advise, advising_ranges, flags_a_fork};
pub use locks::{ending_heap, locking, mapping, unlocking};

/// The original call, with its result as a register: -1 for a failure.
pub type Commit<'a> = &'a dyn Fn() -> isize;
/// The original call on a range (start and length in bytes) of its own.
pub type CommitOn<'a> = &'a dyn Fn(usize, usize) -> isize;

/// What each of these calls returns when it fails.
const FAILED: isize = -1;

/// All memory, as a range.
const EVERYWHERE: (usize, usize) = (0, usize::MAX);

fn pages(start: usize, length: usize) -> Pages {
    Pages::around(start, start.saturating_add(length))
}

/// A call that takes away, replaces or moves memory in the ranges (start and
/// length in bytes): munmap(2), mmap(2) with `MAP_FIXED`, mremap(2), brk(2).
/// What was known of their [`origin`](super::origin) is forgotten by now. Async-signal-safe.
pub fn replacing(ranges: &[(usize, usize)], commit: Commit<'_>) -> isize {
    without_holds(ranges, true, commit)
}

/// Commits while the stacks in the ranges are let go of.
#[inline(never)] // for depth
fn without_holds(ranges: &[(usize, usize)], replaced: bool, commit: Commit<'_>) -> isize {
    let before = errno::get();
    let mut done = None;
    loop {
        let ended = fork::ended();
        let blocked = Blocked::all();
        if suspend(ranges, &blocked) {
            let own = ranges.iter().any(|&(start, length)| stands_on(start, length));
            let (result, blocked) = if own {
                // A handler may jump out of the call.
                note_unended();
                drop(blocked);
                let result = done.unwrap_or_else(commit);
                if !signals::have_room() {
                    // They are held again when they are set again.
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
        // In the middle of a fork that waits for this thread, say. The call
        // must not fail for our locks; what is left is held after the fork.
        if fork::under_way() {
            fork::unlock_meanwhile(if done.is_none() { ranges } else { &[] });
        }
        let result = done.unwrap_or_else(commit);
        if fork::ended() == ended {
            return result;
        }
        // Its locks are back since, perhaps from before the call, which may be
        // why that failed, or before the unlocking: once more.
        if result == FAILED {
            errno::set(before);
        } else {
            done = Some(result);
        }
    }
}

/// False where the registry is not to be had.
#[inline(never)] // for depth
fn suspend(ranges: &[(usize, usize)], blocked: &Blocked) -> bool {
    let suspended = charge(blocked, |State { registry, .. }| {
        for &(start, length) in ranges {
            let others = registry.suspend(pages(start, length), call::gettid(), &mut Kernel);
            stats::WINDOWS.add(others);
        }
    });
    suspended.is_some()
}

#[inline(never)] // for depth
fn resume(ranges: &[(usize, usize)], replaced: bool, blocked: &Blocked) {
    let resumed = charge(blocked, |State { registry, .. }| {
        for &(start, length) in ranges {
            registry.resume(pages(start, length), replaced, &mut Kernel);
        }
        stats::PINNED.set(registry.pinned_pages());
    });
    if resumed.is_none() {
        note_unended();
    }
}

/// Some stacks are let go of for a call whose end was not put on record.
static UNENDED: AtomicBool = AtomicBool::new(false);

#[cold]
fn note_unended() {
    UNENDED.store(true, Ordering::Relaxed);
}

/// Whether each stack that is let go of will be held again by itself.
pub(super) fn all_end() -> bool {
    !UNENDED.load(Ordering::Relaxed)
}

/// Whether a call on the range may take away what we stand on. A range of all
/// memory stands for a call that takes nothing away.
fn stands_on(start: usize, length: usize) -> bool {
    (start, length) != EVERYWHERE && signals::stand_on(start, length)
}

/// A call that leaves the memory in place but may take its residency or its
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

/// Memory may have come, or come back, to the range: stacks there are made
/// resident. Async-signal-safe.
pub fn appeared(start: usize, length: usize) {
    refresh(start, length, &Blocked::all());
}

#[inline(never)] // for depth
fn refresh(start: usize, length: usize, blocked: &Blocked) {
    charge(blocked, |State { registry, .. }| {
        registry.refresh(pages(start, length), &mut Kernel);
        stats::PINNED.set(registry.pinned_pages());
    });
}

#[inline(never)] // for depth
fn disprove(start: usize, length: usize) {
    charge(&Blocked::all(), |state| state.registry.disprove(pages(start, length)));
}
