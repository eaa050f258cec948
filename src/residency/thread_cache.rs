//! A cache of threads that certainly belong to this process, and the stacks they
//! have in force. Readers take no lock, so a call that changes nothing costs
//! almost nothing.
//!
//! A thread is looked up by its thread pointer. Where something is changed on
//! its behalf, its id must match too: a vfork child has the pointer of the
//! thread that made it, but its own id. A thread that has both the pointer and
//! the id of a dead thread whose end was not reported is taken for that thread.
//! It can then change only the dead thread's records.
//!
//! Only holders of the registry's lock write here. The registry may know
//! threads that are not found here.

use core::ffi::c_int;
use core::sync::atomic::{AtomicBool, AtomicI32, AtomicU32, AtomicUsize, Ordering, fence};

use super::ladder::{Rung, Stack};
use crate::arch;
use crate::os::page::Pages;

/// A stack that is recorded as in force and is held as well as possible, so
/// setting it again would change nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Steady {
    /// Where it is.
    pub stack: Stack,
    /// The pages of it that are held; the uppermost are locked.
    pub held: Pages,
    /// One of the rungs that lock.
    pub rung: Rung,
}

impl Steady {
    const NONE: Steady =
        Steady { stack: Stack { base: 0, size: 0 }, held: Pages::NONE, rung: Rung::Lock };
}

/// A thread, as the kernel and libc identify it.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Thread {
    /// The owner's claim that it belongs to; no thread outlives a fork here.
    life: u32,
    tid: c_int,
    pointer: usize,
}

impl Thread {
    fn calling(life: u32, tid: c_int) -> Self {
        Thread { life, tid, pointer: arch::thread_pointer() }
    }
}

/// One thread. If a reader finds a different version afterwards, or an odd one,
/// it has read a mixture.
struct Slot {
    version: AtomicU32,
    life: AtomicU32,
    tid: AtomicI32,
    pointer: AtomicUsize,
    /// The stack; size 0 for none.
    base: AtomicUsize,
    size: AtomicUsize,
    /// The pages of it that are held.
    first: AtomicUsize,
    end: AtomicUsize,
    /// True for [`Rung::Lock`], false for [`Rung::Frame`].
    whole: AtomicBool,
}

/// Threads whose pointers map to the same slot take turns.
const SLOTS: usize = 256;

static CACHE: [Slot; SLOTS] = [const {
    Slot {
        version: AtomicU32::new(0),
        life: AtomicU32::new(0),
        tid: AtomicI32::new(0),
        pointer: AtomicUsize::new(0),
        base: AtomicUsize::new(0),
        size: AtomicUsize::new(0),
        first: AtomicUsize::new(0),
        end: AtomicUsize::new(0),
        whole: AtomicBool::new(false),
    }
}; SLOTS];

fn slot(pointer: usize) -> Option<&'static Slot> {
    let spread = (pointer as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40;
    CACHE.get(spread as usize % SLOTS)
}

impl Slot {
    fn write(&self, thread: Thread, steady: Steady) {
        let version = self.version.load(Ordering::Relaxed);
        self.version.store(version.wrapping_add(1), Ordering::Relaxed);
        fence(Ordering::Release);
        self.life.store(thread.life, Ordering::Relaxed);
        self.tid.store(thread.tid, Ordering::Relaxed);
        self.pointer.store(thread.pointer, Ordering::Relaxed);
        self.base.store(steady.stack.base, Ordering::Relaxed);
        self.size.store(steady.stack.size, Ordering::Relaxed);
        self.first.store(steady.held.first, Ordering::Relaxed);
        self.end.store(steady.held.end, Ordering::Relaxed);
        self.whole.store(steady.rung == Rung::Lock, Ordering::Relaxed);
        self.version.store(version.wrapping_add(2), Ordering::Release);
    }

    /// The version, the thread and its stack; `None` while they are being
    /// written.
    fn read(&self) -> Option<(u32, Thread, Steady)> {
        let version = self.version.load(Ordering::Acquire);
        let thread = Thread {
            life: self.life.load(Ordering::Relaxed),
            tid: self.tid.load(Ordering::Relaxed),
            pointer: self.pointer.load(Ordering::Relaxed),
        };
        let stack = Stack {
            base: self.base.load(Ordering::Relaxed),
            size: self.size.load(Ordering::Relaxed),
        };
        let held = Pages {
            first: self.first.load(Ordering::Relaxed),
            end: self.end.load(Ordering::Relaxed),
        };
        let rung = if self.whole.load(Ordering::Relaxed) { Rung::Lock } else { Rung::Frame };
        fence(Ordering::Acquire);
        let whole = version.is_multiple_of(2) && self.version.load(Ordering::Relaxed) == version;
        whole.then_some((version, thread, Steady { stack, held, rung }))
    }
}

