//! Which mappings the program made to hold a stack and nothing else.
//!
//! Before a fork, the stacks of *other* threads may be exempted from copying
//! (`MADV_WIPEONFORK`), so that the parent's pages are not write-protected. The
//! child then sees zeroes there. That loses nothing only if the memory holds a
//! stack and nothing else at that time: no heap, and nothing freed since. We
//! take it as proven if the stack fills a private anonymous mapping that the
//! program itself made with mmap(2), except for a guard at its low end. Heap
//! chunks begin with a header, so they never fill a mapping in whole pages.
//!
//! The memory for this is small and forgets; a mapping that is not found is not
//! proven. When the program unmaps or replaces part of a mapping, or several at
//! once, searching for them would be too slow for a hot call. Instead the call
//! is counted for its block of addresses, and mappings that begin in that block
//! and were recorded before that count are no longer proven. Stacks that are
//! already adopted stay proven.

use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use super::ladder::Stack;
use crate::arch;
use crate::os::page::{self, Pages};

/// Mappings are remembered in sets, chosen by their first page. Each set keeps
/// the two latest ones. That is enough, because a program registers a stack
/// soon after it maps it.
const SETS: usize = 2048;
/// Bytes of the largest mapping that is taken for a stack.
pub const LARGEST: usize = 1 << 20;
/// The same in pages, where pages are smallest.
const MOST_PAGES: usize = LARGEST / page::LEAST;
/// The most guard pages below a stack.
const MOST_GUARD: usize = 16;

/// First page (35 bits where addresses have 47), page count less 1 (8 bits), and
/// [`times_unmapped`], packed in one word so that a reader never sees a mixture.
static MAPPINGS: [Set; SETS] = [const { Set(AtomicU64::new(0), AtomicU64::new(0)) }; SETS];

/// The latest mapping, and the one before.
struct Set(AtomicU64, AtomicU64);

/// Bits of an address, here.
const ADDRESS_BITS: u32 = if arch::ADDRESS_BITS > 47 { arch::ADDRESS_BITS } else { 47 };
const FIRST: u32 = u64::BITS - (ADDRESS_BITS - page::LEAST.ilog2());
const TIMES: u32 = FIRST - MOST_PAGES.ilog2();

/// For each block of memory, how often the program unmapped part of a mapping
/// that may begin there, or several mappings. Blocks this many apart share a
/// counter.
static UNMAPPED: [AtomicU32; 256] = [const { AtomicU32::new(0) }; 256];
/// The same for calls that span more than two blocks.
static UNMAPPED_MANY: AtomicU32 = AtomicU32::new(0);
/// Pages in a block: 64 MiB where pages are smallest.
const BLOCK: usize = (64 << 20) / page::LEAST;
/// After this many calls everything is forgotten, before the sum wraps around.
const ROUND: u32 = 1 << (TIMES - 2);

/// The set that remembers a mapping whose first page is `first`.
#[inline]
fn set(first: usize) -> Option<&'static Set> {
    let spread = (first as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40;
    MAPPINGS.get(spread as usize % SETS)
}

impl Set {
    /// Empties the slot for which `gone` is true. False if there is none.
    #[allow(clippy::inline_always, reason = "in hot calls, of a library that is built for size")]
    #[inline(always)]
    fn empty(&self, gone: impl Fn(u64) -> bool) -> bool {
        let Set(last_one, before) = self;
        empty(last_one, &gone) || empty(before, &gone)
    }
}

#[allow(clippy::inline_always, reason = "as above")]
#[inline(always)]
fn empty(slot: &AtomicU64, gone: &impl Fn(u64) -> bool) -> bool {
    let found = gone(slot.load(Ordering::Relaxed));
    if found {
        slot.store(0, Ordering::Relaxed);
    }
    found
}

fn block(page: usize) -> Option<&'static AtomicU32> {
    UNMAPPED.get(page / BLOCK % UNMAPPED.len())
}

