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

use core::sync::atomic::{AtomicPtr, AtomicU8, AtomicU64, AtomicUsize, Ordering};

use super::table::{Entry, Table};
use crate::sys::call;
use crate::sys::page::{self, Pages};

/// Bits in a word.
const WORD: usize = 64;
/// Words of pages in a leaf: so many that one word has a bit for each.
const WORDS: usize = WORD;
/// Leaves in a branch.
const LEAVES: usize = 1024;
/// Branches in all: for the 47 bits of address that a program has unless it
/// asks for more.
const BRANCHES: usize = 8192;

/// Bytes mapped at once for tables.
const PIECE: usize = 16 << 10;

type Branch = Tables<Leaf, LEAVES, { LEAVES / WORD }>;
type Root = Tables<Branch, BRANCHES, { BRANCHES / WORD }>;

static ROOT: Root = Root {
    some: [const { AtomicU64::new(0) }; BRANCHES / WORD],
    tables: [const { AtomicPtr::new(core::ptr::null_mut()) }; BRANCHES],
};

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

/// What is left of the piece that was mapped last: its start and its bytes.
static PIECE_START: AtomicUsize = AtomicUsize::new(0);
static PIECE_LEFT: AtomicUsize = AtomicUsize::new(0);

/// Whether one of the bits from `first` to `last` is set.
#[inline]
fn some_of(bits: &[AtomicU64], first: usize, last: usize) -> bool {
    let (mut at, high) = (first / WORD, last / WORD);
    let mut mask = u64::MAX << (first % WORD);
    while let Some(word) = bits.get(at) {
        let word = word.load(Ordering::Relaxed) & mask;
        if at >= high {
            return word & up_to(last) != 0;
        }
        if word != 0 {
            return true;
        }
        (mask, at) = (u64::MAX, at + 1);
    }
    false
}

/// The bits of a word up to that of `last`.
const fn up_to(last: usize) -> u64 {
    u64::MAX >> (WORD - 1 - last % WORD)
}

fn are_empty(bits: &[AtomicU64]) -> bool {
    bits.iter().all(|word| word.load(Ordering::Relaxed) == 0)
}

/// Sets or clears the bit `at`. One thread at a time.
fn put(bits: &[AtomicU64], at: usize, set: bool) {
    if let Some(word) = bits.get(at / WORD) {
        let (before, bit) = (word.load(Ordering::Relaxed), 1 << (at % WORD));
        word.store(if set { before | bit } else { before & !bit }, Ordering::Relaxed);
    }
}

/// A part of the address space. All-zero bytes are one without a raised page.
trait Part: 'static {
    /// Pages in it.
    const PAGES: usize;
    /// Whether a page of it from `first` to `last` is raised.
    fn touches(&self, first: usize, last: usize) -> bool;
    /// Whether no page is raised.
    fn is_empty(&self) -> bool;
    /// Lowers all pages.
    fn clear(&self);
}

/// Bits of pages.
#[repr(C)]
struct Leaf {
    /// Which of `pages` are not 0.
    some: [AtomicU64; WORDS / WORD],
    pages: [AtomicU64; WORDS],
}

impl Part for Leaf {
    const PAGES: usize = WORDS * WORD;

    #[inline]
    fn touches(&self, first: usize, last: usize) -> bool {
        let (low, high) = (first / WORD % WORDS, last / WORD % WORDS);
        let word = |at: usize| self.pages.get(at).map_or(0, |word| word.load(Ordering::Relaxed));
        let head = u64::MAX << (first % WORD);
        if low == high {
            return word(low) & head & up_to(last) != 0;
        }
        // Mostly all there is to say.
        if !some_of(&self.some, low, high) {
            return false;
        }
        word(low) & head | word(high) & up_to(last) != 0
            || low + 1 < high && some_of(&self.some, low + 1, high - 1)
    }

    fn is_empty(&self) -> bool {
        are_empty(&self.some)
    }

    fn clear(&self) {
        for (at, word) in self.pages.iter().enumerate() {
            if some_of(&self.some, at, at) {
                word.store(0, Ordering::Relaxed);
            }
        }
        clear_bits(&self.some);
    }
}

