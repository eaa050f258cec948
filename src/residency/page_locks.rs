//! How many stacks pin each page, and whether its lock is ours to remove.

use core::sync::atomic::{AtomicU64, Ordering};

use super::hash_table::{Entry, HashTable};
use crate::os::errno::Errno;
use crate::os::page::{self, Pages};
use crate::os::tlb::Tlb;
use crate::os::{call, signals, touch, user_memory};
use crate::state::published_block::BLOCK;

/// The kernel's memory calls; the tests substitute a model.
pub trait Memory {
    /// Locks `pages` and faults them in. A failure may leave some of them
    /// locked.
    ///
    /// # Errors
    /// As mlock(2).
    fn lock(&mut self, pages: Pages) -> Result<(), Errno>;
    /// Unlocks those of `pages` that exist.
    fn unlock(&mut self, pages: Pages);
    /// Whether any of `pages` is locked.
    ///
    /// # Errors
    /// EFAULT if some of them are not mapped and none is locked.
    fn locked(&mut self, pages: Pages) -> Result<bool, Errno>;
    /// Makes each of `pages` present and writable without changing a byte, in
    /// as few calls as possible. Reports no failure, so it is meant for pages
    /// that are writable.
    fn touch(&mut self, pages: Pages);
    /// Like [`Memory::touch`], but page by page, from the last one down to the
    /// first that is not writable. Returns the pages that are ready.
    fn touch_down(&mut self, pages: Pages) -> Pages;
    /// Makes every processor forget what it remembers of the page table.
    fn flush(&mut self, tlb: &mut Tlb);
    /// Sets `MADV_WIPEONFORK` on `pages`, or clears it if `wipe` is false.
    ///
    /// # Errors
    /// As madvise(2): EINVAL if they are not private anonymous memory.
    fn wipe_on_fork(&mut self, pages: Pages, wipe: bool) -> Result<(), Errno>;
    /// The pages from the first one on that hold only zeroes. All of `pages`
    /// must be present.
    fn blank(&mut self, pages: Pages) -> Pages;
}

/// The real kernel.
pub struct ThisProcess;

impl Memory for ThisProcess {
    fn lock(&mut self, pages: Pages) -> Result<(), Errno> {
        call::mlock(pages.address(), pages.bytes()).map(drop)
    }

    fn unlock(&mut self, pages: Pages) {
        // munlock(2) stops at a gap, and what lies above stays locked. Pages
        // that are gone hold no lock.
        if call::munlock(pages.address(), pages.bytes()).is_err() {
            for page in pages.numbers() {
                let _ = call::munlock(page.wrapping_mul(page::size()), page::size());
            }
        }
    }

    fn locked(&mut self, pages: Pages) -> Result<bool, Errno> {
        match call::msync_invalidate(pages.address(), pages.bytes()) {
            Err(Errno::EBUSY) => Ok(true),
            Err(Errno::ENOMEM) => Err(Errno::EFAULT),
            _ => Ok(false),
        }
    }

    fn touch(&mut self, pages: Pages) {
        touch::run(BLOCK.force.owner.pid(), pages);
    }

    fn touch_down(&mut self, pages: Pages) -> Pages {
        touch::down(pages)
    }

    fn flush(&mut self, tlb: &mut Tlb) {
        tlb.flush();
    }

    fn wipe_on_fork(&mut self, pages: Pages, wipe: bool) -> Result<(), Errno> {
        call::wipe_on_fork(pages.address(), pages.bytes(), wipe).map(drop)
    }

    fn blank(&mut self, pages: Pages) -> Pages {
        let count = pages.numbers().take_while(|page| is_blank(*page)).count();
        Pages { end: pages.first.wrapping_add(count), ..pages }
    }
}

/// Whether the page holds only zeroes; false if it cannot be read.
fn is_blank(page: usize) -> bool {
    let address = page.wrapping_mul(page::size());
    if !user_memory::readable(address, size_of::<signals::Mask>()) {
        return false;
    }
    // SAFETY: aligned, and readable as a whole a moment ago, since it is one
    // page. It could fault only if another thread takes the caller's stack away
    // during a fork. Others may write to it.
    let words =
        unsafe { core::slice::from_raw_parts(address as *const AtomicU64, page::size() / 8) };
    words.iter().all(|word| word.load(Ordering::Relaxed) == 0)
}

/// One pinned page.
#[derive(Clone, Copy)]
struct PageLock {
    page: usize,
    /// How many stacks need it: neighbours share the page at their boundary.
    stacks: u32,
    /// The program locked it, before or after us: we must never unlock it.
    programs: bool,
}

// SAFETY: zeroes are a PageLock of page 0, which no program can map
// (vm.mmap_min_addr), and its key is 0.
unsafe impl Entry for PageLock {
    fn key(&self) -> usize {
        self.page
    }
}

