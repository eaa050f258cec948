//! The one kind of lock: all signals blocked while it is held.

use core::cell::UnsafeCell;
use core::ops::{Deref, DerefMut};
use core::sync::atomic::{AtomicU32, Ordering};

use super::futex;
use super::signals::{Blocked, Mask};

const FREE: u32 = 0;
const HELD: u32 = 1;
const HELD_AND_AWAITED: u32 = 2;

/// A value under a lock that sleeps in futex(2) when it is contended (a
/// spinning one would hang a real-time program).
///
/// No handler can meet it held by its own thread, as signals are blocked
/// first; a holder never runs foreign code. A forked child never finds it held
/// by a thread that it does not have: see [`Held::leave_held`].
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

    /// Blocks all signals, then waits for the lock. Async-signal-safe; not to
    /// be called by a holder, nor in a vfork child.
    pub fn hold(&self) -> Held<'_, T> {
        let blocked = Blocked::all();
        self.acquire();
        Held { lock: self, blocked }
    }

    /// Takes up the lock that [`Held::leave_held`] left, with the mask that it
    /// returned. In a forked child too, as its one thread's own.
    ///
    /// # Safety
    /// The calling thread, or in a child its original, left it held.
    pub unsafe fn take_over(&self, mask: Mask) -> Held<'_, T> {
        Held { lock: self, blocked: Blocked::left(mask) }
    }

    fn acquire(&self) {
        let free = self.state.compare_exchange(FREE, HELD, Ordering::Acquire, Ordering::Relaxed);
        if free.is_err() {
            while self.state.swap(HELD_AND_AWAITED, Ordering::Acquire) != FREE {
                futex::wait(&self.state, HELD_AND_AWAITED);
            }
        }
    }

    fn release(&self) {
        if self.state.swap(FREE, Ordering::Release) == HELD_AND_AWAITED {
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
                scope.spawn(|| (0..20_000).for_each(|_| *COUNT.hold() += 1));
            }
        });
        assert_eq!(*COUNT.hold(), 160_000);
    }
}
