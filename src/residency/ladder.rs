//! Which pages of a stack to make resident, and how, best attempt first. Pure.
//! Why a given stack got no more than it did, is decided in `registry/lock_or_touch.rs`.

use crate::os::page::Pages;
pub use crate::plan::Rung;

/// A stack as the program described it to the kernel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stack {
    /// Lowest address.
    pub base: usize,
    /// Size in bytes.
    pub size: usize,
}

impl Stack {
    /// What `stack` describes.
    #[must_use]
    pub fn of(stack: &libc::stack_t) -> Self {
        Stack { base: stack.ss_sp as usize, size: stack.ss_size }
    }

    /// The address after the last byte, where the kernel puts the first frame.
    /// `None` for a stack that wraps around (the kernel accepts those).
    #[must_use]
    pub const fn top(self) -> Option<usize> {
        self.base.checked_add(self.size)
    }

    /// Whether the two stacks share an address. A stack that wraps around
    /// shares none.
    #[must_use]
    pub const fn overlaps(self, other: Stack) -> bool {
        match (self.top(), other.top()) {
            (Some(top), Some(others)) => self.base < others && other.base < top,
            _ => false,
        }
    }
}

/// Size in bytes of the largest stack that is locked whole, and the most that
/// is touched of a larger one. The smallest RLIMIT_MEMLOCK found in the field
/// is enough for it, and a huge stack must not starve the host.
pub const LARGEST_WHOLE: usize = 64 << 10;

/// One attempt to make a stack resident.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// The rung of the ladder.
    pub rung: Rung,
    /// The pages to lock; the others are touched.
    pub locked: Pages,
}

/// The pages in the top `bytes` of `stack`; none if the stack cannot exist.
fn top(stack: Stack, bytes: usize) -> Pages {
    stack
        .top()
        .map_or(Pages::NONE, |top| Pages::around(stack.base.max(top.saturating_sub(bytes)), top))
}

/// The pages at the top of `stack` that frames need: its top `headroom` bytes.
/// None if the stack cannot exist.
#[must_use]
pub fn frames(stack: Stack, headroom: usize) -> Pages {
    top(stack, headroom)
}

/// The pages of `stack` to make resident, locked or not. They are more than one
/// frame needs, because a handler may use much of its stack before the kernel
/// writes the next frame below. None if the stack cannot exist.
#[must_use]
pub fn wished(stack: Stack, headroom: usize) -> Pages {
    top(stack, headroom.max(LARGEST_WHOLE))
}

/// The attempts to make for `stack`, best first, starting at rung `start`.
/// `usable` is the part of the stack, from its top down, that can be used.
/// Frames need `headroom` bytes at the top. No attempts if nothing can be used.
pub fn attempts(
    stack: Stack,
    headroom: usize,
    usable: Pages,
    start: Rung,
) -> impl Iterator<Item = Attempt> {
    let whole = (stack.size <= LARGEST_WHOLE).then_some(usable);
    let frames = frames(stack, headroom).common(usable);
    let lock = whole.map(|locked| Attempt { rung: Rung::Lock, locked });
    // If the headroom is the whole stack, a second attempt would be the same.
    let narrower = whole != Some(frames) || start > Rung::Lock;
    let frame = narrower.then_some(Attempt { rung: Rung::Frame, locked: frames });
    let touch = Some(Attempt { rung: Rung::Touch, locked: Pages::NONE });
    let possible = move |attempt: &Attempt| attempt.rung >= start && !usable.is_empty();
    [lock, frame, touch].into_iter().flatten().filter(possible)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::os::page::LEAST as SIZE;
    use proptest::prelude::*;

    fn rungs(stack: Stack, start: Rung) -> Vec<Rung> {
        let usable = wished(stack, 6000);
        attempts(stack, 6000, usable, start).map(|attempt| attempt.rung).collect()
    }

    #[test]
    fn small_stacks_start_whole_and_large_ones_with_frames() {
        let small = Stack { base: 0x10_0000, size: 32 << 10 };
        assert_eq!(rungs(small, Rung::Lock), [Rung::Lock, Rung::Frame, Rung::Touch]);
        assert_eq!(rungs(small, Rung::Touch), [Rung::Touch]);
        assert_eq!(rungs(small, Rung::Report), []);
        let large = Stack { base: 0x10_0000, size: 1 << 30 };
        assert_eq!(rungs(large, Rung::Lock), [Rung::Frame, Rung::Touch]);
        let tiny = Stack { base: 0x10_0000, size: 4096 };
        assert_eq!(rungs(tiny, Rung::Lock), [Rung::Lock, Rung::Touch]);
        assert_eq!(rungs(tiny, Rung::Frame), [Rung::Frame, Rung::Touch]);
    }

    #[test]
    fn impossible_stacks_are_left_alone() {
        for (base, size) in [(1, usize::MAX), (usize::MAX, 1), (4096, 0)] {
            assert_eq!(rungs(Stack { base, size }, Rung::Lock), [], "{base:#x}+{size:#x}");
        }
        // [0, SIZE_MAX) does not wrap, but no page can exist at its top.
        let all = wished(Stack { base: 0, size: usize::MAX }, 6000);
        assert!(all.count() <= LARGEST_WHOLE / SIZE + 1);
    }

    #[test]
    fn a_hole_ends_what_is_locked() {
        let stack = Stack { base: 0x10_0000, size: 32 << 10 };
        let above = |pages: usize| Pages { first: 0x108 - pages, end: 0x108 };
        let locked = |usable| {
            attempts(stack, 6000, usable, Rung::Lock).map(|attempt| attempt.locked).collect()
        };
        let expected: Vec<Pages> = vec![above(5), above(2), Pages::NONE];
        assert_eq!((above(8), expected), (wished(stack, 6000), locked(above(5))));
        let expected: Vec<Pages> = vec![above(1), Pages::NONE];
        assert_eq!(expected, locked(above(1)));
        let expected: Vec<Pages> = vec![];
        assert_eq!(expected, locked(Pages::NONE));
    }

    proptest! {
        #[test]
        fn frames_are_locked_within_bounds(
            base in any::<usize>(), size in any::<usize>(), headroom in 1..100_000_usize,
        ) {
            let stack = Stack { base, size };
            let usable = wished(stack, headroom);
            prop_assert!(usable.count() <= LARGEST_WHOLE.max(headroom) / SIZE + 2);
            prop_assert_eq!(usable.common(frames(stack, headroom)), frames(stack, headroom));
            for attempt in attempts(stack, headroom, usable, Rung::Lock) {
                let needed = if attempt.rung == Rung::Touch { Pages::NONE } else { frames(stack, headroom) };
                prop_assert_eq!(attempt.locked.common(needed), needed);
                prop_assert_eq!(attempt.locked.common(usable), attempt.locked);
            }
        }
    }
}
