//! What can happen in a history, and how often.

use proptest::prelude::*;

use super::*;

/// What can happen. Places in memory are page numbers from [`BASE`] on.
#[derive(Clone, Debug)]
pub(super) enum Step {
    /// A stack of `size` bytes at address `base`.
    Adopt {
        tid: c_int,
        role: Role,
        base: usize,
        size: usize,
        start: Rung,
    },
    /// A stack that fills the mapping made last around that page.
    AdoptMapping {
        tid: c_int,
        role: Role,
        page: usize,
    },
    Promote {
        tid: c_int,
        from: Role,
        to: Role,
    },
    Release {
        tid: c_int,
        role: Role,
    },
    ReleaseThread {
        tid: c_int,
    },
    /// The thread ends without the registry's knowledge.
    Die {
        tid: c_int,
    },
    Sweep,
    Climb,
    /// Handlers appear or go away, which changes whether ordinary stacks are
    /// held.
    Review {
        tid: Option<c_int>,
        start: Rung,
    },
    /// The program's own mlock(2) and munlock(2).
    Lock {
        pages: Pages,
    },
    Unlock {
        pages: Pages,
    },
    /// munmap(2), or mmap(2) with `MAP_FIXED`, through the hooks.
    Replace {
        pages: Pages,
        mapped: bool,
    },
    /// The same by libc itself, on memory that libc mapped.
    Behind {
        pages: Pages,
        mapped: bool,
    },
    Protect {
        pages: Pages,
        writable: bool,
    },
    /// madvise(2) with `MADV_DONTNEED`.
    DontNeed {
        pages: Pages,
    },
    /// Continues as the parent or as the child.
    Fork {
        tid: c_int,
        child: bool,
    },
    /// setrlimit(2), in pages.
    Limit {
        pages: usize,
    },
}

pub(super) fn step() -> impl Strategy<Value = Step> {
    let tid = || 1..=THREADS;
    let role = || prop::sample::select(&Role::ALL[..]);
    let rung = prop::sample::select(&Rung::ALL[..]);
    let pages = || {
        (0..PAGES, 1..20_usize).prop_map(|(first, count)| Pages {
            first: BASE + first,
            end: BASE + (first + count).min(PAGES),
        })
    };
    let size = prop_oneof![4 => 1..40_000_usize, 1 => 65_000..150_000_usize];
    prop_oneof![
        6 => (tid(), role(), 0..PAGES * page::size(), size, rung).prop_map(
            |(tid, role, at, size, start)| {
                let size = size.min(PAGES * page::size() - at);
                Step::Adopt { tid, role, base: BASE * page::size() + at, size, start }
            }
        ),
        6 => (tid(), role(), 0..PAGES)
            .prop_map(|(tid, role, page)| Step::AdoptMapping { tid, role, page }),
        3 => (tid(), role(), role()).prop_map(|(tid, from, to)| Step::Promote { tid, from, to }),
        3 => (tid(), role()).prop_map(|(tid, role)| Step::Release { tid, role }),
        1 => tid().prop_map(|tid| Step::ReleaseThread { tid }),
        1 => tid().prop_map(|tid| Step::Die { tid }),
        1 => Just(Step::Sweep),
        1 => Just(Step::Climb),
        1 => (prop::option::of(tid()), prop::sample::select(&Rung::ALL[..]))
            .prop_map(|(tid, start)| Step::Review { tid, start }),
        2 => pages().prop_map(|pages| Step::Lock { pages }),
        2 => pages().prop_map(|pages| Step::Unlock { pages }),
        4 => (pages(), prop::bool::weighted(0.8))
            .prop_map(|(pages, mapped)| Step::Replace { pages, mapped }),
        1 => (pages(), any::<bool>()).prop_map(|(pages, mapped)| Step::Behind { pages, mapped }),
        1 => (pages(), any::<bool>())
            .prop_map(|(pages, writable)| Step::Protect { pages, writable }),
        2 => pages().prop_map(|pages| Step::DontNeed { pages }),
        2 => (tid(), prop::bool::weighted(0.2))
            .prop_map(|(tid, child)| Step::Fork { tid, child }),
        1 => (0..40_usize).prop_map(|pages| Step::Limit { pages }),
    ]
}
