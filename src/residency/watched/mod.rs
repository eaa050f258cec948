//! Quickly passes on memory calls that affect no stack of ours: they are hot in
//! allocators.
//!
//! The watched pages are kept in a tree over all pages of the address space,
//! like a page table. There is a bit for each page. Above that there is a bit
//! for each non-empty word of bits, for each non-empty leaf and for each
//! non-empty branch. To check a range of any size, we read the words at its two
//! ends, and the higher bits for what lies between. A leaf that was never made
//! answers at once. The answer is exact. Reading takes no lock. One thread at a
//! time writes; it raises a page before the page is held, and lowers it after
//! the page is released.
//!
//! Before that, the lowest page ever raised rejects most calls: the kernel maps
//! new memory below what is there.
//!
//! Memory: a leaf takes half a KiB and covers 16 MiB of addresses, a branch
//! takes 8 KiB and covers 16 GiB. So a stack takes at most 1 KiB besides its
//! branch, and its neighbours take nothing more. Tables are mapped in pieces of
//! 16 KiB when a stack first needs them. They are never unmapped, because a
//! reader may be anywhere in them. A fork does not copy them: the child starts
//! afresh and finds them empty. If the kernel gives no memory, every call
//! counts as one that may affect a stack.
//!
//! Where addresses have 32 bits, the tree ends with them: four branches of 264
//! bytes cover 1 GiB each.
#![cfg_attr(
    target_pointer_width = "32",
    allow(clippy::absurd_extreme_comparisons, reason = "no address is beyond the tree")
)]

mod answer;
mod tree;
mod watch;

use core::sync::atomic::Ordering;

use crate::os::page;
use answer::{ABOVE, ANSWER, EXACT, LOWEST, SHUT};
use tree::{LEAVES, Leaf, Part, ROOT, Root, WORD_BITS};
pub use watch::Watch;

/// Lets every call pass until pages are raised again, because nobody should act
/// on what is held. Raised pages stay raised, and are lowered when they are
/// released.
pub fn shut() {
    ANSWER.store(SHUT, Ordering::Relaxed);
}

/// Forgets everything that is held, as for a new process, whose [`Watch`] is
/// new too. The tables stay: this may run in a signal handler that interrupted
/// a reader.
pub fn clear() {
    shut();
    LOWEST.store(usize::MAX, Ordering::Relaxed);
    ABOVE.store(0, Ordering::Relaxed);
    ROOT.clear();
}

/// Whether a call on `[start, start + length)` affects no watched page.
/// Async-signal-safe.
#[inline]
#[must_use]
pub fn misses(start: usize, length: usize) -> bool {
    match ANSWER.load(Ordering::Relaxed) {
        EXACT => !touches(start, length),
        answer => answer == SHUT || length == 0,
    }
}

#[inline(never)] // saves code size: every hook calls this
fn touches(start: usize, length: usize) -> bool {
    // The kernel refuses a range that wraps around at once.
    let last = start.wrapping_add(length).wrapping_sub(1);
    if last < LOWEST.load(Ordering::Relaxed) {
        return false;
    }
    // Usually the range is in one leaf.
    let (bits, end) = (Leaf::bits(), root_end());
    let at = start >> bits;
    if at != last >> bits || start >= end {
        return length > 0 && touches_leaves(start, last);
    }
    let leaf = ROOT.get(at / LEAVES).and_then(|branch| branch.get(at % LEAVES));
    leaf.is_some_and(|leaf| leaf.touches(start / page::size(), last / page::size()))
}

#[inline(never)] // so that the caller needs few registers
fn touches_leaves(start: usize, last: usize) -> bool {
    // Often they share a word of bits.
    let (bits, end) = (Leaf::bits(), root_end());
    if (start ^ last) >> (bits + WORD_BITS) != 0 || start >= end {
        return touches_branches(start, last);
    }
    let at = start >> bits;
    let more = (last >> bits).wrapping_sub(at);
    ROOT.get(at / LEAVES).is_some_and(|branch| {
        branch.touches_near(at % LEAVES, more, start / page::size(), last / page::size())
    })
}

/// The first address after the tree's.
#[inline]
fn root_end() -> usize {
    Root::PAGES.saturating_mul(page::size())
}

#[cold]
#[inline(never)] // so that the caller needs few registers
fn touches_branches(start: usize, last: usize) -> bool {
    let (first, last) = (start / page::size(), last / page::size());
    let above = last >= Root::PAGES && ABOVE.load(Ordering::Relaxed) != 0;
    above || first < Root::PAGES && ROOT.touches(first, last.min(Root::PAGES - 1))
}

#[cfg(test)]
pub(super) mod tests;
