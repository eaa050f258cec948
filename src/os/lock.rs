//! The only kind of lock: its holder has all signals blocked and runs on the
//! lock's own stack.

use core::cell::UnsafeCell;
use core::ffi::{c_long, c_void};
use core::mem::MaybeUninit;
use core::sync::atomic::{AtomicU32, Ordering};

use super::futex;
use super::signals::Blocked;
use crate::arch;

const FREE: u32 = 0;
const HELD: u32 = 1;
const HELD_AND_AWAITED: u32 = 2;
/// Left held during a fork, which runs foreign code: see
/// [`Lock::with_and_leave`].
const LEFT: u32 = 3;
/// Left held during a fork, with waiters.
const LEFT_AND_AWAITED: u32 = 4;
/// Left held during a fork that somebody has given up waiting for.
const GIVEN_UP: u32 = 5;

/// How long a thread waits for a fork: this many times [`NAP`].
const NAPS: u32 = 200;
/// One wait, in nanoseconds.
const NAP: c_long = 5_000_000;

/// A value under a lock that sleeps in futex(2) when contended (a spinlock
/// could hang a real-time program).
///
/// No handler can find it held by its own thread, as signals are [`Blocked`]
/// first, and a holder never runs foreign code. The exception is a fork. The
/// lock is left held during the fork, so that the child does not find it held
/// by a thread that the child lacks; meanwhile the program's own fork handlers
/// run. One of those may wait for a lock of the program whose holder waits for
/// this lock. So nobody waits for a fork forever: a waiter gives up after a
/// second, and later callers do not wait for that fork at all.
///
/// A holder needs more stack than a hook may take from the program, and every
/// change to this code would take more. As there is one holder at a time, one
/// stack serves all. The top of the stack lies next to the data that a holder
/// works on: after a fork, each page of either that a holder writes to must be
/// copied.
#[repr(C)]
pub struct Lock<T> {
    stack: Stack,
    state: AtomicU32,
    value: UnsafeCell<T>,
}

// SAFETY: only the holder reaches the value, and there is one holder at a time.
unsafe impl<T: Send> Sync for Lock<T> {}

impl<T> Lock<T> {
    /// A free lock around `value`. A static one takes no room in the file if
    /// `value` is all zeroes.
    pub const fn new(value: T) -> Self {
        Lock { stack: Stack::new(), state: AtomicU32::new(FREE), value: UnsafeCell::new(value) }
    }

    /// Waits for the lock and runs `work` as its holder; `None` if a fork does
    /// not end. Async-signal-safe. A holder must not call it, nor a vfork
    /// child.
    pub fn with<R>(&self, _: &Blocked, work: impl FnOnce(&mut T) -> R) -> Option<R> {
        if !acquire(&self.state) {
            return None;
        }
        let result = self.run(work);
        release(&self.state);
        Some(result)
    }

    /// Like [`Lock::with`], but leaves the lock held for the time of a fork;
    /// the caller leaves signals blocked too.
    pub fn with_and_leave<R>(&self, _: &Blocked, work: impl FnOnce(&mut T) -> R) -> Option<R> {
        if !acquire(&self.state) {
            return None;
        }
        let result = self.run(work);
        leave(&self.state);
        Some(result)
    }

    /// Takes over the lock that [`Lock::with_and_leave`] left held, and runs
    /// `work`. In a forked child too, where it belongs to the only thread.
    ///
    /// # Safety
    /// The calling thread left it held, or, in a child, the thread that it is a
    /// copy of.
    pub unsafe fn take_over<R>(&self, _: &Blocked, work: impl FnOnce(&mut T) -> R) -> R {
        take_up(&self.state);
        let result = self.run(work);
        release(&self.state);
        result
    }

    /// Runs `work`; only for the holder.
    fn run<R>(&self, work: impl FnOnce(&mut T) -> R) -> R {
        // SAFETY: the holder has the exclusive right to the value and to the
        // stack.
        self.stack.run(|| work(unsafe { &mut *self.value.get() }))
    }
}

/// A stack for the holders of one lock.
#[repr(C, align(64))]
struct Stack(UnsafeCell<MaybeUninit<[u8; STACK]>>);

