//! What processors remember of the page table (the TLB).
//!
//! A fork write-protects a page, and a processor that then reads it remembers
//! it as read-only. A write to the page by the kernel on our behalf, and a
//! lock, make it writable in the page table. On x86 the kernel leaves the
//! processors' memory alone then: the next write faults once more, which
//! corrects it. In a signal frame that fault is one too many.

use core::num::NonZeroUsize;

use super::call;
use super::errno::Errno;
use super::page;

/// More pages than Linux flushes one by one: from 34 on (x86:
/// `tlb_single_page_flush_ceiling`) it flushes all that is remembered of the
/// process, on every processor.
const PAGES: usize = 40;

/// Memory of ours that is given up to have processors forget.
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
    /// One system call and two page faults; the first time two calls more, and
    /// as many after the program has locked all of its memory. Does nothing if
    /// memory is short. Async-signal-safe.
    pub fn flush(&mut self) {
        self.region = self.region.or_else(reserve);
        let bytes = PAGES * page::size();
        let Some(at) = self.region.map(NonZeroUsize::get) else { return };
        // The kernel flushes from the first to the last page that is present. A
        // read makes a page present, at no cost in memory.
        for page in [at, at.wrapping_add(bytes - page::size())] {
            // SAFETY: our own memory, always readable.
            let _ = unsafe { (page as *const u8).read_volatile() };
        }
        if call::empty(at, bytes) == Err(Errno::EINVAL) {
            // Locked by mlockall(2); the program need not pay for it.
            let _ = call::munlock(at, bytes);
            let _ = call::empty(at, bytes);
        }
    }
}

fn reserve() -> Option<NonZeroUsize> {
    let bytes = PAGES * page::size();
    let at = call::reserve(bytes, libc::PROT_READ).ok()?;
    // After mlockall(MCL_FUTURE) the program would pay for it.
    let _ = call::munlock(at, bytes);
    NonZeroUsize::new(at)
}

impl Default for Tlb {
    fn default() -> Self {
        Self::new()
    }
}