/// Without a write where none is needed: a forked child has its parent's pages.
fn clear_bits(bits: &[AtomicU64]) {
    for word in bits.iter().filter(|word| word.load(Ordering::Relaxed) != 0) {
        word.store(0, Ordering::Relaxed);
    }
}

/// Pointers to parts, each null until one is needed. `W` words of bits.
#[repr(C)]
struct Tables<P, const N: usize, const W: usize> {
    /// Which of `tables` have a raised page.
    some: [AtomicU64; W],
    tables: [AtomicPtr<P>; N],
}

impl<P: Part, const N: usize, const W: usize> Tables<P, N, W> {
    #[inline]
    fn get(&self, at: usize) -> Option<&P> {
        // SAFETY: null, or a table that stays.
        unsafe { self.tables.get(at)?.load(Ordering::Acquire).as_ref() }
    }

    /// [`Part::touches`] where the pages are in several parts.
    #[inline]
    fn touches_parts(&self, first: usize, last: usize) -> bool {
        let (low, high) = (first / P::PAGES % N, last / P::PAGES % N);
        some_of(&self.some, low, high) && self.touches_some(first, last)
    }

    #[inline(never)] // for few registers where there is none
    fn touches_some(&self, first: usize, last: usize) -> bool {
        let (low, high) = (first / P::PAGES % N, last / P::PAGES % N);
        let (low_last, high_first) = (first | (P::PAGES - 1), last & !(P::PAGES - 1));
        self.get(low).is_some_and(|part| part.touches(first, low_last))
            || self.get(high).is_some_and(|part| part.touches(high_first, last))
            || low + 1 < high && some_of(&self.some, low + 1, high - 1)
    }

    /// A part, made if need be. One thread at a time.
    fn make(&self, at: usize) -> Option<&P> {
        if self.get(at).is_none() {
            let table = room_for::<P>()?;
            self.tables.get(at)?.store(table, Ordering::Release);
        }
        self.get(at)
    }
}

impl<P: Part, const N: usize, const W: usize> Part for Tables<P, N, W> {
    const PAGES: usize = N * P::PAGES;

    #[inline]
    fn touches(&self, first: usize, last: usize) -> bool {
        let (low, high) = (first / P::PAGES % N, last / P::PAGES % N);
        if low != high {
            return self.touches_parts(first, last);
        }
        self.get(low).is_some_and(|part| part.touches(first, last))
    }

    fn is_empty(&self) -> bool {
        are_empty(&self.some)
    }

    fn clear(&self) {
        for (number, word) in self.some.iter().enumerate() {
            for bit in bits(word.load(Ordering::Relaxed)) {
                if let Some(part) = self.get(number * WORD + bit) {
                    part.clear();
                }
            }
        }
        clear_bits(&self.some);
    }
}

/// Zeroed memory for a table, for good. One thread at a time.
fn room_for<P>() -> Option<*mut P> {
    let size = size_of::<P>().next_multiple_of(WORD);
    if PIECE_LEFT.load(Ordering::Relaxed) < size {
        let piece = call::map_memory(PIECE).ok()?;
        // In vain before Linux 4.14: see `clear`.
        let _ = call::wipe_on_fork(piece, PIECE, true);
        PIECE_START.store(piece, Ordering::Relaxed);
        PIECE_LEFT.store(PIECE, Ordering::Relaxed);
    }
    PIECE_LEFT.fetch_sub(size, Ordering::Relaxed);
    Some(PIECE_START.fetch_add(size, Ordering::Relaxed) as *mut P)
}

/// A page that is raised more than once.
#[derive(Clone, Copy)]
struct Shared {
    /// The page's number and 1.
    key: usize,
    /// How often, beyond once.
    more: usize,
}

// SAFETY: zeroes are a `Shared` with key 0, which no page has.
unsafe impl Entry for Shared {
    fn key(&self) -> usize {
        self.key
    }
}

