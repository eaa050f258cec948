//! Forks. Memory locks are not inherited, and a fork write-protects the
//! parent's pages, so without care the next frame faults on both sides.
//!
//! [`prepare`], [`parent`] and [`child`] run as atfork handlers, ours last
//! before the fork and first after it, or around a fork that runs no handlers.
//! Between `prepare` and `parent` or `child` the registry's lock is held and
//! all signals are blocked on the forking thread. If other atfork handlers call
//! our hooks meanwhile, those stand down. Forks wait for each other: otherwise
//! the child of a second fork would find the stacks wiped that the first one
//! spares.
//!
//! - The forking thread's own stacks are always copied, and so is the one it is
//!   running on, whoever set that. No signal reaches it until they are resident
//!   again.
//! - Stacks of other threads that are *proven* (see [`super::origin`]) are not
//!   copied at all, so they are never write-protected, unless
//!   `SIGWARD_FORK=copy` requests that.
//! - All others are copied and made resident again at once. A signal to their
//!   thread in between faults. These windows are counted.

use core::sync::atomic::{AtomicBool, AtomicI32, AtomicU64, AtomicUsize, Ordering};

use super::pins::Kernel;
use super::{DUTY, Duty, HOME, OWNER, STATE, Stack, State, described, ours};
use crate::arch;
use crate::stats;
use crate::sys::call;
use crate::sys::page::Pages;
use crate::sys::signals::Blocked;

/// The progress of forks.
pub(super) struct Progress {
    /// The thread that is between `prepare` and `parent` or `child`, by its
    /// thread pointer (which it keeps in the child); 0 for none.
    forking: AtomicUsize,
    /// That thread's id before the fork.
    thread: AtomicI32,
    /// The signal mask to restore.
    mask: AtomicU64,
    /// How many forks have ended; counted before the stacks are locked again.
    ended: AtomicUsize,
    /// Whether stacks were unlocked during a fork.
    unlocked: AtomicBool,
    /// Since the last fork began, a call gave up waiting for a fork, and the
    /// registry did not learn what the call did.
    missed: AtomicBool,
}

impl Progress {
    pub(super) const fn new() -> Self {
        Progress {
            forking: AtomicUsize::new(0),
            thread: AtomicI32::new(0),
            mask: AtomicU64::new(0),
            ended: AtomicUsize::new(0),
            unlocked: AtomicBool::new(false),
            missed: AtomicBool::new(false),
        }
    }
}

const FORKS: &Progress = &HOME.forks;

/// Whether the calling thread is in the middle of a fork.
pub fn under_way_here() -> bool {
    let forking = FORKS.forking.load(Ordering::Relaxed);
    forking != 0 && forking == arch::thread_pointer()
}

/// Whether any thread of this process is in the middle of a fork. If this
/// returns false, a later call of [`ended`] has the last fork counted.
pub fn under_way() -> bool {
    FORKS.forking.load(Ordering::Acquire) != 0 && OWNER.is_us()
}

/// How many forks have ended in this process. A caller that reads a new number
/// finds the registry's lock taken over by the forking thread, or free.
pub fn ended() -> usize {
    FORKS.ended.load(Ordering::Acquire)
}

/// See [`ends_are_told`].
static ENDS_ARE_TOLD: AtomicBool = AtomicBool::new(false);

/// Promises that [`super::thread_exit`] is called for every thread that ends
/// through libc. From then on each fork checks the existence of only a few
/// threads, in turn.
pub fn ends_are_told() {
    ENDS_ARE_TOLD.store(true, Ordering::Relaxed);
}

/// Whether [`ends_are_told`] was called.
pub(super) fn are_ends_told() -> bool {
    ENDS_ARE_TOLD.load(Ordering::Relaxed)
}

/// Unlocks ranges (start and length in bytes) while the registry cannot be
/// asked about them, for a call that would fail otherwise. After the fork they
/// are locked again where they hold stacks. This also removes the program's own
/// locks.
pub fn unlock_meanwhile(ranges: &[(usize, usize)]) {
    FORKS.unlocked.store(true, Ordering::Relaxed);
    for &(start, length) in ranges {
        let _ = call::munlock(start, length);
    }
}

