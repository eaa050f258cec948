//! Whose memory this is: the process's that keeps its state here, a forked
//! copy, or memory that a vfork child shares. Pids alone cannot always tell:
//! in a pid namespace of its own a child can have its parent's pid, as in a
//! container, whose first process has pid 1.

use core::ffi::c_int;
use core::sync::atomic::{AtomicI32, AtomicU32, AtomicUsize, Ordering};

use super::{call, page};

/// The process that keeps its state here. All is async-signal-safe once it
/// has been claimed. Others may read it: see [`crate::block`].
#[repr(C)]
pub struct Owner {
    pid: AtomicI32,
    /// How often it was claimed.
    claims: AtomicU32,
    /// A page that a fork wipes (`MADV_WIPEONFORK`, Linux 4.14), or 0: without
    /// it, pids alone decide.
    mark: AtomicUsize,
}

impl Owner {
    /// Nobody yet.
    #[must_use]
    pub const fn nobody() -> Self {
        Owner { pid: AtomicI32::new(0), claims: AtomicU32::new(0), mark: AtomicUsize::new(0) }
    }

    /// From here on, until a fork copies it, it is the calling process.
    pub fn claim(&self) {
        self.claims.fetch_add(1, Ordering::Relaxed);
        self.pid.store(call::getpid(), Ordering::Relaxed);
        if self.mark().is_none()
            && let Ok(page) = call::map_memory(page::SIZE)
            && call::wipe_on_fork(page, page::SIZE, true).is_ok()
        {
            self.mark.store(page, Ordering::Relaxed);
        }
        if let Some(mark) = self.mark() {
            mark.store(1, Ordering::Relaxed);
        }
    }

    /// Its process id; 0 while it is nobody.
    pub fn pid(&self) -> c_int {
        self.pid.load(Ordering::Relaxed)
    }

    /// Whether it is the calling process.
    #[inline(never)] // for depth
    pub fn is_us(&self) -> bool {
        !self.is_copied() && self.pid() == call::getpid()
    }

    /// Whether the memory was copied by a fork since it was claimed. Without
    /// a mark: no.
    pub fn is_copied(&self) -> bool {
        self.mark().is_some_and(|mark| mark.load(Ordering::Relaxed) == 0)
    }

    /// A number that no process had that this memory was copied from, where it
    /// is certain without a system call that this is no unclaimed copy.
    pub fn life(&self) -> Option<u32> {
        let mark = self.mark()?.load(Ordering::Relaxed);
        (mark != 0).then(|| self.claims.load(Ordering::Relaxed))
    }

    fn mark(&self) -> Option<&AtomicU32> {
        let page = self.mark.load(Ordering::Relaxed) as *const AtomicU32;
        // SAFETY: null, or a mapping of ours that stays.
        unsafe { page.as_ref() }
    }
}
