//! Raising and lowering pages. This is the only writer of the tree.

use core::sync::atomic::Ordering;

use super::answer::{ABOVE, ANSWER, EXACT, LOWEST, PERHAPS};
use super::tree::{LEAVES, Part, ROOT, Root, WORD, WORDS, bits, put, put_in, up_to};
use crate::os::page::Pages;
use crate::residency::hash_table::{Entry, HashTable};

/// A page that is raised more than once.
#[derive(Clone, Copy)]
pub(super) struct Shared {
    /// The page's number plus 1.
    key: usize,
    /// How often it is raised beyond the first time.
    more: usize,
}

// SAFETY: zeroes are a `Shared` with key 0, which no page has.
unsafe impl Entry for Shared {
    fn key(&self) -> usize {
        self.key
    }
}

/// The writer of the tree: the registry, under its lock.
pub struct Watch {
    pub(super) shared: HashTable<Shared>,
    /// Whether there was no memory to record something that was raised.
    pub(super) lost: bool,
}

impl Watch {
    /// No pages raised.
    #[must_use]
    pub const fn new() -> Self {
        Watch { shared: HashTable::new(), lost: false }
    }

    /// Raises `pages`, which are about to be held.
    pub fn raise(&mut self, pages: Pages) {
        if pages.is_empty() {
            return;
        }
        LOWEST.fetch_min(pages.address(), Ordering::Relaxed);
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
        put_in(&leaf.some, number, true);
        put(&branch.some, leaf_number % LEAVES, true);
        put(&ROOT.some, leaf_number / LEAVES, true);
        for bit in bits(before & mask) {
            let key = number * WORD + bit + 1;
            let more = self.shared.get(key).map_or(0, |shared| shared.more).saturating_add(1);
            self.shared.insert(Shared { key, more }).then_some(())?;
        }
        Some(())
    }

    /// Lowers `pages`, which were raised before and are no longer held.
    pub fn lower(&mut self, pages: Pages) {
        if pages.is_empty() {
            return;
        }
        if pages.end > Root::PAGES {
            ABOVE.fetch_sub(1, Ordering::Relaxed);
        }
        for (word, mask) in words(pages) {
            // A missing table is one for which there was no memory.
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
        put_in(&leaf.some, number, after != 0);
        put(&branch.some, leaf_number % LEAVES, !leaf.is_empty());
        put(&ROOT.some, leaf_number / LEAVES, !branch.is_empty());
        Some(())
    }

    /// Lowers a page that others have raised too. False if nobody else has.
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

/// The words of the tree that have bits of `pages`, by number, and those bits.
fn words(pages: Pages) -> impl Iterator<Item = (usize, u64)> {
    let Pages { first, end } = pages.common(Pages { first: 0, end: Root::PAGES });
    let (low, high) = (first / WORD, end.div_ceil(WORD));
    (low..high).map(move |number| {
        let from = if number == low { u64::MAX << (first % WORD) } else { u64::MAX };
        let to = if number + 1 == high { up_to(end.wrapping_sub(1)) } else { u64::MAX };
        (number, from & to)
    })
}
