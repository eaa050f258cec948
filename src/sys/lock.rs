//! The one kind of lock: all signals are blocked while it is held, and its
//! holder works on the lock's own stack.

use core::cell::UnsafeCell;
use core::ffi::c_void;
use core::mem::MaybeUninit;
use core::sync::atomic::{AtomicU32, Ordering};

use super::futex;
use super::signals::Blocked;
use crate::arch;

const FREE: u32 = 0;
const HELD: u32 = 1;
const HELD_AND_AWAITED: u32 = 2;
/// Left held over a fork, which runs foreign code: see [`Lock::with_and_leave`].
const LEFT: u32 = 3;
/// The same, and awaited.
const LEFT_AND_AWAITED: u32 = 4;
/// Left held over a fork that somebody has given up waiting for.
const GIVEN_UP: u32 = 5;

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
///
/// What a holder does goes deeper than a hook may go on the program's stack,
/// where it would also grow with each change to it. As there is one holder at
/// a time, one stack serves all. Its top lies beside what it works on: each
/// page of them that a holder writes to after a fork must be copied.
#[repr(C)]
pub struct Lock<T> {
    stack: Stack,
    state: AtomicU32,
    value: UnsafeCell<T>,
}

// SAFETY: the value is reached by the holder only, of which there is one at a
// time.
unsafe impl<T: Send> Sync for Lock<T> {}

impl<T> Lock<T> {
    /// A free lock around `value`. In a static it takes no room in the file
    /// where `value` is all zeroes.
    pub const fn new(value: T) -> Self {
        Lock { stack: Stack::new(), state: AtomicU32::new(FREE), value: UnsafeCell::new(value) }
    }

    /// Waits for the lock, and does `work` as its holder; `None` if a fork does
    /// not come to its end. Async-signal-safe; not to be called by a holder,
    /// nor in a vfork child.
    pub fn with<R>(&self, _: &Blocked, work: impl FnOnce(&mut T) -> R) -> Option<R> {
        if !acquire(&self.state) {
            return None;
        }
        let result = self.run(work);
        release(&self.state);
        Some(result)
    }

    /// The same, but leaves the lock held, for the time of a fork; signals are
    /// to be left blocked, too.
    pub fn with_and_leave<R>(&self, _: &Blocked, work: impl FnOnce(&mut T) -> R) -> Option<R> {
        if !acquire(&self.state) {
            return None;
        }
        let result = self.run(work);
        leave(&self.state);
        Some(result)
    }

    /// Takes up the lock that [`Lock::with_and_leave`] left, for `work`. In a
    /// forked child too, as its one thread's own.
    ///
    /// # Safety
    /// The calling thread, or in a child its original, left it held.
    pub unsafe fn take_over<R>(&self, _: &Blocked, work: impl FnOnce(&mut T) -> R) -> R {
        take_up(&self.state);
        let result = self.run(work);
        release(&self.state);
        result
    }

    /// For the holder.
    fn run<R>(&self, work: impl FnOnce(&mut T) -> R) -> R {
        // SAFETY: holding the lock is the exclusive right to the value, and to
        // the stack.
        self.stack.run(|| work(unsafe { &mut *self.value.get() }))
    }
}

/// A stack for the holders of one lock.
#[repr(C, align(64))]
struct Stack(UnsafeCell<MaybeUninit<[u8; STACK]>>);

/// Bytes of it: many times what they need. Unoptimized, as in tests, that is
/// more. With what the lock protects it shall fill whole pages.
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
            // SAFETY: the one below, which waits for us.
            let job = unsafe { &mut *job.cast::<Job<R, F>>() };
            job.result = job.work.take().map(|work| work());
        }
        let mut job = Job { work: Some(work), result: None };
        // SAFETY: one after the end of the array.
        let top = unsafe { self.0.get().add(1) };
        // SAFETY: aligned, unused by others, and of ample size.
        unsafe { arch::call_on(top.cast(), (&raw mut job).cast(), start::<R, F>) };
        match job.result {
            Some(result) => result,
            // SAFETY: `start` has run to its end.
            None => unsafe { core::hint::unreachable_unchecked() },
        }
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

/// From held to left. Who sleeps already must wake up to wait no longer than
/// for a fork.
fn leave(word: &impl Word) {
    if word.replace(LEFT, Ordering::Relaxed) != HELD {
        word.wake_all();
    }
}

/// From left to held: the fork is over, and who comes now waits as ever.
fn take_up(word: &impl Word) {
    if word.turn(LEFT, HELD).is_err() {
        // Who slept for the fork may still do.
        word.replace(HELD_AND_AWAITED, Ordering::Relaxed);
    }
}

#[cfg(test)]
#[path = "lock_tests.rs"]
mod tests;
