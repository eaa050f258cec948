//! Turning away memory calls that touch no stack of ours: they are hot in
//! allocators.
//!
//! What is watched stands in a tree over all pages of the address space, like
//! a page table: a bit for each page, and above it a bit for each word of bits
//! that is not empty, for each leaf and for each branch. A range of any size
//! is answered by the words at its two ends and by the bits above for what
//! lies between; a leaf that was never made answers at once. The answer is
//! exact. It takes no lock: one thread at a time writes, and a page is raised
//! before it is held and lowered after it is let go of.
//!
//! Memory: a leaf has half a KiB and stands for 16 MiB of addresses, a branch
//! has 8 KiB for 16 GiB; so a stack takes 1 KiB at most beside its branch, and
//! its neighbours take nothing more. Tables are mapped in pieces of 16 KiB when a
//! stack first needs them, and stay: a reader may be anywhere in them. A fork
//! does not copy them, as its child begins anew: it finds them empty. Where
//! the kernel gives no memory, every call is one that may touch a stack.

mod tree;
mod watch;

use core::sync::atomic::{AtomicU8, AtomicUsize, Ordering};

use crate::sys::page;
use tree::{Branch, LEAVES, Leaf, Part, ROOT, Root};
pub use watch::Watch;

/// How many raised ranges have pages above those of the tree.
static ABOVE: AtomicUsize = AtomicUsize::new(0);

/// How calls are answered.
static ANSWER: AtomicU8 = AtomicU8::new(SHUT);
/// Nothing is touched.
const SHUT: u8 = 0;
/// The tree knows.
const EXACT: u8 = 1;
/// Anything may be touched.
const PERHAPS: u8 = 2;

/// Turns every call away, until pages are raised again: nobody is to act on
/// what is held. What is raised stays so, to be lowered when it is let go of.
pub fn shut() {
    ANSWER.store(SHUT, Ordering::Relaxed);
}

/// Nothing is held any more, as in a new process, whose [`Watch`] is new, too.
/// The tables stay: this may be a signal's handler, over a call that reads them.
pub fn clear() {
    shut();
    ABOVE.store(0, Ordering::Relaxed);
    ROOT.clear();
}

/// Whether a call on `[start, start + length)` touches no watched page.
/// Async-signal-safe.
#[inline]
#[must_use]
pub fn misses(start: usize, length: usize) -> bool {
    match ANSWER.load(Ordering::Relaxed) {
        EXACT => !touches(start, length),
        answer => answer == SHUT || length == 0,
    }
}

#[inline(never)] // for size: every hook asks
fn touches(start: usize, length: usize) -> bool {
    const LEAF: usize = Leaf::PAGES * page::SIZE;
    // The kernel refuses what wraps around, at once.
    let last = start.wrapping_add(length).wrapping_sub(1);
    // Mostly in one leaf.
    let at = start / LEAF;
    if at != last / LEAF || start >= ROOT_END {
        return length > 0 && touches_leaves(start, last);
    }
    let leaf = ROOT.get(at / LEAVES).and_then(|branch| branch.get(at % LEAVES));
    leaf.is_some_and(|leaf| leaf.touches(start / page::SIZE, last / page::SIZE))
}

/// The address after those of the tree.
const ROOT_END: usize = Root::PAGES * page::SIZE;

#[inline(never)] // for few registers in the caller
fn touches_leaves(start: usize, last: usize) -> bool {
    const BRANCH: usize = Branch::PAGES * page::SIZE;
    let at = start / BRANCH;
    if at != last / BRANCH || start >= ROOT_END {
        return touches_branches(start, last);
    }
    let branch = ROOT.get(at);
    branch.is_some_and(|branch| branch.touches_parts(start / page::SIZE, last / page::SIZE))
}

#[cold]
#[inline(never)] // as above
fn touches_branches(start: usize, last: usize) -> bool {
    let (first, last) = (start / page::SIZE, last / page::SIZE);
    let above = last >= Root::PAGES && ABOVE.load(Ordering::Relaxed) != 0;
    above || first < Root::PAGES && ROOT.touches(first, last.min(Root::PAGES - 1))
}

#[cfg(test)]
pub(super) mod tests;
