//! The memory of stacks of ours: whole pages above a guard.

use core::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use super::ladder::Stack;
use super::origin;
use crate::os::{call, page};

/// Whether our stacks get a name: see [`crate::plan::Plan::names_memory`].
static NAMES: AtomicBool = AtomicBool::new(false);

/// Gives our stacks a name from now on, by prctl(2).
pub(crate) fn give_names() {
    NAMES.store(true, Ordering::Relaxed);
}

/// Whether the program has asked for all of its memory to be locked that is
/// mapped from then on.
static LOCKED_AHEAD: AtomicBool = AtomicBool::new(false);

/// The program calls mlockall(2) with `MCL_FUTURE`.
pub(crate) fn memory_is_locked_ahead() {
    LOCKED_AHEAD.store(true, Ordering::Relaxed);
}

/// Whether a filter of the program's may forbid munmap(2).
static STAYS: AtomicBool = AtomicBool::new(false);

/// Whether the program has installed a seccomp filter, or is about to, which may
/// kill it for munmap(2): then what is mapped stays, and is used again. Returns
/// what was so before. Async-signal-safe.
pub(crate) fn stay(filtered: bool) -> bool {
    STAYS.swap(filtered, Ordering::Relaxed)
}

/// Whether our stacks stay mapped.
pub(super) fn stays() -> bool {
    STAYS.load(Ordering::Relaxed)
}

/// Maps a stack of at least `size` bytes, in whole pages, above a guard page.
pub(super) fn make(size: usize) -> Option<Stack> {
    let size = size.checked_next_multiple_of(page::size())?;
    let start = call::map_memory(size.checked_add(page::size())?).ok()?;
    let stack = Stack { base: start.wrapping_add(page::size()), size };
    // Without the guard an overflow would go unnoticed: no stack is better.
    if call::protect(start, page::size(), libc::PROT_NONE).is_err() {
        // SAFETY: nobody has seen it.
        unsafe { unmap(stack) };
        return None;
    }
    if LOCKED_AHEAD.load(Ordering::Relaxed) {
        // It would count against the program's limit. Where it is to be locked,
        // that is done when it is set.
        let _ = call::munlock(start, size.wrapping_add(page::size()));
    }
    if NAMES.load(Ordering::Relaxed) {
        call::name_memory(start, size.wrapping_add(page::size()), c"sigward: signal stack");
    }
    Some(stack)
}

/// What the child of a fork finds on `stack` follows from what it would find on
/// the program's own: see [`origin`].
pub(super) fn counts_as(stack: Stack, proven: bool) {
    let start = stack.base.wrapping_sub(page::size());
    if proven {
        origin::mapped(start, stack.size.wrapping_add(page::size()));
    } else {
        origin::forget(start);
    }
}

/// Whether a handler has ever run on `stack`, which was fresh memory: a frame
/// begins at the top.
///
/// # Safety
/// It is mapped, in whole pages, and can be read.
pub(crate) unsafe fn was_used(stack: Stack) -> bool {
    const WORDS: usize = page::LEAST / size_of::<usize>();
    let top = stack.top().unwrap_or(0).wrapping_sub(page::LEAST);
    // SAFETY: as the caller says.
    let top = unsafe { (top as *const [AtomicUsize; WORDS]).as_ref() };
    top.is_some_and(|top| top.iter().any(|word| word.load(Ordering::Relaxed) != 0))
}

/// Unmaps a stack.
///
/// # Safety
/// [`make`] made it, and no thread uses it any more.
pub(super) unsafe fn unmap(stack: Stack) {
    let start = stack.base.wrapping_sub(page::size());
    origin::forget(start);
    // SAFETY: as the caller says.
    let _ = unsafe { call::unmap_memory(start, stack.size.wrapping_add(page::size())) };
}