/// What was found for a thread.
pub struct Found {
    slot: &'static Slot,
    version: u32,
    steady: Steady,
}

impl Found {
    /// The alternate stack, if it is steady.
    #[must_use]
    pub fn steady(&self) -> Option<Steady> {
        Some(self.steady).filter(|steady| steady.stack.size > 0)
    }

    /// Whether the slot has not changed since.
    #[must_use]
    pub fn holds_still(&self) -> bool {
        fence(Ordering::SeqCst);
        self.slot.version.load(Ordering::Relaxed) == self.version
    }
}

/// Looks for the calling thread, which is `tid`. Async-signal-safe.
#[must_use]
pub fn find(life: u32, tid: c_int) -> Option<Found> {
    look(life, |thread| thread.tid == tid)
}

/// Looks for the calling thread by the thread pointer alone. In a vfork child
/// this finds the thread that made it, and a new thread may have the pointer of
/// one whose end was not reported. So do not change anything on behalf of the
/// thread found. Async-signal-safe.
#[must_use]
pub fn find_here(life: u32) -> Option<Found> {
    look(life, |_| true)
}

fn look(life: u32, fits: impl FnOnce(&Thread) -> bool) -> Option<Found> {
    let slot = slot(arch::thread_pointer())?;
    let (version, thread, steady) = slot.read()?;
    let calling = thread == Thread::calling(life, thread.tid) && thread.tid != 0;
    (calling && fits(&thread)).then_some(Found { slot, version, steady })
}

/// Records the calling thread, `tid`, and its stack if that is steady. The
/// caller holds the lock.
pub fn put(life: u32, tid: c_int, steady: Option<Steady>) {
    let thread = Thread::calling(life, tid);
    if let Some(slot) = slot(thread.pointer) {
        slot.write(thread, steady.unwrap_or(Steady::NONE));
    }
}

/// Thread `tid`, which had this thread pointer, may no longer have a steady
/// stack. The caller holds the lock, and calls this before the change.
pub fn doubt(pointer: usize, tid: c_int) {
    change(pointer, tid, |thread| thread);
}

/// Thread `tid`, which had this thread pointer, has ended. The caller holds the
/// lock.
pub fn forget(pointer: usize, tid: c_int) {
    change(pointer, tid, |thread| Thread { tid: 0, ..thread });
}

/// Changes the thread in a slot, if that is `tid`, and removes its stack.
fn change(pointer: usize, tid: c_int, to: impl FnOnce(Thread) -> Thread) {
    if let Some(slot) = slot(pointer)
        && let Some((_, thread, _)) = slot.read()
        && thread.tid == tid
    {
        slot.write(to(thread), Steady::NONE);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An id that no thread has.
    const TID: c_int = c_int::MAX - 7;
    const STEADY: Steady = Steady {
        stack: Stack { base: 4096, size: 8192 },
        held: Pages { first: 1, end: 3 },
        rung: Rung::Frame,
    };

    #[test]
    fn a_thread_is_found_until_something_changes() {
        let here = arch::thread_pointer();
        put(1, TID, Some(STEADY));
        let found = find(1, TID).unwrap();
        assert_eq!(found.steady(), Some(STEADY));
        assert!(found.holds_still());
        assert!(find(2, TID).is_none() && find_here(2).is_none(), "in the next life");
        assert!(find(1, TID - 1).is_none(), "as of a vfork child");
        assert_eq!(find_here(1).unwrap().steady(), Some(STEADY));

        doubt(here, TID);
        assert!(!found.holds_still());
        assert_eq!(find(1, TID).unwrap().steady(), None);
        // Another thread in the same slot.
        forget(here, TID - 1);
        assert!(find(1, TID).is_some());
        forget(here, TID);
        assert!(find(1, TID).is_none() && find_here(1).is_none());
    }

    #[test]
    fn another_thread_with_the_same_id_is_not_it() {
        let tid = TID - 1;
        put(1, tid, None);
        assert!(find(1, tid).is_some());
        let elsewhere = || assert!(find(1, tid).is_none() && find_here(1).is_none());
        std::thread::scope(|scope| scope.spawn(elsewhere).join()).unwrap();
    }
}