/// Who writes the tree: the registry, under its lock.
pub struct Watch {
    shared: Table<Shared>,
    /// There was no memory for what was raised.
    lost: bool,
}

impl Watch {
    /// Nothing raised yet.
    #[must_use]
    pub const fn new() -> Self {
        Watch { shared: Table::new(), lost: false }
    }

    /// `pages` are about to be held.
    pub fn raise(&mut self, pages: Pages) {
        if pages.is_empty() {
            return;
        }
        if pages.end > Root::PAGES {
            ABOVE.fetch_add(1, Ordering::Relaxed);
        }
        for (word, mask) in words(pages) {
            self.lost |= self.raise_in(word, mask).is_none();
        }
        ANSWER.store(if self.lost { PERHAPS } else { EXACT }, Ordering::Relaxed);
    }

    fn raise_in(&mut self, number: usize, mask: u64) -> Option<()> {
        let leaf_number = number / WORDS;
        let branch = ROOT.make(leaf_number / LEAVES)?;
        let leaf = branch.make(leaf_number % LEAVES)?;
        let word = leaf.pages.get(number % WORDS)?;
        let before = word.load(Ordering::Relaxed);
        word.store(before | mask, Ordering::Relaxed);
        put(&leaf.some, number % WORDS, true);
        put(&branch.some, leaf_number % LEAVES, true);
        put(&ROOT.some, leaf_number / LEAVES, true);
        for bit in bits(before & mask) {
            let key = number * WORD + bit + 1;
            let more = self.shared.get(key).map_or(0, |shared| shared.more).saturating_add(1);
            self.shared.insert(Shared { key, more }).then_some(())?;
        }
        Some(())
    }

    /// `pages`, raised before, are no longer held.
    pub fn lower(&mut self, pages: Pages) {
        if pages.is_empty() {
            return;
        }
        if pages.end > Root::PAGES {
            ABOVE.fetch_sub(1, Ordering::Relaxed);
        }
        for (word, mask) in words(pages) {
            // A table that is not there could not be had.
            let _ = self.lower_in(word, mask);
        }
    }

    fn lower_in(&mut self, number: usize, mut mask: u64) -> Option<()> {
        if !self.shared.is_empty() {
            for bit in bits(mask) {
                if self.lower_shared(number * WORD + bit + 1) {
                    mask &= !(1 << bit);
                }
            }
        }
        let leaf_number = number / WORDS;
        let branch = ROOT.get(leaf_number / LEAVES)?;
        let leaf = branch.get(leaf_number % LEAVES)?;
        let word = leaf.pages.get(number % WORDS)?;
        let after = word.load(Ordering::Relaxed) & !mask;
        word.store(after, Ordering::Relaxed);
        put(&leaf.some, number % WORDS, after != 0);
        put(&branch.some, leaf_number % LEAVES, !leaf.is_empty());
        put(&ROOT.some, leaf_number / LEAVES, !branch.is_empty());
        Some(())
    }

    /// False if nobody else has raised the page.
    fn lower_shared(&mut self, key: usize) -> bool {
        let Some(shared) = self.shared.get_mut(key) else { return false };
        shared.more -= 1;
        if shared.more == 0 {
            self.shared.remove(key);
        }
        true
    }
}

impl Default for Watch {
    fn default() -> Self {
        Self::new()
    }
}

/// The words of the tree that have bits of `pages`, by number, and the bits.
fn words(pages: Pages) -> impl Iterator<Item = (usize, u64)> {
    let Pages { first, end } = pages.common(Pages { first: 0, end: Root::PAGES });
    let (low, high) = (first / WORD, end.div_ceil(WORD));
    (low..high).map(move |number| {
        let from = if number == low { u64::MAX << (first % WORD) } else { u64::MAX };
        let to = if number + 1 == high { up_to(end.wrapping_sub(1)) } else { u64::MAX };
        (number, from & to)
    })
}

/// The numbers of the bits that are set.
fn bits(word: u64) -> impl Iterator<Item = usize> {
    (0..WORD).filter(move |bit| word >> bit & 1 != 0)
}

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
