//! Tests of [`super`] against a set of pages, which must give the same answers.

use super::tree::{Branch, WORD};
use super::*;
use crate::os::page::Pages;
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The tree belongs to the process, so tests that change it take turns.
pub fn alone() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

fn misses_pages(pages: Pages) -> bool {
    misses(pages.address(), pages.bytes())
}

#[test]
fn held_pages_are_never_missed() {
    let _alone = alone();
    let mut watch = Watch::new();
    let pages = Pages { first: 1000, end: 1003 };
    assert!(misses(1000 * 4096, 4096));
    watch.raise(pages);
    assert!(!misses(1000 * 4096, 1));
    assert!(!misses(1002 * 4096, 4096));
    assert!(!misses(0, usize::MAX));
    assert!(!misses(999 * 4096, 2 * 4096));
    assert!(misses(0, 900 * 4096));
    assert!(misses(2000 * 4096, 4096));
    assert!(misses(1000 * 4096, 0));
    watch.lower(pages);
    assert!(misses(1000 * 4096, 4096));
    clear();
}

#[test]
fn what_lies_between_stacks_is_missed_at_any_size() {
    let _alone = alone();
    let mut watch = Watch::new();
    // 4,000 stacks of two pages each, and the same number half a tree away.
    let stack = |number: usize| {
        let first = (number % 2) * Root::PAGES / 2 + number * 5;
        Pages { first, end: first + 2 }
    };
    for number in 0..8000 {
        watch.raise(stack(number));
    }
    for number in 0..8000 {
        let Pages { first, end } = stack(number);
        assert!(misses_pages(Pages { first: end, end: end + 3 }), "between two of them");
        assert!(!misses_pages(Pages { first: end, end: end + 9 }) || number >= 7998);
        assert!(!misses_pages(Pages { first, end }));
    }
    let gap = Pages { first: 40_000, end: Root::PAGES / 2 };
    for end in [gap.first + 16, gap.first + 256, gap.first + 4096, gap.first + 16_384, gap.end] {
        assert!(misses_pages(Pages { end, ..gap }), "to {end:#x}");
    }
    assert!(!misses_pages(Pages { end: gap.end + 6, ..gap }));
    for number in 0..8000 {
        watch.lower(stack(number));
    }
    assert!(misses(0, usize::MAX));
    clear();
}

#[test]
fn addresses_above_the_usual_ones_are_watched_too() {
    let _alone = alone();
    let mut watch = Watch::new();
    let pages = Pages { first: Root::PAGES - 1, end: Root::PAGES + 1 };
    watch.raise(pages);
    assert!(!misses_pages(pages));
    assert!(!misses_pages(Pages { first: Root::PAGES, end: Root::PAGES + 1 }));
    assert!(misses_pages(Pages { first: 1, end: Root::PAGES - 1 }));
    watch.lower(pages);
    assert!(misses(0, usize::MAX));
    watch.raise(Pages { first: usize::MAX / page::size() - 1, end: usize::MAX / page::size() });
    assert!(!misses(usize::MAX - 4096, 4096));
    clear();
    assert!(misses(0, usize::MAX));
}

#[test]
fn without_memory_anything_may_be_touched() {
    let _alone = alone();
    let mut watch = Watch::new();
    watch.lost = true;
    watch.raise(Pages { first: 1, end: 2 });
    assert!(!misses(1 << 40, 1));
    shut();
    assert!(misses(0, usize::MAX));
    watch.raise(Pages { first: 3, end: 4 });
    assert!(!misses(1 << 40, 1), "for good");
    clear();
}

/// A place where something begins or ends.
fn edge() -> impl Strategy<Value = usize> {
    let leaves = WORD * Leaf::PAGES;
    let sizes = [1, WORD, Leaf::PAGES, leaves, Branch::PAGES, Root::PAGES / 2];
    (prop::sample::select(sizes.to_vec()), 0..70_usize, -3..3_isize)
        .prop_map(|(size, count, off)| (size * count).saturating_add_signed(off).min(Root::PAGES))
}

/// A range to raise.
fn stack() -> impl Strategy<Value = Pages> {
    (edge(), 0..200_usize).prop_map(|(first, count)| Pages { first, end: first + count })
}

/// A range to ask for.
fn asked() -> impl Strategy<Value = Pages> {
    (edge(), edge()).prop_map(|(a, b)| Pages { first: a.min(b), end: a.max(b) })
}

proptest! {
    #[test]
    fn it_is_a_multiset_of_pages(
        steps in prop::collection::vec((stack(), any::<bool>()), 1..40),
        asks in prop::collection::vec(asked(), 1..40),
    ) {
        let _alone = alone();
        clear();
        let (mut watch, mut raised) = (Watch::new(), Vec::<Pages>::new());
        for (pages, up) in steps {
            if up || raised.is_empty() {
                watch.raise(pages);
                raised.push(pages);
            } else {
                watch.lower(raised.swap_remove(pages.first % raised.len()));
            }
            let mut counts = BTreeMap::<usize, usize>::new();
            for page in raised.iter().flat_map(|pages| pages.numbers()).filter(|page| *page < Root::PAGES) {
                *counts.entry(page).or_default() += 1;
            }
            let shared = counts.iter().filter(|(_, count)| **count > 1).count();
            prop_assert_eq!(watch.shared.len(), shared);
            let nearby = raised.iter().flat_map(|Pages { first, end }| {
                [(*first, *end), (first.saturating_sub(1), *first), (*end, end + 1)]
            });
            let nearby = nearby.map(|(first, end)| Pages { first, end });
            for pages in asks.iter().copied().chain(nearby) {
                let above = |pages: &Pages| pages.end > Root::PAGES && !pages.is_empty();
                let touched = !pages.is_empty() && counts.range(pages.numbers()).next().is_some()
                    || above(&pages) && raised.iter().any(above);
                prop_assert_eq!(misses_pages(pages), !touched, "{:?} of {:?}", pages, raised);
            }
        }
        for pages in raised {
            watch.lower(pages);
        }
        prop_assert!(ROOT.is_empty() && watch.shared.is_empty());
        clear();
    }
}
