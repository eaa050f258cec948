//! The kernel's side of the model: a page map.

use super::*;

/// One page, as the kernel sees it.
#[derive(Clone, Copy, Debug, Default)]
#[allow(clippy::struct_excessive_bools, reason = "independent bits of a page table entry")]
pub(super) struct Page {
    pub(super) mapped: bool,
    pub(super) writable: bool,
    pub(super) locked: bool,
    pub(super) resident: bool,
    /// Write-protected by a fork.
    pub(super) copied: bool,
    /// Some processor remembers that.
    pub(super) remembered: bool,
    pub(super) wiped_on_fork: bool,
}

impl Page {
    /// False if it is not writable.
    fn touch(&mut self) -> bool {
        let good = self.mapped && self.writable;
        if good {
            (self.resident, self.copied) = (true, false);
        }
        good
    }
}

/// The kernel's side: pages, the limit on locks, and a count of calls.
#[derive(Clone)]
pub(super) struct PageMap {
    pub(super) pages: Vec<Page>,
    pub(super) limit: usize,
    pub(super) calls: usize,
}

impl PageMap {
    pub(super) fn slice(&mut self, pages: Pages) -> &mut [Page] {
        assert!(!pages.is_empty(), "a call for nothing");
        self.calls += 1;
        &mut self.pages[pages.first - BASE..pages.end - BASE]
    }

    pub(super) fn get(&self, page: usize) -> Page {
        self.pages[page - BASE]
    }

    pub(super) fn locked_pages(&self) -> usize {
        self.pages.iter().filter(|page| page.locked).count()
    }

    pub(super) fn room_for(&self, pages: Pages) -> bool {
        let new = pages.numbers().filter(|page| !self.get(*page).locked).count();
        self.locked_pages() + new <= self.limit
    }

    pub(super) fn all(&self, pages: Pages, is: impl Fn(Page) -> bool) -> bool {
        pages.numbers().all(|page| is(self.get(page)))
    }

    /// Maps or unmaps pages. Nothing of the old ones stays.
    pub(super) fn replace(&mut self, pages: Pages, mapped: bool) {
        self.slice(pages).fill(Page { mapped, writable: true, ..Page::default() });
    }
}

impl Memory for PageMap {
    fn lock(&mut self, pages: Pages) -> Result<(), Errno> {
        if !self.room_for(pages) {
            return Err(Errno::ENOMEM);
        }
        for page in self.slice(pages) {
            if !page.mapped {
                return Err(Errno::ENOMEM); // what lies below stays locked
            }
            (page.locked, page.resident) = (true, true);
            page.copied &= !page.writable;
        }
        Ok(())
    }

    fn unlock(&mut self, pages: Pages) {
        self.slice(pages).iter_mut().for_each(|page| page.locked = false);
    }

    fn locked(&mut self, pages: Pages) -> Result<bool, Errno> {
        let some_locked = self.slice(pages).iter().any(|page| page.locked);
        let whole = self.slice(pages).iter().all(|page| page.mapped);
        if some_locked || whole { Ok(some_locked) } else { Err(Errno::EFAULT) }
    }

    fn touch(&mut self, pages: Pages) {
        for page in self.slice(pages) {
            if !page.touch() {
                break;
            }
        }
    }

    fn touch_down(&mut self, pages: Pages) -> Pages {
        let count =
            self.slice(pages).iter_mut().rev().map_while(|page| page.touch().then_some(())).count();
        if count == 0 { Pages::NONE } else { Pages { first: pages.end - count, ..pages } }
    }

    fn flush(&mut self, _: &mut Tlb) {
        self.calls += 1;
        self.pages.iter_mut().for_each(|page| page.remembered = page.copied);
    }

    fn wipe_on_fork(&mut self, pages: Pages, wipe: bool) -> Result<(), Errno> {
        for page in self.slice(pages) {
            if !page.mapped {
                return Err(Errno::ENOMEM);
            }
            page.wiped_on_fork = wipe;
        }
        Ok(())
    }

    fn blank(&mut self, pages: Pages) -> Pages {
        self.calls += 1;
        let count = pages.numbers().take_while(|page| !is_used(*page)).count();
        Pages { end: pages.first + count, ..pages }
    }
}

/// Whether the model takes the page to hold more than zeroes.
pub(super) fn is_used(page: usize) -> bool {
    page.is_multiple_of(9)
}
