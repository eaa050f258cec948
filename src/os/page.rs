//! Pages and ranges of them.

use core::ops::Range;
use core::sync::atomic::{AtomicU32, Ordering};

use crate::arch;

/// Bytes in a page of the kernel with the smallest ones.
pub const LEAST: usize = 4096;

/// Binary logarithm of [`size`], where the processor does not settle it.
static SHIFT: AtomicU32 = AtomicU32::new(LEAST.ilog2());

/// Learns the size of a page from the kernel (`AT_PAGESZ`), before anything is
/// asked about pages. Whatever is no power of two is ignored.
pub fn learn(size: usize) {
    if size.is_power_of_two() {
        SHIFT.store(size.trailing_zeros(), Ordering::Relaxed);
    }
}

/// Binary logarithm of [`size`].
#[inline]
#[must_use]
pub fn shift() -> u32 {
    match arch::PAGE {
        Some(size) => size.ilog2(),
        None => SHIFT.load(Ordering::Relaxed) % usize::BITS,
    }
}

/// Bytes in a page, the unit of locking and faulting. A constant where the
/// processor has only one size. Async-signal-safe.
#[inline]
#[must_use]
pub fn size() -> usize {
    1 << shift()
}

/// Whole pages `[first, end)`, by number (address divided by [`size`]).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Pages {
    /// Number of the first page.
    pub first: usize,
    /// Number after the last page.
    pub end: usize,
}

impl Pages {
    /// No pages.
    pub const NONE: Pages = Pages { first: 0, end: 0 };

    /// All pages there are.
    pub const ALL: Pages = Pages { first: 0, end: usize::MAX };

    /// The pages that hold any byte of `[start, end)`; none if that range is
    /// empty.
    #[must_use]
    pub fn around(start: usize, end: usize) -> Self {
        if start >= end {
            return Pages::NONE;
        }
        let size = size();
        Pages { first: start / size, end: (end - 1) / size + 1 }
    }

    /// The pages that lie wholly in `[start, end)`.
    #[must_use]
    pub fn within(start: usize, end: usize) -> Self {
        let size = size();
        let (first, last) = (start.div_ceil(size), end / size);
        if first >= last { Pages::NONE } else { Pages { first, end: last } }
    }

    /// The number of pages.
    #[must_use]
    pub const fn count(self) -> usize {
        self.end.saturating_sub(self.first)
    }

    /// Address of the first byte.
    #[must_use]
    pub fn address(self) -> usize {
        self.first.wrapping_mul(size())
    }

    /// The number of bytes.
    #[must_use]
    pub fn bytes(self) -> usize {
        self.count().wrapping_mul(size())
    }

    /// The page numbers, in order.
    #[must_use]
    pub const fn numbers(self) -> Range<usize> {
        self.first..self.end
    }

    /// The pages that are in both ranges.
    #[must_use]
    pub fn common(self, other: Pages) -> Pages {
        let both = Pages { first: self.first.max(other.first), end: self.end.min(other.end) };
        if both.first < both.end { both } else { Pages::NONE }
    }

    /// The smallest range that holds both.
    #[must_use]
    pub fn with(self, other: Pages) -> Pages {
        match (self.is_empty(), other.is_empty()) {
            (true, _) => other,
            (_, true) => self,
            _ => Pages { first: self.first.min(other.first), end: self.end.max(other.end) },
        }
    }

    /// Whether there are no pages.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.first >= self.end
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_rounded_outward_and_inward() {
        assert_eq!(Pages::around(4095, 4097), Pages { first: 0, end: 2 });
        assert_eq!(Pages::around(4096, 8192), Pages { first: 1, end: 2 });
        assert_eq!(Pages::around(7, 7), Pages::NONE);
        assert_eq!(Pages::around(0, usize::MAX).end, usize::MAX / size() + 1);
        assert_eq!(Pages::within(4095, 12289), Pages { first: 1, end: 3 });
        assert_eq!(Pages::within(1, 8191), Pages::NONE);
        assert_eq!(Pages::within(usize::MAX, usize::MAX), Pages::NONE);
    }
}
