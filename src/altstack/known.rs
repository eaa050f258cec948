//! Threads that are surely this process's, and what they have in force: read
//! without the lock, so that a call that changes nothing costs next to nothing.
//!
//! A thread is found by its thread pointer, and known by its id, too, wherever
//! something is changed on its account: a vfork child has the pointer of the
//! thread that made it, but an id of its own. One that has both of a thread
//! whose end nobody told would be taken for that thread: it can then change
//! that dead thread's records alone.
//!
//! Written by holders of the registry's lock only. What is not found here may
//! be known to the registry all the same.

use core::ffi::c_int;
use core::sync::atomic::{AtomicBool, AtomicI32, AtomicU32, AtomicUsize, Ordering, fence};

use super::ladder::{Rung, Stack};
use crate::arch;
use crate::sys::page::Pages;

/// A stack that is on record as in force, and held as well as can be, so that
/// nothing would change if it were set again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Steady {
    /// Where it is.
    pub stack: Stack,
    /// What is held of it: its uppermost pages locked.
    pub held: Pages,
    /// By one of the rungs that lock.
    pub rung: Rung,
}

impl Steady {
    const NONE: Steady =
        Steady { stack: Stack { base: 0, size: 0 }, held: Pages::NONE, rung: Rung::Lock };
}

/// A thread, in the words of the kernel and of libc.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Thread {
    /// Which claim of the owner it belongs to: none of it outlives a fork.
    life: u32,
    tid: c_int,
    pointer: usize,
}

impl Thread {
    fn calling(life: u32, tid: c_int) -> Self {
        Thread { life, tid, pointer: arch::thread_pointer() }
    }
}

/// One thread. A reader that finds another version after than before, or an odd
/// one, has read a mixture.
struct Slot {
    version: AtomicU32,
    life: AtomicU32,
    tid: AtomicI32,
    pointer: AtomicUsize,
    /// The stack, or 0 bytes.
    base: AtomicUsize,
    size: AtomicUsize,
    /// The pages of it that are held.
    first: AtomicUsize,
    end: AtomicUsize,
    /// Whether that is by [`Rung::Lock`], or by [`Rung::Frame`].
    whole: AtomicBool,
}

/// Threads whose pointers come to the same of these take turns.
const SLOTS: usize = 256;

static KNOWN: [Slot; SLOTS] = [const {
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
    KNOWN.get(spread as usize % SLOTS)
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

    /// The version, the thread and its stack; `None` while they are written.
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

/// What was found of a thread.
pub struct Found {
    slot: &'static Slot,
    version: u32,
    steady: Steady,
}

impl Found {
    /// The alternate stack, if there is one that is steady.
    #[must_use]
    pub fn steady(&self) -> Option<Steady> {
        Some(self.steady).filter(|steady| steady.stack.size > 0)
    }

    /// Whether it was so all the time until now.
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

/// Looks for the calling thread, or the one that a vfork child stands for, by
/// the thread pointer alone. Nothing is to be changed on its account. Of a
/// thread whose end nobody told another may have the pointer.
/// Async-signal-safe.
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

/// The calling thread is `tid`, and on record, with what stack. For the lock's
/// holder.
pub fn put(life: u32, tid: c_int, steady: Option<Steady>) {
    let thread = Thread::calling(life, tid);
    if let Some(slot) = slot(thread.pointer) {
        slot.write(thread, steady.unwrap_or(Steady::NONE));
    }
}

/// Thread `tid`, which had this thread pointer, has, as may be, no steady stack
/// any more. For the lock's holder, before it is so.
pub fn doubt(pointer: usize, tid: c_int) {
    change(pointer, tid, |thread| thread);
}

/// That thread has ended. For the lock's holder.
pub fn forget(pointer: usize, tid: c_int) {
    change(pointer, tid, |thread| Thread { tid: 0, ..thread });
}

/// Changes the thread in a slot, if that is `tid`, and takes its stack away.
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

    /// Ids that no thread has.
    const TID: c_int = c_int::MAX - 7;
    const STEADY: Steady = Steady {
        stack: Stack { base: 4096, size: 8192 },
        held: Pages { first: 1, end: 3 },
        rung: Rung::Frame,
    };

    #[test]
    fn a_thread_is_known_until_something_changes() {
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
        // Another thread at the same place.
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
