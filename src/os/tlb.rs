//! What processors remember of the page table (the TLB).
//!
//! A fork write-protects a page, and a processor that then reads it remembers
//! it as read-only. A write to the page by the kernel on our behalf, and a
//! lock, make it writable in the page table. On x86 the kernel leaves the
//! processors' memory alone then: the next write faults once more, which
//! corrects it. In a signal frame that fault is one too many.

use core::num::NonZeroUsize;

use super::call;
use super::page;

/// More pages than Linux flushes one by one: from 34 on (x86:
/// `tlb_single_page_flush_ceiling`) it flushes all that is remembered of the
/// process, on every processor.
const PAGES: usize = 40;
const BYTES: usize = PAGES * page::SIZE;

/// Memory of ours whose protection changes to have processors forget.
pub struct Tlb {
    /// Readable; nothing was ever written there.
    region: Option<NonZeroUsize>,
}

impl Tlb {
    /// Maps nothing yet.
    #[must_use]
    pub const fn new() -> Self {
        Tlb { region: None }
    }

    /// Makes every processor forget what it remembers of this process's pages.
    /// Two system calls; the first time two more. Does nothing if memory is
    /// short. Async-signal-safe.
    pub fn flush(&mut self) {
        let Some(region) = self.region.take().or_else(reserve) else { return };
        let at = region.get();
        // The kernel flushes from the first to the last page that is present. A
        // read makes a page present, at no cost in memory.
        for page in [at, at.wrapping_add(BYTES - page::SIZE)] {
            // SAFETY: our own memory, which only this function changes;
            // `&mut self` keeps other threads out.
            let _ = unsafe { (page as *const u8).read_volatile() };
        }
        let change = |protection| call::protect(at, BYTES, protection).is_ok();
        if change(libc::PROT_NONE) && change(libc::PROT_READ) {
            self.region = Some(region);
        }
    }
}

fn reserve() -> Option<NonZeroUsize> {
    let at = call::reserve(BYTES, libc::PROT_READ).ok()?;
    // After mlockall(MCL_FUTURE) the program would pay for it.
    let _ = call::munlock(at, BYTES);
    NonZeroUsize::new(at)
}

impl Default for Tlb {
    fn default() -> Self {
        Self::new()
    }
}
