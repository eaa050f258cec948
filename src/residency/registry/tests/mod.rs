//! Tests of [`super`], some against a model of the kernel's pages.

mod calls;
mod fork;
mod page_map;
mod step;
mod world;

use std::cell::Cell;

use super::*;
use crate::os::page;
use crate::os::tlb::Tlb;
use crate::residency::ladder::{self, Stack};
use crate::residency::watched::tests::alone;

/// The first page of the model's memory.
const BASE: usize = 0x20_0000;
/// How many pages it has.
const PAGES: usize = 96;
/// How many bytes at the top of each stack frames need.
const HEADROOM: usize = 9000;
/// How many threads the model has.
const THREADS: c_int = 6;

/// All memory exists and is locked; notes what is made present or flagged.
#[derive(Default)]
struct Noted {
    calls: usize,
    present: Vec<Pages>,
    wiped: Vec<(Pages, bool)>,
    /// How many pages at the end hold more than zeroes.
    used: usize,
}

impl Memory for Noted {
    fn lock(&mut self, pages: Pages) -> Result<(), Errno> {
        self.touch(pages);
        Ok(())
    }
    fn unlock(&mut self, _: Pages) {
        self.calls += 1;
    }
    fn locked(&mut self, _: Pages) -> Result<bool, Errno> {
        self.calls += 1;
        Ok(true)
    }
    fn touch(&mut self, pages: Pages) {
        self.calls += 1;
        self.present.push(pages);
    }
    fn touch_down(&mut self, pages: Pages) -> Pages {
        self.touch(pages);
        pages
    }
    fn flush(&mut self, _: &mut Tlb) {
        self.calls += 1;
    }
    fn wipe_on_fork(&mut self, pages: Pages, wipe: bool) -> Result<(), Errno> {
        self.calls += 1;
        self.wiped.push((pages, wipe));
        Ok(())
    }
    fn blank(&mut self, pages: Pages) -> Pages {
        Pages { end: pages.end.saturating_sub(self.used), ..pages }
    }
}

fn sixteen_pages(number: usize) -> Wanted {
    let stack = Stack { base: (BASE + 20 * number) * page::size(), size: 16 * page::size() };
    Wanted { stack, headroom: HEADROOM, start: Rung::Lock, disarms: false }
}

/// The work for one stack does not grow with the number of stacks.
#[test]
fn registration_is_as_cheap_with_ten_thousand_stacks() {
    /// Stacks of two pages, with one guard page between them.
    struct Counted(usize);
    impl Memory for Counted {
        fn lock(&mut self, _: Pages) -> Result<(), Errno> {
            self.0 += 1;
            Ok(())
        }
        fn unlock(&mut self, _: Pages) {
            self.0 += 1;
        }
        fn locked(&mut self, _: Pages) -> Result<bool, Errno> {
            self.0 += 1;
            Ok(false)
        }
        fn touch(&mut self, _: Pages) {
            self.0 += 1;
        }
        fn touch_down(&mut self, pages: Pages) -> Pages {
            self.0 += 1;
            pages
        }
        fn flush(&mut self, _: &mut Tlb) {
            self.0 += 1;
        }
        fn wipe_on_fork(&mut self, _: Pages, _: bool) -> Result<(), Errno> {
            self.0 += 1;
            Ok(())
        }
        fn blank(&mut self, pages: Pages) -> Pages {
            pages
        }
    }

    let _alone = alone();
    let (mut registry, mut kernel) = (Registry::new(), Counted(0));
    let mut cost = |tid: c_int| {
        let stack =
            Stack { base: (BASE + 3 * tid as usize) * page::size(), size: 2 * page::size() };
        let wanted = Wanted { stack, headroom: HEADROOM, start: Rung::Lock, disarms: false };
        let (looked_at, before) = (Cell::new(0), kernel.0);
        let exists = |_| looked_at.replace(looked_at.get() + 1) < usize::MAX;
        registry.sweep(exists, &mut kernel);
        registry.adopt(tid, Role::Current, wanted, &mut kernel);
        (kernel.0 - before, looked_at.get())
    };
    for tid in 1..=10_000 {
        let (calls, looked_at) = cost(tid);
        assert_eq!(calls, 3, "locked? lock, touch");
        assert!(looked_at <= SWEPT_AT_ONCE);
    }
    for tid in 1..=10_000 {
        registry.release_thread(tid, &mut kernel);
    }
    assert_eq!((registry.stacks(), registry.pinned_pages()), (0, 0));
}
