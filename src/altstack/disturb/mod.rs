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

use core::ffi::c_int;
use core::sync::atomic::{AtomicBool, Ordering};

use super::pins::Kernel;
use super::{State, charge, fork, origin};
use crate::stats;
use crate::sys::errno::{self, Errno};
use crate::sys::page::{self, Pages};
use crate::sys::signals::{self, Blocked};
use crate::sys::{call, startup};

/// The original call, with its result as a register: -1 for a failure.
pub type Commit<'a> = &'a dyn Fn() -> isize;
/// The original call on a range (start and length in bytes) of its own.
pub type CommitOn<'a> = &'a dyn Fn(usize, usize) -> isize;

/// What each of these calls returns when it fails.
const FAILED: isize = -1;

/// Linux 6.13: pages that fault for good, without a mapping of their own.
const MADV_GUARD_INSTALL: c_int = 102;

/// All memory, as a range.
const EVERYWHERE: (usize, usize) = (0, usize::MAX);

fn pages(start: usize, length: usize) -> Pages {
    Pages::around(start, start.saturating_add(length))
}

/// A call that takes away, replaces or moves memory in the ranges (start and
/// length in bytes): munmap(2), mmap(2) with `MAP_FIXED`, mremap(2), brk(2).
/// What was known of their [`origin`] is forgotten by now. Async-signal-safe.
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

#[inline(never)] // for depth
fn disprove(start: usize, length: usize) {
    charge(&Blocked::all(), |state| state.registry.disprove(pages(start, length)));
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
    let here = startup::stack_pointer();
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
