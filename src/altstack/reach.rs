//! Turning away memory calls that touch no stack of ours: they are hot in
//! allocators.
//!
//! First by the range of all held pages (two relaxed loads), then by a count
//! of held pages for each 64 KiB of memory, hashed. Both may say "perhaps"
//! for nothing; neither says "no" wrongly, as both are raised before a page
//! is held and lowered after it is let go.

use core::sync::atomic::{AtomicU32, AtomicUsize, Ordering};

use crate::sys::page::{self, Pages};

/// Pages in a region.
const REGION: usize = (64 << 10) / page::SIZE;
/// Counters; regions this many apart share one.
const COUNTERS: usize = 8192;
/// Ranges of more regions than this are not looked up.
const MOST_REGIONS: usize = 64;

/// Lowest held page ever, and the page after the highest.
static LOW: AtomicUsize = AtomicUsize::new(usize::MAX);
static HIGH: AtomicUsize = AtomicUsize::new(0);

static HELD: [AtomicU32; COUNTERS] = [const { AtomicU32::new(0) }; COUNTERS];

fn regions(pages: Pages) -> core::ops::RangeInclusive<usize> {
    pages.first / REGION..=pages.end.saturating_sub(1) / REGION
}

fn counter(region: usize) -> Option<&'static AtomicU32> {
    HELD.get(region % COUNTERS)
}

/// `pages` are about to be held.
pub fn raise(pages: Pages) {
    if pages.is_empty() {
        return;
    }
    LOW.fetch_min(pages.first, Ordering::Relaxed);
    HIGH.fetch_max(pages.end, Ordering::Relaxed);
    for counter in regions(pages).filter_map(counter) {
        counter.fetch_add(1, Ordering::Relaxed);
    }
}

/// `pages`, raised before, are no longer held.
pub fn lower(pages: Pages) {
    if pages.is_empty() {
        return;
    }
    for counter in regions(pages).filter_map(counter) {
        counter.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Turns every call away, until pages are raised again: nobody is to act on
/// what is held. The counts stay, to be lowered when it is let go of.
pub fn shut() {
    LOW.store(usize::MAX, Ordering::Relaxed);
    HIGH.store(0, Ordering::Relaxed);
}

/// Nothing is held any more: the state of a new process.
pub fn clear() {
    shut();
    for counter in &HELD {
        if counter.load(Ordering::Relaxed) != 0 {
            counter.store(0, Ordering::Relaxed);
        }
    }
}

/// Whether a call on `[start, start + length)` surely touches no held page.
/// Async-signal-safe.
#[inline]
#[must_use]
pub fn misses(start: usize, length: usize) -> bool {
    let end = start.saturating_add(length);
    let low = LOW.load(Ordering::Relaxed).saturating_mul(page::SIZE);
    let high = HIGH.load(Ordering::Relaxed).saturating_mul(page::SIZE);
    end <= low || start >= high || misses_regions(Pages::around(start, end))
}

fn misses_regions(pages: Pages) -> bool {
    let empty = |region| counter(region).is_some_and(|held| held.load(Ordering::Relaxed) == 0);
    pages.is_empty() || pages.count() / REGION < MOST_REGIONS && regions(pages).all(empty)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use std::sync::{Mutex, MutexGuard, PoisonError};

    /// The counts are the process's: tests that change them take turns.
    pub fn alone() -> MutexGuard<'static, ()> {
        static TURN: Mutex<()> = Mutex::new(());
        TURN.lock().unwrap_or_else(PoisonError::into_inner)
    }

    #[test]
    fn held_pages_are_never_missed() {
        let _alone = alone();
        let pages = Pages { first: 1000, end: 1003 };
        assert!(misses(1000 * 4096, 4096));
        raise(pages);
        assert!(!misses(1000 * 4096, 1));
        assert!(!misses(1002 * 4096, 4096));
        assert!(!misses(0, usize::MAX));
        assert!(!misses(999 * 4096, 2 * 4096));
        assert!(misses(0, 900 * 4096));
        assert!(misses(2000 * 4096, 4096));
        lower(pages);
        assert!(misses(1000 * 4096, 4096));
        clear();
    }
}
