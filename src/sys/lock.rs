//! The one kind of lock: all signals blocked while it is held.

use core::cell::UnsafeCell;
use core::ops::{Deref, DerefMut};
use core::sync::atomic::{AtomicU32, Ordering};

use super::futex;
use super::signals::{Blocked, Mask};

const FREE: u32 = 0;
const HELD: u32 = 1;
const HELD_AND_AWAITED: u32 = 2;
/// Left held over a fork, which runs foreign code: see [`Held::leave_held`].
const LEFT: u32 = 3;

/// How long a fork is waited for: this many times [`NAP`].
const NAPS: u32 = 20;
/// One wait, in nanoseconds.
const NAP: i64 = 5_000_000;

/// A value under a lock that sleeps in futex(2) when it is contended (a
/// spinning one would hang a real-time program).
///
/// No handler can meet it held by its own thread, as signals are blocked
/// first; a holder never runs foreign code. The exception is a fork: the lock
/// is left held over it, so that a child does not find it held by a thread that
/// it lacks, and the program's own fork handlers run meanwhile. One of those
/// may wait for a lock of the program's whose holder waits for this one; so
/// nobody waits for a fork for ever, but gives up after a tenth of a second.
pub struct Lock<T> {
    state: AtomicU32,
    value: UnsafeCell<T>,
}

// SAFETY: the value is reached through a `Held` only, of which there is one
// at a time.
unsafe impl<T: Send> Sync for Lock<T> {}

impl<T> Lock<T> {
    /// A free lock around `value`.
    pub const fn new(value: T) -> Self {
        Lock { state: AtomicU32::new(FREE), value: UnsafeCell::new(value) }
    }

    /// Blocks all signals, then waits for the lock; `None` if a fork does not
    /// come to its end. Async-signal-safe; not to be called by a holder, nor
    /// in a vfork child.
    pub fn hold(&self) -> Option<Held<'_, T>> {
        let blocked = Blocked::all();
        self.acquire().then_some(Held { lock: self, blocked })
    }

    /// Takes up the lock that [`Held::leave_held`] left, with the mask that it
    /// returned. In a forked child too, as its one thread's own.
    ///
    /// # Safety
    /// The calling thread, or in a child its original, left it held.
    pub unsafe fn take_over(&self, mask: Mask) -> Held<'_, T> {
        Held { lock: self, blocked: Blocked::left(mask) }
    }

    fn acquire(&self) -> bool {
        let turn =
            |from, to| self.state.compare_exchange(from, to, Ordering::Acquire, Ordering::Relaxed);
        let Err(mut state) = turn(FREE, HELD) else { return true };
        let mut naps = 0;
        loop {
            match state {
                // Others may be waiting, too: whoever releases must wake one.
                FREE => match turn(FREE, HELD_AND_AWAITED) {
                    Ok(_) => return true,
                    Err(now) => state = now,
                },
                HELD => match turn(HELD, HELD_AND_AWAITED) {
                    Ok(_) => state = HELD_AND_AWAITED,
                    Err(now) => state = now,
                },
                LEFT if naps == NAPS => return false,
                LEFT => {
                    futex::wait(&self.state, LEFT, Some(NAP));
                    naps += 1;
                    state = self.state.load(Ordering::Relaxed);
                }
                _ => {
                    futex::wait(&self.state, HELD_AND_AWAITED, None);
                    state = self.state.load(Ordering::Relaxed);
                }
            }
        }
    }

    fn release(&self) {
        if self.state.swap(FREE, Ordering::Release) != HELD {
            futex::wake_one(&self.state);
        }
    }
}

/// The lock, held; signals are unblocked after it is released.
pub struct Held<'a, T> {
    lock: &'a Lock<T>,
    // Dropped after the lock was released in `drop`.
    blocked: Blocked,
}

impl<T> Held<'_, T> {
    /// Leaves the lock held and signals blocked, for the time of a fork.
    /// Returns what [`Lock::take_over`] asks for.
    #[must_use]
    pub fn leave_held(self) -> Mask {
        let mask = self.blocked.before();
        // Who waits already is woken by the release, as after any other.
        self.lock.state.store(LEFT, Ordering::Relaxed);
        core::mem::forget(self);
        mask
    }
}

impl<T> Deref for Held<'_, T> {
    type Target = T;
    fn deref(&self) -> &T {
        // SAFETY: holding the lock is the right to the value.
        unsafe { &*self.lock.value.get() }
    }
}

impl<T> DerefMut for Held<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: holding the lock is the exclusive right to the value.
        unsafe { &mut *self.lock.value.get() }
    }
}

impl<T> Drop for Held<'_, T> {
    fn drop(&mut self) {
        self.lock.release();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_threads_count_without_losing_one() {
        static COUNT: Lock<u64> = Lock::new(0);
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| (0..20_000).for_each(|_| *COUNT.hold().unwrap() += 1));
            }
        });
        assert_eq!(*COUNT.hold().unwrap(), 160_000);
    }

    #[test]
    fn a_fork_that_does_not_end_is_not_waited_for_for_ever() {
        static LOCK: Lock<()> = Lock::new(());
        let mask = LOCK.hold().unwrap().leave_held();
        std::thread::scope(|scope| {
            let gave_up = scope.spawn(|| LOCK.hold().is_none());
            assert!(gave_up.join().unwrap());
            // SAFETY: left held by this thread, above.
            drop(unsafe { LOCK.take_over(mask) });
            assert!(scope.spawn(|| LOCK.hold().is_some()).join().unwrap());
        });
    }
}
