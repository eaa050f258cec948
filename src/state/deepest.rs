//! The alternate stack that was used most: a part of the published block.

use core::ffi::c_int;
use core::sync::atomic::{AtomicUsize, Ordering};

/// How much of an alternate stack was used at most, in bytes, as far as
/// measured.
#[repr(C)]
pub struct Deepest {
    used: AtomicUsize,
    size: AtomicUsize,
    thread: AtomicUsize,
}

impl Deepest {
    pub(super) const fn new() -> Self {
        Deepest {
            used: AtomicUsize::new(0),
            size: AtomicUsize::new(0),
            thread: AtomicUsize::new(0),
        }
    }

    /// `thread` has used `used` of `size` bytes. Async-signal-safe.
    pub fn note(&self, thread: c_int, used: usize, size: usize) {
        if self.used.fetch_max(used, Ordering::Relaxed) < used {
            self.size.store(size, Ordering::Relaxed);
            self.thread.store(thread as usize, Ordering::Relaxed);
        }
    }

    /// In a forked child.
    pub fn forget(&self) {
        for field in [&self.used, &self.size, &self.thread] {
            field.store(0, Ordering::Relaxed);
        }
    }
}