/// A sum that changes with each such call on the block of `first`.
#[inline]
fn times_unmapped(first: usize) -> u64 {
    let read = |count: &AtomicU32| count.load(Ordering::Acquire);
    let sum = block(first).map_or(0, read).wrapping_add(read(&UNMAPPED_MANY));
    u64::from(sum % (1 << TIMES))
}

/// Counts a call that unmapped something. True if everything must be forgotten.
#[inline]
fn count(times: &AtomicU32) -> bool {
    times.fetch_add(1, Ordering::AcqRel).wrapping_add(1).is_multiple_of(ROUND)
}

fn unpack(word: u64) -> Pages {
    let first = (word >> FIRST) as usize;
    let count = (word >> TIMES) as usize % MOST_PAGES + 1;
    if word == 0 { Pages::NONE } else { Pages { first, end: first.wrapping_add(count) } }
}

/// The program made a private anonymous mapping here. Async-signal-safe.
pub fn mapped(start: usize, length: usize) {
    let first = start / page::size();
    let last = start.wrapping_add(length).wrapping_sub(1) / page::size();
    let more = last.wrapping_sub(first);
    let most = LARGEST / page::size();
    if more >= most || (start as u64) >> ADDRESS_BITS != 0 {
        // Whatever began here before is gone anyway.
        forget(start);
    } else if let Some(Set(last_one, before)) = set(first) {
        let place = (first as u64) << FIRST | (more as u64) << TIMES;
        let known = last_one.swap(place | times_unmapped(first), Ordering::Relaxed);
        // If a mapping is unmapped between the two, no slot has it, but the
        // call is counted.
        if known != 0 && known >> FIRST != first as u64 {
            before.store(known, Ordering::Relaxed);
        }
    }
}

/// The program mapped or flagged something here that is not such a mapping.
pub fn forget(start: usize) {
    let first = start / page::size();
    if let Some(set) = set(first) {
        set.empty(|known| known >> FIRST == first as u64);
    }
}

/// The program is about to unmap or replace `[start, start + length)`, or to do
/// something else after which it does not count as a stack's mapping; the call
/// may fail. Forgets each mapping in that range. If the range is not exactly
/// one mapping, this may also forget others near by. Costs a few loads, however
/// much is remembered. Async-signal-safe.
pub fn unmapped(start: usize, length: usize) {
    let first = start / page::size();
    let last = start.wrapping_add(length).wrapping_sub(1) / page::size();
    let more = last.wrapping_sub(first);
    if more < MOST_PAGES {
        let place = (first as u64) << (FIRST - TIMES) | more as u64;
        if set(first).is_some_and(|set| set.empty(|known| known >> TIMES == place)) {
            return;
        }
    }
    // A mapping in the range may begin before it.
    let from = first.saturating_sub(MOST_PAGES - 1);
    let forgets_all = match (last / BLOCK).wrapping_sub(from / BLOCK) {
        0 => block(from).is_some_and(count),
        1 => block(from).is_some_and(count) | block(last).is_some_and(count),
        _ => count(&UNMAPPED_MANY),
    };
    if forgets_all {
        forget_all();
    }
}

#[cold]
#[inline(never)]
fn forget_all() {
    for Set(last_one, before) in &MAPPINGS {
        last_one.store(0, Ordering::Relaxed);
        before.store(0, Ordering::Relaxed);
    }
}

/// Whether a word of [`MAPPINGS`] is still valid.
fn stands(word: u64) -> bool {
    word % (1 << TIMES) == times_unmapped(unpack(word).first)
}

/// The remembered mapping that `stack` fills, except for its guard.
#[must_use]
pub fn mapping(stack: Stack) -> Option<Pages> {
    let aligned = |address: &usize| address.is_multiple_of(page::size());
    let top = stack.top().filter(aligned).filter(|_| aligned(&stack.base))?;
    let (base, end) = (stack.base / page::size(), top / page::size());
    let known = |mapping: &Pages| {
        set(mapping.first).is_some_and(|Set(last_one, before)| {
            let words = [last_one, before].map(|slot| slot.load(Ordering::Relaxed));
            words.into_iter().any(|word| unpack(word) == *mapping && stands(word))
        })
    };
    let firsts = (0..=MOST_GUARD).filter_map(|guard| base.checked_sub(guard));
    firsts.map(|first| Pages { first, end }).find(known)
}

