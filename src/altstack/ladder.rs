//! Which pages of a stack to make resident, and how, best first. Pure.

use crate::sys::page::Pages;

/// A stack as the program described it to the kernel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stack {
    /// Lowest address.
    pub base: usize,
    /// Bytes.
    pub size: usize,
}

impl Stack {
    /// The address after its last byte, where the kernel puts the first
    /// frame; `None` for a stack that wraps around (the kernel accepts those).
    #[must_use]
    pub const fn top(self) -> Option<usize> {
        self.base.checked_add(self.size)
    }

    /// Whether the two share an address. What wraps around shares none.
    #[must_use]
    pub const fn overlaps(self, other: Stack) -> bool {
        match (self.top(), other.top()) {
            (Some(top), Some(others)) => self.base < others && other.base < top,
            _ => false,
        }
    }
}

/// A way of making a stack resident.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Rung {
    /// All of it locked.
    Lock,
    /// The pages locked that a frame and one nested in it need.
    Frame,
    /// Those pages written to, without a lock: present until evicted.
    Touch,
    /// Nothing could be done: reported only.
    Report,
}

impl Rung {
    /// All rungs, best first.
    pub const ALL: [Rung; 4] = [Rung::Lock, Rung::Frame, Rung::Touch, Rung::Report];

    /// Its name in messages and in `SIGWARD_ALTSTACK`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Rung::Lock => "lock",
            Rung::Frame => "frame",
            Rung::Touch => "touch",
            Rung::Report => "report",
        }
    }
}

/// Largest stack that is locked whole, in bytes: the smallest RLIMIT_MEMLOCK
/// found in the field buys it, and a huge stack must not starve the host.
pub const LARGEST_WHOLE: usize = 64 << 10;

/// One attempt: these pages, in this way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// How.
    pub rung: Rung,
    /// What.
    pub pages: Pages,
}

/// The pages at the top of `stack` that frames need, `window` bytes of them;
/// none for a stack that cannot exist.
#[must_use]
pub fn frames(stack: Stack, window: usize) -> Pages {
    stack
        .top()
        .map_or(Pages::NONE, |top| Pages::around(stack.base.max(top.saturating_sub(window)), top))
}

/// The attempts to make for `stack`, best first, from rung `start` on;
/// `window` is how many bytes at its top frames need. None for a stack that
/// cannot exist.
pub fn attempts(stack: Stack, window: usize, start: Rung) -> impl Iterator<Item = Attempt> {
    let frames = Some(frames(stack, window)).filter(|pages| !pages.is_empty());
    let whole = frames
        .and(stack.top())
        .filter(|_| stack.size <= LARGEST_WHOLE)
        .map(|top| Pages::around(stack.base, top));
    let lock = whole.map(|pages| Attempt { rung: Rung::Lock, pages });
    // Where the window is the whole stack, a second attempt would be the same.
    let narrower = frames.filter(|pages| whole != Some(*pages) || start > Rung::Lock);
    let frame = narrower.map(|pages| Attempt { rung: Rung::Frame, pages });
    let touch = frames.map(|pages| Attempt { rung: Rung::Touch, pages });
    [lock, frame, touch].into_iter().flatten().filter(move |attempt| attempt.rung >= start)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::page::SIZE;
    use proptest::prelude::*;

    fn rungs(stack: Stack, start: Rung) -> Vec<Rung> {
        attempts(stack, 6000, start).map(|attempt| attempt.rung).collect()
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
        // [0, SIZE_MAX) does not wrap; its top is where no page can be.
        let all = Stack { base: 0, size: usize::MAX };
        assert!(attempts(all, 6000, Rung::Lock).all(|attempt| attempt.pages.count() <= 3));
    }

    proptest! {
        #[test]
        fn attempts_cover_the_frames_and_are_bounded(
            base in any::<usize>(), size in any::<usize>(), window in 1..100_000_usize,
        ) {
            let stack = Stack { base, size };
            for attempt in attempts(stack, window, Rung::Lock) {
                let top = stack.top().unwrap();
                let needed = Pages::around(base.max(top.saturating_sub(window)), top);
                prop_assert_eq!(attempt.pages.common(needed), needed);
                let most = LARGEST_WHOLE.max(window) / SIZE + 2;
                prop_assert!(attempt.pages.count() <= most);
            }
        }
    }
}
