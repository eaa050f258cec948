//! The one kind of lock: all signals blocked while it is held.

use core::cell::UnsafeCell;
use core::ops::{Deref, DerefMut};
use core::sync::atomic::{AtomicU32, Ordering};

use super::futex;
use super::signals::Blocked;

const FREE: u32 = 0;
const HELD: u32 = 1;
const HELD_AND_AWAITED: u32 = 2;
/// Left held over a fork, which runs foreign code: see [`Held::leave`].
const LEFT: u32 = 3;
/// Left held over a fork that somebody has given up waiting for.
const GIVEN_UP: u32 = 4;

/// How long a fork is waited for: this many times [`NAP`].
const NAPS: u32 = 200;
/// One wait, in nanoseconds.
const NAP: i64 = 5_000_000;

/// A value under a lock that sleeps in futex(2) when it is contended (a
/// spinning one would hang a real-time program).
///
/// No handler can meet it held by its own thread, as signals are [`Blocked`]
/// first; a holder never runs foreign code. The exception is a fork: the lock
/// is left held over it, so that a child does not find it held by a thread that
/// it lacks, and the program's own fork handlers run meanwhile. One of those
/// may wait for a lock of the program's whose holder waits for this one; so
/// nobody waits for a fork for ever, but gives up after a second, and who
/// comes later does not wait for that fork at all.
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

    /// Waits for the lock; `None` if a fork does not come to its end.
    /// Async-signal-safe; not to be called by a holder, nor in a vfork child.
    pub fn hold<'a>(&'a self, _: &'a Blocked) -> Option<Held<'a, T>> {
        // Lazily: one that is dropped would release what it does not hold.
        acquire(&self.state).then(|| Held { lock: self })
    }

    /// Takes up the lock that [`Held::leave`] left. In a forked child too, as
    /// its one thread's own.
    ///
    /// # Safety
    /// The calling thread, or in a child its original, left it held.
    pub unsafe fn take_over<'a>(&'a self, _: &'a Blocked) -> Held<'a, T> {
        take_up(&self.state);
        Held { lock: self }
    }
}

/// A word that threads can sleep on; the tests put a model here.
trait Word {
    /// Goes from one state to another, or says in which it is instead.
    fn turn(&self, from: u32, to: u32) -> Result<u32, u32>;
    /// The state of now.
    fn look(&self) -> u32;
    /// Puts `state` there and returns what was.
    fn replace(&self, state: u32, order: Ordering) -> u32;
    /// Sleeps while the word is `state`, for `nanoseconds` at most if given.
    /// May wake for no reason.
    fn wait(&self, state: u32, nanoseconds: Option<i64>);
    /// Wakes one sleeper.
    fn wake_one(&self);
    /// Wakes all sleepers.
    fn wake_all(&self);
}

impl Word for AtomicU32 {
    fn turn(&self, from: u32, to: u32) -> Result<u32, u32> {
        self.compare_exchange(from, to, Ordering::Acquire, Ordering::Relaxed)
    }

    fn look(&self) -> u32 {
        self.load(Ordering::Relaxed)
    }

    fn replace(&self, state: u32, order: Ordering) -> u32 {
        self.swap(state, order)
    }

    fn wait(&self, state: u32, nanoseconds: Option<i64>) {
        futex::wait(self, state, nanoseconds);
    }

    fn wake_one(&self) {
        futex::wake(self, 1);
    }

    fn wake_all(&self) {
        futex::wake(self, i32::MAX as u32);
    }
}

/// False if a fork did not come to its end.
fn acquire(word: &impl Word) -> bool {
    let Err(mut state) = word.turn(FREE, HELD) else { return true };
    let mut naps = 0;
    loop {
        match state {
            // Who slept cannot know whether others still do: it awaits for them.
            FREE => match word.turn(FREE, HELD_AND_AWAITED) {
                Ok(_) => return true,
                Err(now) => state = now,
            },
            HELD => match word.turn(HELD, HELD_AND_AWAITED) {
                Ok(_) => state = HELD_AND_AWAITED,
                Err(now) => state = now,
            },
            GIVEN_UP => return false,
            LEFT if naps == NAPS => match word.turn(LEFT, GIVEN_UP) {
                Ok(_) => return false,
                Err(now) => state = now,
            },
            LEFT => {
                word.wait(LEFT, Some(NAP));
                naps += 1;
                state = word.look();
            }
            _ => {
                word.wait(HELD_AND_AWAITED, None);
                state = word.look();
            }
        }
    }
}

fn release(word: &impl Word) {
    if word.replace(FREE, Ordering::Release) != HELD {
        word.wake_one();
    }
}

/// From held to left. Who sleeps already must wake up to wait no longer than
/// for a fork.
fn leave(word: &impl Word) {
    if word.replace(LEFT, Ordering::Relaxed) != HELD {
        word.wake_all();
    }
}

/// From left to held: the fork is over, and who comes now waits as ever. Who
/// slept for the fork looks again by itself.
fn take_up(word: &impl Word) {
    word.replace(HELD_AND_AWAITED, Ordering::Relaxed);
}

/// The lock, held.
pub struct Held<'a, T> {
    lock: &'a Lock<T>,
}

impl<T> Held<'_, T> {
    /// Leaves the lock held, for the time of a fork; signals are to be left
    /// blocked, too.
    pub fn leave(self) {
        leave(&self.lock.state);
        core::mem::forget(self);
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
        release(&self.lock.state);
    }
}

#[cfg(test)]
#[path = "lock_tests.rs"]
mod tests;
