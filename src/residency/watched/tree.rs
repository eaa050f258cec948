//! The tree: parts of the address space, with a bit for each page or part that
//! is raised.

use core::sync::atomic::{AtomicPtr, AtomicU64, AtomicUsize, Ordering};

use crate::arch;
use crate::os::{call, page};

/// Bits in a word.
pub(super) const WORD: usize = 64;
/// Words of pages in a leaf: one word has a bit for each of them.
pub(super) const WORDS: usize = WORD;
/// Leaves in a branch.
pub(super) const LEAVES: usize = if cfg!(target_pointer_width = "64") { 1024 } else { 64 };
/// Branches in all. They cover the addresses that a program has unless it asks
/// for more.
const BRANCHES: usize =
    ((1_u64 << arch::ADDRESS_BITS) / (Leaf::PAGES * LEAVES * page::LEAST) as u64) as usize;

/// Bytes mapped at once for tables.
const PIECE: usize = 16 << 10;

pub(super) type Branch = Tables<Leaf, LEAVES, { LEAVES.div_ceil(WORD) }>;
pub(super) type Root = Tables<Branch, BRANCHES, { BRANCHES.div_ceil(WORD) }>;

pub(super) static ROOT: Root = Root {
    some: [const { AtomicU64::new(0) }; BRANCHES.div_ceil(WORD)],
    tables: [const { AtomicPtr::new(core::ptr::null_mut()) }; BRANCHES],
};

/// What is left of the piece that was mapped last: its start and its size in
/// bytes.
static PIECE_START: AtomicUsize = AtomicUsize::new(0);
static PIECE_LEFT: AtomicUsize = AtomicUsize::new(0);

/// Whether any bit from `first` to `last` is set.
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

/// The bits of a word up to and including that of `last`.
pub(super) const fn up_to(last: usize) -> u64 {
    u64::MAX >> (WORD - 1 - last % WORD)
}

fn are_empty(bits: &[AtomicU64]) -> bool {
    bits.iter().all(|word| word.load(Ordering::Relaxed) == 0)
}

/// Sets or clears bit `at`. One thread at a time.
pub(super) fn put(bits: &[AtomicU64], at: usize, set: bool) {
    if let Some(word) = bits.get(at / WORD) {
        put_in(word, at, set);
    }
}

/// Sets or clears bit `at % WORD`. One thread at a time.
pub(super) fn put_in(word: &AtomicU64, at: usize, set: bool) {
    let (before, bit) = (word.load(Ordering::Relaxed), 1 << (at % WORD));
    word.store(if set { before | bit } else { before & !bit }, Ordering::Relaxed);
}

/// A part of the address space. All-zero bytes are a part without raised pages.
pub(super) trait Part: 'static {
    /// How many pages it covers.
    const PAGES: usize;
    /// Whether any of its pages from `first` to `last` is raised.
    fn touches(&self, first: usize, last: usize) -> bool;
    /// Whether no page is raised.
    fn is_empty(&self) -> bool;
    /// Lowers all pages.
    fn clear(&self);
}

/// Address bits that choose one of the parts that share a word of bits.
pub(super) const WORD_BITS: u32 = WORD.ilog2();

/// One bit for each page.
#[repr(C)]
pub(super) struct Leaf {
    /// A bit for each of `pages` that is not 0.
    pub(super) some: AtomicU64,
    pub(super) pages: [AtomicU64; WORDS],
}

impl Leaf {
    /// Bits of an address within a leaf.
    #[inline]
    pub(super) fn bits() -> u32 {
        Leaf::PAGES.ilog2() + page::shift()
    }

    #[inline]
    fn word(&self, at: usize) -> u64 {
        self.pages.get(at).map_or(0, |word| word.load(Ordering::Relaxed))
    }

    /// Whether any page from `first` to the end of the leaf is raised.
    #[inline]
    fn touches_from(&self, first: usize) -> bool {
        let at = first / WORD % WORDS;
        // The lowest bit is that of the word with `first`.
        let some = self.some.load(Ordering::Relaxed) >> at;
        some > 1 || some == 1 && self.word(at) & u64::MAX << (first % WORD) != 0
    }

    /// Whether any page from the start of the leaf to `last` is raised.
    #[inline]
    fn touches_up_to(&self, last: usize) -> bool {
        let at = last / WORD % WORDS;
        // The highest bit is that of the word with `last`.
        let some = self.some.load(Ordering::Relaxed) << (WORDS - 1 - at);
        some << 1 != 0 || some != 0 && self.word(at) & up_to(last) != 0
    }
}

