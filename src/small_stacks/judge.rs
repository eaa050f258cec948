//! How much of a stack is usable, and how much is needed. Pure.

use crate::arch;
use crate::os::page::{self, Pages};
use crate::plan;
use crate::residency::ladder::Stack;

/// The least size in bytes that the kernel ever accepts (`MINSIGSTKSZ`). Below
/// it sigaltstack(2) fails with ENOMEM, and we let it.
pub(super) const LEAST: usize = arch::LEAST_ALTSTACK;

/// The two thresholds, in usable bytes.
///
/// | threshold | bytes | source |
/// |---|---|---|
/// | certain | one frame that can occur now | the kernel kills the process otherwise, since Linux 5.14 ("overflowed sigaltstack") |
/// | needed | two frames and room for handlers | a profiler's signal nests in a fault's (dd-trace-dotnet#8162); the room: [`plan::ROOM`](crate::plan::ROOM) |
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Thresholds {
    /// Below this, the first signal kills the process.
    pub certain: usize,
    /// Below this, a handler may not find the room that it needs.
    pub needed: usize,
}

impl Thresholds {
    /// For frames that are now at most `usual` bytes and can be at most
    /// `largest`, and handlers that need `room`.
    pub(super) const fn of(usual: usize, largest: usize, room: usize) -> Self {
        Thresholds { certain: usual, needed: plan::needed(largest, room) }
    }
}

/// The bytes at the top of `stack` that can be used without a gap, as far as
/// `enough`. Anything below a page that is not `readable` cannot, and neither
/// can a lowest page that is not `writable`. Memory is written to only where
/// that makes no difference to the program's memory, so most pages are judged
/// by whether they can be read: a guard cannot.
pub(super) fn usable(
    stack: Stack,
    enough: usize,
    readable: impl Fn(usize) -> bool,
    writable: impl Fn(usize) -> bool,
) -> usize {
    let Some(top) = stack.top() else { return stack.size };
    let asked = stack.base.max(top.saturating_sub(enough));
    let pages = Pages::around(asked, top);
    let count = pages.numbers().rev().take_while(|&page| readable(page)).count();
    let mut first = pages.end.wrapping_sub(count);
    while first < pages.end && !writable(first) {
        first = first.wrapping_add(1);
    }
    if first == pages.first {
        // Nothing was found down to there.
        return if asked == stack.base { stack.size } else { enough };
    }
    top.saturating_sub(first.saturating_mul(page::size()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: usize = page::LEAST;
    const BASE: usize = 0x7000_0000;

    #[test]
    fn the_thresholds_of_known_machines() {
        let rows = [
            // AVX2, AVX-512, AMX that is not permitted and that is.
            (1776, 1776, 1776, 28_128),
            (3376, 3376, 3376, 31_328),
            (3632, 11_952, 3632, 48_480),
            (11_952, 11_952, 11_952, 48_480),
        ];
        for (usual, largest, certain, needed) in rows {
            let of = Thresholds::of(usual, largest, plan::ROOM);
            assert_eq!(of, Thresholds { certain, needed }, "{usual}, {largest}");
        }
        assert_eq!(Thresholds::of(1, usize::MAX, 1).needed, usize::MAX);
    }

    /// What is usable of a stack at `offset` in its first page, of `size`
    /// bytes, whose lowest pages are as given: `-` cannot be read, `r` not be
    /// written.
    fn found(offset: usize, size: usize, lowest: &str, enough: usize) -> usize {
        let kind = |page: usize| lowest.as_bytes().get(page - BASE / PAGE).copied();
        let stack = Stack { base: BASE + offset, size };
        let readable = |page| kind(page) != Some(b'-');
        usable(stack, enough, readable, |page| readable(page) && kind(page) != Some(b'r'))
    }

    #[test]
    fn a_guard_or_a_hole_inside_does_not_count() {
        const ALL: usize = usize::MAX;
        let rows = [
            (0, 4 * PAGE, "", ALL, 4 * PAGE),
            (0, 4 * PAGE, "-", ALL, 3 * PAGE),
            (0, 4 * PAGE, "r", ALL, 3 * PAGE),
            (0, 4 * PAGE, "-r", ALL, 2 * PAGE),
            (0, 4 * PAGE, "ww-", ALL, PAGE),
            (0, 4 * PAGE, "----", ALL, 0),
            (0, 4 * PAGE, "rrrr", ALL, 0),
            // On the heap, at no page's boundary.
            (16, 8192, "", ALL, 8192),
            (16, 8192, "-", ALL, 4096 + 16),
            (16, 100, "", ALL, 100),
            (16, 100, "-", ALL, 0),
            // As far as it matters.
            (0, 64 * PAGE, "-", 16 * PAGE, 16 * PAGE),
            (0, 64 * PAGE, "", 16 * PAGE + 1, 16 * PAGE + 1),
        ];
        for (offset, size, lowest, enough, wanted) in rows {
            assert_eq!(found(offset, size, lowest, enough), wanted, "{offset} {size} {lowest}");
        }
        let around = Stack { base: usize::MAX - 5, size: 100 };
        assert_eq!(usable(around, ALL, |_| false, |_| false), 100, "the kernel accepts it");
    }
}
