//! How deep alternate stacks were used: a part of the published block.

use core::ffi::c_int;
use core::ptr;
use core::sync::atomic::{AtomicPtr, AtomicUsize, Ordering};

/// How much of an alternate stack was used at most, in bytes, as far as
/// measured.
#[repr(C)]
pub struct Deepest {
    used: AtomicUsize,
    size: AtomicUsize,
    thread: AtomicUsize,
    /// Since version 3.
    signal: AtomicUsize,
}

/// Which signal's handler used a stack: its number, 0 if that is unknown, and
/// 256 more if no other signal's can have used it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Signal(pub u16);

impl Signal {
    const ONLY: u16 = 256;

    /// Nothing is known.
    pub const UNKNOWN: Signal = Signal(0);

    /// `last` was the last one; no other was there if it is the `only` one.
    #[must_use]
    pub const fn new(last: c_int, only: bool) -> Self {
        Signal(last as u16 & (Signal::ONLY - 1) | if only { Signal::ONLY } else { 0 })
    }

    /// The last one.
    #[must_use]
    pub const fn last(self) -> Option<u8> {
        let last = self.0 as u8;
        if last == 0 { None } else { Some(last) }
    }

    /// Whether no other can have been there.
    #[must_use]
    pub const fn is_only(self) -> bool {
        self.0 & Signal::ONLY != 0
    }
}

impl Deepest {
    pub(super) const fn new() -> Self {
        Deepest {
            used: AtomicUsize::new(0),
            size: AtomicUsize::new(0),
            thread: AtomicUsize::new(0),
            signal: AtomicUsize::new(0),
        }
    }

    /// `thread` has used `used` of `size` bytes, for `signal`. Async-signal-safe.
    pub fn note(&self, thread: c_int, used: usize, size: usize, signal: Signal) {
        if self.used.fetch_max(used, Ordering::Relaxed) < used {
            self.size.store(size, Ordering::Relaxed);
            self.thread.store(thread as usize, Ordering::Relaxed);
            self.signal.store(signal.0.into(), Ordering::Relaxed);
        }
    }

    /// In a forked child.
    pub fn forget(&self) {
        for field in [&self.used, &self.size, &self.thread, &self.signal] {
            field.store(0, Ordering::Relaxed);
        }
    }
}

/// Lists of stacks that were all zeroes when they were set, so that whoever
/// reads them sees how deep they were used. Null where there are none.
#[repr(C)]
pub struct Measured {
    /// The program's own, which were painted.
    pub sets: AtomicPtr<u8>,
    /// The latest arena of stacks for threads that set none.
    pub arenas: AtomicPtr<u8>,
}

impl Measured {
    pub(super) const fn new() -> Self {
        Measured { sets: AtomicPtr::new(ptr::null_mut()), arenas: AtomicPtr::new(ptr::null_mut()) }
    }
}