impl Branch {
    /// Whether any page from `first` in leaf `low` to `last` in leaf `low +
    /// more` is raised. `more` is at least 1, and the leaves share a word of
    /// bits.
    #[inline]
    pub(super) fn touches_near(&self, low: usize, more: usize, first: usize, last: usize) -> bool {
        let word = self.some.get(low / WORD).map_or(0, |word| word.load(Ordering::Relaxed));
        // The lowest bit is that of the first leaf, then the highest one is
        // that of the last.
        let from_low = word >> (low % WORD);
        let some = from_low << ((WORD - 1).wrapping_sub(more) % WORD);
        some != 0
            && (some << 1 & !(1 << (WORD.wrapping_sub(more) % WORD)) != 0
                || from_low & 1 != 0 && self.get(low).is_some_and(|leaf| leaf.touches_from(first))
                || some.cast_signed() < 0
                    && self.get(low + more).is_some_and(|leaf| leaf.touches_up_to(last)))
    }
}

impl Part for Leaf {
    const PAGES: usize = WORDS * WORD;

    #[inline]
    fn touches(&self, first: usize, last: usize) -> bool {
        let (low, high) = (first / WORD % WORDS, last / WORD % WORDS);
        let head = u64::MAX << (first % WORD);
        if low == high {
            return self.word(low) & head & up_to(last) != 0;
        }
        let some = self.some.load(Ordering::Relaxed) & u64::MAX << low & up_to(high);
        // Usually this is enough.
        if some == 0 {
            return false;
        }
        let ends = 1 << low | 1 << high;
        some & !ends != 0 || self.word(low) & head | self.word(high) & up_to(last) != 0
    }

    fn is_empty(&self) -> bool {
        self.some.load(Ordering::Relaxed) == 0
    }

    fn clear(&self) {
        for at in bits(self.some.load(Ordering::Relaxed)) {
            if let Some(word) = self.pages.get(at) {
                word.store(0, Ordering::Relaxed);
            }
        }
        if !self.is_empty() {
            // Only where needed: a forked child shares its parent's pages.
            self.some.store(0, Ordering::Relaxed);
        }
    }
}

/// Writes only where needed: a forked child shares its parent's pages.
fn clear_bits(bits: &[AtomicU64]) {
    for word in bits.iter().filter(|word| word.load(Ordering::Relaxed) != 0) {
        word.store(0, Ordering::Relaxed);
    }
}

/// Pointers to parts, each null until it is needed, and `W` words of bits.
#[repr(C)]
pub(super) struct Tables<P, const N: usize, const W: usize> {
    /// Which of `tables` have a raised page.
    pub(super) some: [AtomicU64; W],
    tables: [AtomicPtr<P>; N],
}

impl<P: Part, const N: usize, const W: usize> Tables<P, N, W> {
    #[inline]
    pub(super) fn get(&self, at: usize) -> Option<&P> {
        // SAFETY: null, or a table that is never unmapped.
        unsafe { self.tables.get(at)?.load(Ordering::Acquire).as_ref() }
    }

    /// Like [`Part::touches`], for pages that are in several parts.
    #[inline]
    pub(super) fn touches_parts(&self, first: usize, last: usize) -> bool {
        let (low, high) = (first / P::PAGES % N, last / P::PAGES % N);
        some_of(&self.some, low, high) && self.touches_some(first, last)
    }

    #[inline(never)] // so that the fast path needs few registers
    fn touches_some(&self, first: usize, last: usize) -> bool {
        let (low, high) = (first / P::PAGES % N, last / P::PAGES % N);
        let (low_last, high_first) = (first | (P::PAGES - 1), last & !(P::PAGES - 1));
        self.get(low).is_some_and(|part| part.touches(first, low_last))
            || self.get(high).is_some_and(|part| part.touches(high_first, last))
            || low + 1 < high && some_of(&self.some, low + 1, high - 1)
    }

    /// The part at `at`, made if necessary. One thread at a time.
    pub(super) fn make(&self, at: usize) -> Option<&P> {
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

/// Zeroed memory for a table, never freed. One thread at a time.
fn room_for<P>() -> Option<*mut P> {
    let size = size_of::<P>().next_multiple_of(WORD);
    if PIECE_LEFT.load(Ordering::Relaxed) < size {
        let piece = call::map_memory(PIECE).ok()?;
        // This fails before Linux 4.14: see `clear`.
        let _ = call::wipe_on_fork(piece, PIECE, true);
        PIECE_START.store(piece, Ordering::Relaxed);
        PIECE_LEFT.store(PIECE, Ordering::Relaxed);
    }
    PIECE_LEFT.fetch_sub(size, Ordering::Relaxed);
    Some(PIECE_START.fetch_add(size, Ordering::Relaxed) as *mut P)
}

/// The numbers of the bits that are set.
pub(super) fn bits(word: u64) -> impl Iterator<Item = usize> {
    (0..WORD).filter(move |bit| word >> bit & 1 != 0)
}
