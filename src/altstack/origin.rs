//! Which mappings the program made for nothing but a stack.
//!
//! Before a fork, the stacks of *other* threads may be kept from being copied
//! (`MADV_WIPEONFORK`), so that the parent's pages are not write-protected.
//! The child then sees zeroes there. That loses nothing only where the memory
//! is a stack and nothing else, now: not heap, not freed since. It is taken
//! as proven for a stack that fills a mapping which the program itself made
//! by mmap(2), private and anonymous, apart from a guard at its low end: heap
//! chunks begin with a header, so they never fill a mapping in whole pages.
//!
//! The memory of it is small and forgetful: what is not found is not proven.

use core::sync::atomic::{AtomicU64, Ordering};

use super::ladder::Stack;
use crate::sys::page::{self, Pages};

/// Mappings remembered.
const SLOTS: usize = 1024;
/// Largest mapping that is taken for a stack, in pages.
const MOST_PAGES: usize = (1 << 20) / page::SIZE;
/// Most pages of guard below a stack.
const MOST_GUARD: usize = 16;

/// First page and page count in one word, so that no reader sees a mixture.
static MAPPINGS: [AtomicU64; SLOTS] = [const { AtomicU64::new(0) }; SLOTS];

fn slot(first: usize) -> Option<&'static AtomicU64> {
    let spread = (first as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40;
    MAPPINGS.get(spread as usize % SLOTS)
}

fn pack(pages: Pages) -> u64 {
    ((pages.first as u64) << 16) | pages.count() as u64
}

/// The program made a private anonymous mapping here. Async-signal-safe.
pub fn mapped(start: usize, length: usize) {
    if length > MOST_PAGES * page::SIZE {
        // What began here before is gone all the same.
        forget(start);
    } else if let Some(slot) = slot(start / page::SIZE) {
        slot.store(pack(Pages::around(start, start.saturating_add(length))), Ordering::Relaxed);
    }
}

/// The program unmapped, replaced or flagged something that begins here.
pub fn forget(start: usize) {
    let first = start / page::SIZE;
    if let Some(slot) =
        slot(first).filter(|slot| slot.load(Ordering::Relaxed) >> 16 == first as u64)
    {
        slot.store(0, Ordering::Relaxed);
    }
}

/// The program did something to `[start, start + length)` that a stack's
/// mapping does not stand: forgets each mapping that it touches. Slow.
pub fn forget_within(start: usize, length: usize) {
    let pages = Pages::around(start, start.saturating_add(length));
    for slot in &MAPPINGS {
        let known = slot.load(Ordering::Relaxed);
        let first = (known >> 16) as usize;
        let mapping = Pages { first, end: first.saturating_add((known & 0xffff) as usize) };
        if !mapping.common(pages).is_empty() {
            slot.store(0, Ordering::Relaxed);
        }
    }
}

/// Such a mapping that `stack` fills, apart from its guard.
#[must_use]
pub fn mapping(stack: Stack) -> Option<Pages> {
    let aligned = |address: &usize| address.is_multiple_of(page::SIZE);
    let top = stack.top().filter(aligned).filter(|_| aligned(&stack.base))?;
    let (base, end) = (stack.base / page::SIZE, top / page::SIZE);
    let known = |mapping: &Pages| {
        slot(mapping.first).is_some_and(|slot| slot.load(Ordering::Relaxed) == pack(*mapping))
    };
    let firsts = (0..=MOST_GUARD).filter_map(|guard| base.checked_sub(guard));
    firsts.map(|first| Pages { first, end }).find(known)
}

/// Whether `stack` fills such a mapping, apart from its guard.
#[must_use]
pub fn proven(stack: Stack) -> bool {
    mapping(stack).is_some()
}

/// Whether who stands at `address` may have frames on `stack`, which was
/// proven: it is in the stack, or in what was taken for its guard.
#[must_use]
pub fn under_feet(stack: Stack, address: usize) -> bool {
    let lowest = stack.base.saturating_sub(MOST_GUARD * page::SIZE);
    let near = lowest <= address && stack.top().is_some_and(|top| address < top);
    near && mapping(stack).is_none_or(|pages| pages.numbers().contains(&(address / page::SIZE)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: usize = 0x7000_0000;

    #[test]
    fn only_what_fills_a_mapping_is_proven() {
        let _alone = crate::altstack::reach::tests::alone();
        mapped(START, 9 * 4096);
        assert!(proven(Stack { base: START, size: 9 * 4096 }));
        assert!(proven(Stack { base: START + 4096, size: 8 * 4096 }), "a guard below");
        assert!(!proven(Stack { base: START + 16, size: 9 * 4096 - 16 }), "a heap chunk");
        assert!(!proven(Stack { base: START, size: 8 * 4096 }), "something above");
        assert!(!proven(Stack { base: START, size: usize::MAX }));
        forget(START + 4096);
        assert!(proven(Stack { base: START, size: 9 * 4096 }));
        forget_within(START + 8 * 4096, 1);
        assert!(!proven(Stack { base: START, size: 9 * 4096 }));
        mapped(START, 4 << 20);
        assert!(!proven(Stack { base: START, size: 4 << 20 }), "too large for a stack");
    }

    #[test]
    fn a_mapping_that_is_no_stacks_takes_the_place_of_one() {
        let _alone = crate::altstack::reach::tests::alone();
        let stack = Stack { base: START, size: 9 * 4096 };
        mapped(START, stack.size);
        mapped(START, 4 << 20);
        assert!(!proven(stack), "it is a part of something larger now");
    }
}
