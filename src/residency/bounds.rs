//! Defect `stack-bounds`: where the calling thread's stack really ends.
//!
//! The bounds are never a constant. They come from the attributes that the
//! thread was created with or, for the main thread, from the kernel.
//! pthread_getattr_np(3) would return both, but it allocates and opens a file.

use crate::os::page;

/// The usable part of a thread's stack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Lowest usable address: the memory below is a guard, or not part of the
    /// stack.
    pub lowest: usize,
}

/// What is known about a stack that pthread_create(3) will use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Attributes {
    /// Allocated by libc with this size. glibc takes the guard from that size.
    Made {
        /// `stacksize`.
        size: usize,
        /// `guardsize`, if libc takes it from `size`.
        guard: usize,
    },
    /// Given by the program (`pthread_attr_setstack`): no guard is added.
    Given {
        /// Its lowest address.
        base: usize,
    },
}

/// The bounds of a thread, from its thread pointer, which both libcs keep above
/// the stacks that they allocate.
///
/// glibc puts the thread's descriptor (less than a page) at the very end of a
/// block of whole pages, which before 2.27 includes the guard; musl puts it,
/// with the thread's static data, above `size` bytes. Where they differ, this
/// takes the narrower range: the block ends with the thread pointer's page, and
/// the guard is part of it. Where a thread's static data lies above the thread
/// pointer ([`THREAD_DATA_ABOVE`](crate::arch::THREAD_DATA_ABOVE)) glibc's block ends further up, by an
/// unknown number of pages: there the caller must look for the guard.
#[must_use]
pub fn of_thread(attributes: Attributes, thread_pointer: usize) -> Bounds {
    match attributes {
        Attributes::Given { base } => Bounds { lowest: base.next_multiple_of(page::size()) },
        Attributes::Made { size, guard } => {
            let usable = size.saturating_sub(guard.next_multiple_of(page::size()));
            let end = (thread_pointer / page::size() + 1) * page::size();
            Bounds { lowest: end.saturating_sub(usable).next_multiple_of(page::size()) }
        }
    }
}

/// The size in bytes that is used for no limit. The kernel then places
/// everything else below the upper third of the address space, so nothing there
/// can be part of the stack.
const UNLIMITED: usize = 1 << 30;

/// The bounds of the main thread, whose stack begins at `highest` and grows
/// down to `limit` bytes (`RLIMIT_STACK`; `None` means unlimited).
#[must_use]
pub fn of_main(highest: usize, limit: Option<usize>) -> Bounds {
    let size = match limit {
        Some(bytes) => bytes,
        None => UNLIMITED,
    };
    Bounds { lowest: highest.saturating_sub(size).next_multiple_of(page::size()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_given_stack_is_rounded_inward() {
        assert_eq!(of_thread(Attributes::Given { base: 4097 }, 0), Bounds { lowest: 8192 });
        assert_eq!(of_thread(Attributes::Given { base: 8192 }, 0), Bounds { lowest: 8192 });
    }

    #[test]
    fn the_guard_is_left_out() {
        let size = 64 << 10;
        let made = |guard| of_thread(Attributes::Made { size, guard }, 0x10_0900).lowest;
        let end = 0x10_1000;
        assert_eq!(made(0), end - size);
        assert_eq!(made(1), end - size + 4096);
        assert_eq!(made(usize::MAX / 2), end);
    }

    #[test]
    fn main_ends_at_its_limit() {
        assert_eq!(of_main(0x7fff_0000_0000, Some(8 << 20)).lowest, 0x7fff_0000_0000 - (8 << 20));
        assert_eq!(of_main(0x7fff_0000_0000, None).lowest, 0x7fff_0000_0000 - (1 << 30));
        assert_eq!(of_main(4096, Some(usize::MAX)).lowest, 0);
    }
}
