//! Telling a copy of the process's memory from the memory itself. By pids that
//! cannot always be told: in a pid namespace of its own a child can have its
//! parent's pid, as in a container, whose first process has pid 1.

use core::sync::atomic::{AtomicU32, AtomicUsize, Ordering};

use super::{call, page};

/// A page that a fork wipes (`MADV_WIPEONFORK`, Linux 4.14; without it the
/// mark tells nothing). Async-signal-safe once it has been set.
pub struct Mark(AtomicUsize);

impl Mark {
    /// Not set yet.
    #[must_use]
    pub const fn unset() -> Self {
        Mark(AtomicUsize::new(0))
    }

    /// From here on, until a fork copies it, the memory is this process's.
    pub fn set(&self) {
        if let Some(word) = self.word() {
            word.store(1, Ordering::Relaxed);
        } else if let Ok(page) = call::map_memory(page::SIZE)
            && call::wipe_on_fork(page, page::SIZE, true).is_ok()
        {
            self.0.store(page, Ordering::Relaxed);
            self.set();
        }
    }

    /// Whether the memory was copied by a fork since the mark was set.
    pub fn copied(&self) -> bool {
        self.word().is_some_and(|word| word.load(Ordering::Relaxed) == 0)
    }

    fn word(&self) -> Option<&AtomicU32> {
        let page = self.0.load(Ordering::Relaxed) as *const AtomicU32;
        // SAFETY: null, or a mapping of ours that stays.
        unsafe { page.as_ref() }
    }
}
