//! Whose memory this is: it belongs to the process that keeps its state here,
//! or is a copy made by fork, or is shared with a vfork child. Pids alone
//! cannot always tell: in its own pid namespace a child can have its parent's
//! pid, as in a container, whose first process has pid 1.

use core::ffi::c_int;
use core::sync::atomic::{AtomicI32, AtomicU32, AtomicUsize, Ordering};

use super::{call, page};

/// The process that keeps its state here. Everything is async-signal-safe once
/// the memory is claimed. Other processes may read it: see [`crate::state::published_block`].
#[repr(C)]
pub struct Owner {
    pid: AtomicI32,
    /// How often the memory was claimed.
    claims: AtomicU32,
    /// The address of a page that a fork wipes (`MADV_WIPEONFORK`, Linux 4.14),
    /// or 0: then pids alone decide.
    mark: AtomicUsize,
}

impl Owner {
    /// No owner yet.
    #[must_use]
    pub const fn nobody() -> Self {
        Owner { pid: AtomicI32::new(0), claims: AtomicU32::new(0), mark: AtomicUsize::new(0) }
    }

    /// Makes the calling process the owner, until a fork copies the memory.
    pub fn claim(&self) {
        self.claims.fetch_add(1, Ordering::Relaxed);
        self.pid.store(call::getpid(), Ordering::Relaxed);
        if self.mark().is_none()
            && let Ok(page) = call::map_memory(page::size())
            && call::wipe_on_fork(page, page::size(), true).is_ok()
        {
            self.mark.store(page, Ordering::Relaxed);
        }
        if let Some(mark) = self.mark() {
            mark.store(1, Ordering::Relaxed);
        }
    }

    /// The owner's process id; 0 if there is no owner.
    pub fn pid(&self) -> c_int {
        self.pid.load(Ordering::Relaxed)
    }

    /// Whether the calling process is the owner.
    #[inline(never)] // for depth
    pub fn is_us(&self) -> bool {
        !self.is_copied() && self.pid() == call::getpid()
    }

    /// Whether a fork has copied the memory since it was claimed. False if
    /// there is no mark.
    pub fn is_copied(&self) -> bool {
        self.mark().is_some_and(|mark| mark.load(Ordering::Relaxed) == 0)
    }

    /// A number that differs from that of every process that this memory was
    /// copied from; `None` if, without a system call, it is not certain that
    /// the memory is claimed.
    pub fn life(&self) -> Option<u32> {
        let mark = self.mark()?.load(Ordering::Relaxed);
        (mark != 0).then(|| self.claims.load(Ordering::Relaxed))
    }

    fn mark(&self) -> Option<&AtomicU32> {
        let page = self.mark.load(Ordering::Relaxed) as *const AtomicU32;
        // SAFETY: null, or a mapping of ours that is never unmapped.
        unsafe { page.as_ref() }
    }
}