/// Its size in bytes: many times what holders need. Unoptimized code, as in
/// tests, needs more. Together with what the lock protects it should fill whole
/// pages.
pub const STACK: usize = if cfg!(debug_assertions) { 254 << 10 } else { 14 << 10 };

// SAFETY: used by one holder at a time.
unsafe impl Sync for Stack {}

impl Stack {
    const fn new() -> Self {
        Stack(UnsafeCell::new(MaybeUninit::zeroed()))
    }

    #[inline(never)] // for depth
    fn run<R, F: FnOnce() -> R>(&self, work: F) -> R {
        struct Job<R, F> {
            work: Option<F>,
            result: Option<R>,
        }
        extern "C" fn start<R, F: FnOnce() -> R>(job: *mut c_void) {
            // SAFETY: the job below, whose owner waits for us.
            let job = unsafe { &mut *job.cast::<Job<R, F>>() };
            job.result = job.work.take().map(|work| work());
        }
        let mut job = Job { work: Some(work), result: None };
        // SAFETY: one past the end of the array.
        let top = unsafe { self.0.get().add(1) };
        // SAFETY: aligned, used by nobody else, and large enough.
        unsafe { arch::call_on(top.cast(), (&raw mut job).cast(), start::<R, F>) };
        match job.result {
            Some(result) => result,
            // SAFETY: `start` has returned.
            None => unsafe { core::hint::unreachable_unchecked() },
        }
    }
}

/// A word that threads can sleep on; the tests substitute a model.
trait Word {
    /// Changes the state `from` to `to`. If the word is in another state, fails
    /// with that state.
    fn turn(&self, from: u32, to: u32) -> Result<u32, u32>;
    /// The current state.
    fn look(&self) -> u32;
    /// Stores `state` and returns the previous one.
    fn replace(&self, state: u32, order: Ordering) -> u32;
    /// Sleeps while the word is `state`, for at most `nanoseconds` if given.
    /// May wake spuriously.
    fn wait(&self, state: u32, nanoseconds: Option<c_long>);
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

    fn wait(&self, state: u32, nanoseconds: Option<c_long>) {
        futex::wait(self, state, nanoseconds);
    }

    fn wake_one(&self) {
        futex::wake(self, 1);
    }

    fn wake_all(&self) {
        futex::wake(self, i32::MAX as u32);
    }
}

/// Takes the lock; false if a fork does not end.
fn acquire(word: &impl Word) -> bool {
    let Err(mut state) = word.turn(FREE, HELD) else { return true };
    let mut naps = 0;
    loop {
        match state {
            // A thread that slept cannot know whether others still sleep, and
            // so assumes it.
            FREE => match word.turn(FREE, HELD_AND_AWAITED) {
                Ok(_) => return true,
                Err(now) => state = now,
            },
            HELD => match word.turn(HELD, HELD_AND_AWAITED) {
                Ok(_) => state = HELD_AND_AWAITED,
                Err(now) => state = now,
            },
            GIVEN_UP => return false,
            LEFT => match word.turn(LEFT, LEFT_AND_AWAITED) {
                Ok(_) => state = LEFT_AND_AWAITED,
                Err(now) => state = now,
            },
            LEFT_AND_AWAITED if naps == NAPS => match word.turn(LEFT_AND_AWAITED, GIVEN_UP) {
                Ok(_) => return false,
                Err(now) => state = now,
            },
            LEFT_AND_AWAITED => {
                word.wait(LEFT_AND_AWAITED, Some(NAP));
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

/// Turns held into left. Wakes all threads that already sleep, so that they too
/// wait with the limit for a fork.
fn leave(word: &impl Word) {
    if word.replace(LEFT, Ordering::Relaxed) != HELD {
        word.wake_all();
    }
}

/// Turns left into held: the fork is over, and new waiters wait without a
/// limit.
fn take_up(word: &impl Word) {
    if word.turn(LEFT, HELD).is_err() {
        // Threads that slept for the fork may still sleep.
        word.replace(HELD_AND_AWAITED, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests;