/// All pinned pages.
pub struct PageLocks {
    pages: HashTable<PageLock>,
}

impl PageLocks {
    /// No pinned pages.
    #[must_use]
    pub const fn new() -> Self {
        PageLocks { pages: HashTable::new() }
    }

    /// Leaves the counts behind at a fork: the child has no locks and needs no
    /// counts. See [`HashTable::leave_behind`].
    pub fn leave_behind(&mut self) {
        self.pages.leave_behind(true);
    }

    /// How many pages are pinned.
    #[must_use]
    pub const fn count(&self) -> usize {
        self.pages.len()
    }

    /// Locks `pages`, and counts them until [`PageLocks::release`].
    ///
    /// # Errors
    /// As mlock(2), except that EFAULT means that some of `pages` are not
    /// mapped, and ENOMEM may also mean that there is no memory for our table.
    /// After an error nothing is left pinned or newly locked.
    pub fn pin(&mut self, pages: Pages, memory: &mut impl Memory) -> Result<(), Errno> {
        // mlock(2) returns the same error for unmapped memory and for the
        // limit.
        let some_locked = memory.locked(pages)?;
        for page in pages.numbers() {
            if !self.count_in(page, some_locked, memory) {
                self.release(Pages { first: pages.first, end: page }, memory);
                return Err(Errno::ENOMEM);
            }
        }
        let locked = memory.lock(pages);
        if locked.is_err() {
            self.release(pages, memory);
        }
        locked
    }

    fn count_in(&mut self, page: usize, some_locked: bool, memory: &mut impl Memory) -> bool {
        if let Some(pin) = self.pages.get_mut(page) {
            pin.stacks = pin.stacks.saturating_add(1);
            return true;
        }
        let programs = some_locked
            && memory.locked(Pages { first: page, end: page.wrapping_add(1) }) == Ok(true);
        page != 0 && self.pages.insert(PageLock { page, stacks: 1, programs })
    }

    /// Removes one stack's claim on `pages`. Unlocks those that no other stack
    /// needs and that the program has not locked.
    pub fn release(&mut self, pages: Pages, memory: &mut impl Memory) {
        let mut run = Pages::NONE;
        for page in pages.numbers() {
            if !self.count_out(page) {
                continue;
            }
            if run.end != page {
                unlock_run(run, memory);
                run.first = page;
            }
            run.end = page.wrapping_add(1);
        }
        unlock_run(run, memory);
    }

    /// Whether the program itself locked any of `pages`.
    #[must_use]
    pub fn any_programs(&self, pages: Pages) -> bool {
        if pages.count() < self.pages.len() {
            pages.numbers().any(|page| self.pages.get(page).is_some_and(|pin| pin.programs))
        } else {
            self.pages.iter().any(|pin| pin.programs && pages.numbers().contains(&pin.page))
        }
    }

    /// Records that the program locked or unlocked `pages` itself.
    pub fn mark(&mut self, pages: Pages, programs: bool) {
        for pin in self.pages.iter_mut().filter(|pin| pages.numbers().contains(&pin.page)) {
            pin.programs = programs;
        }
    }

    /// Records that the program failed to unlock `pages`: it did unlock those
    /// that the kernel no longer reports as locked.
    pub fn mark_unlocked(&mut self, pages: Pages, memory: &mut impl Memory) {
        for pin in self.pages.iter_mut().filter(|pin| pages.numbers().contains(&pin.page)) {
            let own = Pages { first: pin.page, end: pin.page.wrapping_add(1) };
            pin.programs &= memory.locked(own) != Ok(false);
        }
    }

    /// Removes one claim on the page. True if that was the last one and the
    /// lock was ours.
    fn count_out(&mut self, page: usize) -> bool {
        let Some(pin) = self.pages.get_mut(page) else { return false };
        pin.stacks = pin.stacks.saturating_sub(1);
        let (last, ours) = (pin.stacks == 0, !pin.programs);
        if last {
            self.pages.remove(page);
        }
        last && ours
    }
}

impl Default for PageLocks {
    fn default() -> Self {
        Self::new()
    }
}

fn unlock_run(run: Pages, memory: &mut impl Memory) {
    if !run.is_empty() {
        memory.unlock(run);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gap_keeps_no_page_locked() {
        // SAFETY: a fresh mapping; only one of its pages is unmapped.
        let start = unsafe {
            let start = libc::mmap(core::ptr::null_mut(), 3 * page::size(), 3, 0x22, -1, 0);
            assert_eq!(libc::mlock(start, 3 * page::size()), 0);
            libc::munmap(start.add(page::size()), page::size());
            start as usize
        };
        let pages = Pages::around(start, start + 3 * page::size());
        assert_eq!(ThisProcess.locked(pages), Ok(true));
        ThisProcess.unlock(pages);
        assert_ne!(ThisProcess.locked(pages), Ok(true));
    }
}