/// Whether `stack` fills a remembered mapping, except for its guard.
#[must_use]
pub fn proven(stack: Stack) -> bool {
    mapping(stack).is_some()
}

/// Whether a thread whose stack pointer is `address` may have frames on
/// `stack`, which was proven: the address is in the stack, or in what was taken
/// for its guard.
#[must_use]
pub fn under_feet(stack: Stack, address: usize) -> bool {
    let lowest = stack.base.saturating_sub(MOST_GUARD * page::size());
    let near = lowest <= address && stack.top().is_some_and(|top| address < top);
    near && mapping(stack).is_none_or(|pages| pages.numbers().contains(&(address / page::size())))
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: usize = 0x7000_0000;

    #[test]
    fn only_what_fills_a_mapping_is_proven() {
        let _alone = crate::residency::watched::tests::alone();
        mapped(START, 9 * 4096);
        assert!(proven(Stack { base: START, size: 9 * 4096 }));
        assert!(proven(Stack { base: START + 4096, size: 8 * 4096 }), "a guard below");
        assert!(!proven(Stack { base: START + 16, size: 9 * 4096 - 16 }), "a heap chunk");
        assert!(!proven(Stack { base: START, size: 8 * 4096 }), "something above");
        assert!(!proven(Stack { base: START, size: usize::MAX }));
        forget(START + 4096);
        assert!(proven(Stack { base: START, size: 9 * 4096 }));
        unmapped(START + 8 * 4096, 1);
        assert!(!proven(Stack { base: START, size: 9 * 4096 }));
        mapped(START, 4 << 20);
        assert!(!proven(Stack { base: START, size: 4 << 20 }), "too large for a stack");
    }

    #[test]
    fn what_is_unmapped_with_more_or_in_part_is_forgotten() {
        const PAGE: usize = page::LEAST;
        let _alone = crate::residency::watched::tests::alone();
        let stack = Stack { base: START, size: 9 * PAGE };
        let far = Stack { base: START + (1 << 30), size: 9 * PAGE };
        let cases = [
            (START, 9 * PAGE),
            (START, 8 * PAGE),
            (START, 10 * PAGE),
            (START + 8 * PAGE, PAGE),
            (START + PAGE, PAGE),
            (START - PAGE, 2 * PAGE),
            (START - (32 << 20), 33 << 20),
            (START - (32 << 20), 70 << 20),
            (START - (300 << 20), 600 << 20),
        ];
        for (start, length) in cases {
            mapped(stack.base, stack.size);
            mapped(far.base, far.size);
            assert!(proven(stack) && proven(far));
            unmapped(start, length);
            assert!(!proven(stack), "{length:#x} from {start:#x}");
            let many = (start + length) / (64 << 20) - start / (64 << 20) > 1;
            assert!(proven(far) || many, "{length:#x} from {start:#x}");
            mapped(stack.base, stack.size);
            assert!(proven(stack), "made anew");
        }
        forget_all();
    }

    #[test]
    fn counts_do_not_come_round_unseen() {
        let _alone = crate::residency::watched::tests::alone();
        let stack = Stack { base: START, size: 9 * page::size() };
        for times in [1, ROUND, 2 * ROUND, 4 * ROUND, 8 * ROUND, 4 * ROUND - 1] {
            mapped(stack.base, stack.size);
            for _ in 0..times {
                unmapped(START + page::size(), page::size());
            }
            assert!(!proven(stack), "after {times}");
        }
    }

    #[test]
    fn a_mapping_that_is_no_stacks_takes_the_place_of_one() {
        let _alone = crate::residency::watched::tests::alone();
        let stack = Stack { base: START, size: 9 * 4096 };
        mapped(START, stack.size);
        mapped(START, 4 << 20);
        assert!(!proven(stack), "it is a part of something larger now");
    }
}