/// Before a fork.
pub extern "C" fn prepare() {
    if OWNER.is_copied() {
        // A fork that did not go through libc: see [`child`].
        FORKS.forking.store(0, Ordering::Relaxed);
    }
    // Do this for any duty: the child must not find the lock held by another
    // thread.
    if DUTY.load(Ordering::Relaxed) == Duty::Inert as u8 || !ours() {
        return;
    }
    let blocked = Blocked::over_fork();
    let (tid, pid, here) = (call::gettid(), OWNER.pid(), arch::stack_pointer());
    let done = STATE.with_and_leave(&blocked, |state| {
        if state.policy.fork_copies {
            state.registry.keep(tid);
            return;
        }
        if FORKS.missed.swap(false, Ordering::SeqCst) {
            // Any stack on record may hold the program's data by now.
            state.registry.disprove(Pages::ALL);
        }
        let exists = |other| call::thread_exists(pid, other);
        let told = are_ends_told();
        // Check all records, or a few each time.
        state.registry.sweep(|other| other == tid || exists(other), &mut Kernel);
        state.registry.before_fork(tid, here, |other| told || exists(other), &mut Kernel);
    });
    if done.is_none() {
        // We gave up waiting for another fork. Everything is copied here, and
        // the child stands down.
        not_waited_for();
        return;
    }
    FORKS.thread.store(tid, Ordering::Relaxed);
    FORKS.mask.store(blocked.leave(), Ordering::Relaxed);
    FORKS.forking.store(arch::thread_pointer(), Ordering::Relaxed);
}

/// A call of this thread gave up waiting for a fork, so the registry does not
/// learn what the call does: it may replace a stack whose memory the program
/// then uses for data. Async-signal-safe.
pub(super) fn given_up() {
    FORKS.missed.store(true, Ordering::SeqCst);
    not_waited_for();
}

/// Clears the flag of this thread's alternate stack. The fork that we did not
/// wait for may have set it, but the stack may hold data soon, or a child of
/// this thread may run on it.
fn not_waited_for() {
    stats::WINDOWS.add(1);
    if let Ok(now) = call::current_altstack() {
        have_copied(described(&now));
    }
}

/// Clears the flag that excludes a stack from being copied by the current fork.
/// Async-signal-safe.
pub(super) fn have_copied(stack: Stack) {
    let pages = Pages::within(stack.base, stack.base.saturating_add(stack.size));
    if !pages.is_empty() {
        let _ = call::wipe_on_fork(pages.address(), pages.bytes(), false);
    }
}

/// After a fork, successful or not, in the parent.
pub extern "C" fn parent() {
    if !under_way_here() {
        copied_beside_another();
        return;
    }
    let blocked = Blocked::left(FORKS.mask.load(Ordering::Relaxed));
    let work = |state: &mut State| {
        FORKS.ended.fetch_add(1, Ordering::Release);
        FORKS.forking.store(0, Ordering::Release);
        if !super::on_duty() {
            // We stood down meanwhile, perhaps because of a filter: do only
            // what is necessary.
            state.registry.spare_no_more(&mut Kernel);
            return;
        }
        let windows = state.registry.after_fork(FORKS.thread.load(Ordering::Relaxed), &mut Kernel);
        if windows > 0 {
            // Adding 0 would copy a page for nothing.
            stats::WINDOWS.add(windows);
        }
        if FORKS.unlocked.swap(false, Ordering::Relaxed) {
            state.registry.refresh(Pages::ALL, &mut Kernel);
        }
    };
    // SAFETY: `prepare` left it held for this thread.
    unsafe { STATE.take_over(&blocked, work) };
}

/// A fork that did not wait for another one has copied what the other spares.
/// Those stacks are made resident when the other fork ends.
fn copied_beside_another() {
    if super::on_duty() && OWNER.is_us() {
        FORKS.unlocked.store(true, Ordering::SeqCst);
        if !under_way() && FORKS.unlocked.swap(false, Ordering::SeqCst) {
            super::disturb::appeared(0, usize::MAX);
        }
    }
}

/// After a fork, in the child.
pub extern "C" fn child() {
    if !under_way_here() {
        // `forking` may name another thread. That thread does not exist in this
        // copy, but its stack does, and a new thread may get that stack and
        // with it the thread pointer.
        FORKS.forking.store(0, Ordering::Relaxed);
        return;
    }
    let blocked = Blocked::left(FORKS.mask.load(Ordering::Relaxed));
    let work = |state: &mut State| {
        FORKS.forking.store(0, Ordering::Relaxed);
        OWNER.claim();
        let before = FORKS.thread.load(Ordering::Relaxed);
        let now = call::gettid();
        state.registry.in_child(now, &mut Kernel);
        state.substitutes.in_child(before, now);
        stats::PINNED.set(state.registry.pinned_pages());
    };
    // SAFETY: `prepare` left it held for this thread; we are its copy.
    unsafe { STATE.take_over(&blocked, work) };
}
