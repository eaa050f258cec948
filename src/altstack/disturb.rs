//! The program's own memory calls, where they hit a stack that is held: each
//! returns what it would without us, and afterwards the stacks are resident
//! again as far as the memory is there.
//!
//! Where a lock of ours would change the call's outcome, the stack is let go
//! of first and held again after, with signals blocked on the calling thread;
//! for stacks of other threads that leaves a window, which is counted.

use core::ffi::c_int;

use super::pins::Kernel;
use super::{charge, fork, origin};
use crate::stats;
use crate::sys::errno::{self, Errno};
use crate::sys::page::{self, Pages};
use crate::sys::signals::Blocked;
use crate::sys::{call, startup};

/// The original call, with its result as a register: -1 for a failure.
pub type Commit<'a> = &'a dyn Fn() -> isize;
/// The original call on a range (start and length in bytes) of its own.
pub type CommitOn<'a> = &'a dyn Fn(usize, usize) -> isize;

/// What each of these calls returns when it fails.
const FAILED: isize = -1;

/// Linux 6.13: pages that fault for good, without a mapping of their own.
const MADV_GUARD_INSTALL: c_int = 102;

fn pages(start: usize, length: usize) -> Pages {
    Pages::around(start, start.saturating_add(length))
}

/// A call that takes away, replaces or moves memory in the ranges (start and
/// length in bytes): munmap(2), mmap(2) with `MAP_FIXED`, mremap(2), brk(2).
/// Async-signal-safe.
pub fn replacing(ranges: &[(usize, usize)], commit: Commit<'_>) -> isize {
    for &(start, length) in ranges {
        origin::forget_within(start, length);
    }
    without_holds(ranges, true, commit)
}

/// Commits while the stacks in the ranges are let go of.
fn without_holds(ranges: &[(usize, usize)], replaced: bool, commit: Commit<'_>) -> isize {
    let before = errno::get();
    let mut done = None;
    loop {
        let ended = fork::ended();
        let blocked = Blocked::on_entry();
        if let Some(mut state) = charge() {
            for &(start, length) in ranges {
                let pages = pages(start, length);
                stats::WINDOWS.add(state.registry.suspend(pages, call::gettid(), &mut Kernel));
            }
            drop(state);
            let result = done.unwrap_or_else(commit);
            if let Some(mut state) = charge() {
                for &(start, length) in ranges {
                    state.registry.resume(pages(start, length), replaced, &mut Kernel);
                }
                stats::PINNED.set(state.registry.pinned_pages());
            }
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

/// A call that leaves the memory in place but may take its residency or its
/// lock: mprotect(2), shmdt(2). Async-signal-safe.
pub fn weakening(start: usize, length: usize, commit: Commit<'_>) -> isize {
    let _blocked = Blocked::on_entry();
    let result = commit();
    appeared(start, length);
    result
}

/// Memory may have come, or come back, to the range: stacks there are made
/// resident. Async-signal-safe.
pub fn appeared(start: usize, length: usize) {
    if let Some(mut state) = charge() {
        state.registry.refresh(pages(start, length), &mut Kernel);
        stats::PINNED.set(state.registry.pinned_pages());
    }
}

/// process_madvise(2), of whose ranges these may hold stacks. On a copy of this
/// process they may have the addresses of ours. Async-signal-safe.
pub fn advising_ranges(ranges: &[(usize, usize)], advice: c_int, commit: Commit<'_>) -> isize {
    let flags_a_fork = flags_a_fork(advice);
    if flags_a_fork {
        for &(start, length) in ranges {
            origin::forget_within(start, length);
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
    let _blocked = Blocked::on_entry();
    let bytes = length.div_ceil(page::SIZE).checked_mul(page::SIZE);
    let whole = start.is_multiple_of(page::SIZE)
        && bytes.is_some_and(|bytes| start.checked_add(bytes).is_some());
    match advice {
        _ if !whole => commit(start, length),
        libc::MADV_DONTNEED | libc::MADV_FREE => {
            around_our_frame(pages(start, length), &|asked| {
                if others_proven(asked) {
                    // With MADV_FREE the kernel may as well keep the pages.
                    let outcome = around_held(asked, advice == libc::MADV_DONTNEED, commit);
                    // What was only touched is gone.
                    appeared(asked.address(), asked.bytes());
                    outcome
                } else {
                    let_go_of(asked, commit)
                }
            })
        }
        _ if flags_a_fork(advice) => {
            origin::forget_within(start, length);
            if let Some(mut state) = charge() {
                state.registry.disprove(pages(start, length));
            }
            commit(start, length)
        }
        // The kernel refuses these on locked memory. A guard fails the lock
        // that would cover it, and our touch, which the kernel makes for us.
        libc::MADV_PAGEOUT | libc::MADV_COLD | libc::MADV_REMOVE | MADV_GUARD_INSTALL => {
            without_holds(&[(start, length)], false, &|| commit(start, length))
        }
        _ => weakening(start, length, &|| commit(start, length)),
    }
}

/// Commits on `asked` while the stacks there are let go of.
fn let_go_of(asked: Pages, commit: CommitOn<'_>) -> isize {
    let range = (asked.address(), asked.bytes());
    without_holds(&[range], false, &|| commit(range.0, range.1))
}

/// Whether another thread's stack is concerned, and all of the held pages are
/// proven private anonymous memory.
fn others_proven(asked: Pages) -> bool {
    charge().is_some_and(|state| {
        !state.registry.only(call::gettid(), asked) && state.registry.all_proven(asked)
    })
}

/// Whether the kernel, which goes upwards, would go on after this outcome of
/// a part: past a hole it does, and tells of it in the end.
fn goes_on(outcome: isize) -> bool {
    outcome != FAILED || Errno(errno::get()) == Errno::ENOMEM
}

/// Commits on the parts of the range that no stack holds. The stacks stay:
/// their threads could meet a signal without the lock or without the page.
fn around_held(asked: Pages, zero: bool, commit: CommitOn<'_>) -> isize {
    let mut outcome = commit(asked.address(), 0);
    let mut rest = asked;
    while !rest.is_empty() && goes_on(outcome) {
        let (part, served) = served_in_place(rest, zero);
        if !served {
            outcome = outcome.min(let_go_of(part, commit));
        }
        rest.first = part.end;
    }
    outcome
}

/// The lowest part of `rest` that is held, or is not. If it is, and proven, it
/// stays, and with `zero` zeroes are written to it: the same to the program.
/// True if that was done.
fn served_in_place(rest: Pages, zero: bool) -> (Pages, bool) {
    let Some(state) = charge() else { return (rest, false) };
    let held = state.registry.held_run(rest, rest.first);
    if held.is_empty() {
        return (rest, false);
    }
    if held.first > rest.first {
        return (Pages { end: held.first, ..rest }, false);
    }
    // SAFETY: the program asks for these whole pages to read as zeroes, and
    // the pages under our frames are not among them.
    let cleared = || unsafe { call::write_zeroes(held.address(), held.bytes()) }.is_ok();
    (held, state.registry.all_proven(held) && (!zero || cleared()))
}

/// Commits on `asked` without the pages under our own frames: the program may
/// give away all below its stack pointer, but not what we stand on there.
/// What lies below a stack pointer is undefined at any time.
fn around_our_frame(asked: Pages, commit: &dyn Fn(Pages) -> isize) -> isize {
    /// More than the frames below this one take.
    const BELOW: usize = 2048;
    /// More than lies between here and the program's frame.
    const ABOVE: usize = 1024;
    let here = startup::stack_pointer();
    let ours = Pages::around(here.saturating_sub(BELOW), here.saturating_add(ABOVE));
    if asked.common(ours).is_empty() {
        return commit(asked);
    }
    let below = Pages { first: asked.first, end: ours.first };
    let above = Pages { first: ours.end, end: asked.end };
    let outcome = if below.is_empty() { 0 } else { commit(below) };
    if above.is_empty() || !goes_on(outcome) {
        return outcome;
    }
    outcome.min(commit(above))
}

/// A call of the program's that locks memory: mlock(2), mlock2(2),
/// mlockall(2). With a range, its pages are the program's own from then on,
/// and are not unlocked by us. Async-signal-safe.
pub fn locking(range: Option<(usize, usize)>, commit: Commit<'_>) -> isize {
    // mlockall(2) without a range is not refused for what is locked already.
    let result = range.map_or_else(commit, |(start, length)| {
        let asked = pages(start, length).count().saturating_mul(page::SIZE);
        // The kernel has one error for the limit and for a hole.
        let refused = |result| failed_by(result, Errno::ENOMEM) && call::is_mapped(start, length);
        with_room(asked, refused, commit)
    });
    if let Some((start, length)) = range.filter(|_| result != FAILED)
        && let Some(mut state) = charge()
    {
        state.registry.program_locked(pages(start, length), true);
    }
    result
}

/// A call that makes a mapping, or a larger one, by so many bytes, which
/// `MAP_LOCKED` or mlockall(2) may have the kernel lock: mmap(2), mremap(2).
/// Async-signal-safe.
pub fn mapping(more: usize, commit: Commit<'_>) -> isize {
    with_room(more, |result| failed_by(result, Errno::EAGAIN), commit)
}

/// A call that is to move the heap's end from `now` to `end`, which mlockall(2)
/// may have the kernel lock: brk(2), whose answer is another from libc than by
/// syscall(2). Async-signal-safe.
pub fn ending_heap(now: usize, end: usize, commit: Commit<'_>) -> isize {
    let refused = |_| end > 0 && call::current_break() < end;
    with_room(end.saturating_sub(now), refused, commit)
}

/// Commits. If that was `refused` for the limit, which `asked` bytes more would
/// pass, while we hold locks, we give them back and it is made once more; our
/// stacks then get what is left.
fn with_room(asked: usize, refused: impl FnOnce(isize) -> bool, commit: Commit<'_>) -> isize {
    let before = errno::get();
    let mut result = commit();
    let ours = || charge().is_some_and(|state| state.registry.pinned_pages() > 0);
    if refused(result) && passes_limit(asked) && ours() {
        result = without_holds(&[(0, usize::MAX)], false, commit);
        if result != FAILED {
            errno::set(before);
        }
    }
    result
}

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
    let _blocked = Blocked::on_entry();
    let pages = range.map_or(Pages::ALL, |(start, length)| pages(start, length));
    let result = commit();
    if let Some(mut state) = charge() {
        if result == 0 {
            state.registry.program_locked(pages, false);
        } else {
            state.registry.program_unlocked_some(pages, &mut Kernel);
        }
        state.registry.refresh(pages, &mut Kernel);
        state.registry.climb(&mut Kernel);
        stats::PINNED.set(state.registry.pinned_pages());
    }
    result
}
