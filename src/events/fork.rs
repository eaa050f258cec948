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
//! - Stacks of other threads that are *proven* (see [`crate::residency::origin`]) are not
//!   copied at all, so they are never write-protected, unless
//!   `SIGWARD_FORK=copy` requests that.
//! - All others are copied and made resident again at once. A signal to their
//!   thread in between faults. These windows are counted.

use core::sync::atomic::Ordering;

use super::memory_calls;
use crate::arch;
use crate::os::call;
use crate::os::page::Pages;
use crate::os::signals::Blocked;
use crate::residency::charge::{
    DUTY, Duty, FORKS, OWNER, STATE, State, fork_is_under_way, on_duty, ours, thread_ends_are_seen,
};
use crate::residency::fork_progress::not_waited_for;
use crate::residency::page_locks::ThisProcess;
use crate::residency::substitutes;
use crate::small_stacks::every_thread;
use crate::state::stats;

/// Whether the calling thread is in the middle of a fork. Async-signal-safe.
#[must_use]
pub fn under_way_here() -> bool {
    FORKS.under_way_here()
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
        let seen = thread_ends_are_seen();
        // Check all records, or a few each time.
        state.registry.sweep(|other| other == tid || exists(other), &mut ThisProcess);
        state.registry.before_fork(tid, here, |other| seen || exists(other), &mut ThisProcess);
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

/// After a fork, successful or not, in the parent.
pub extern "C" fn parent() {
    if !FORKS.under_way_here() {
        copied_beside_another();
        return;
    }
    let blocked = Blocked::left(FORKS.mask.load(Ordering::Relaxed));
    let work = |state: &mut State| {
        FORKS.ended.fetch_add(1, Ordering::Release);
        FORKS.forking.store(0, Ordering::Release);
        if !on_duty() {
            // We stood down meanwhile, perhaps because of a filter: do only
            // what is necessary.
            state.registry.spare_no_more(&mut ThisProcess);
            return;
        }
        let windows =
            state.registry.after_fork(FORKS.thread.load(Ordering::Relaxed), &mut ThisProcess);
        if windows > 0 {
            // Adding 0 would copy a page for nothing.
            stats::WINDOWS.add(windows);
        }
        if FORKS.unlocked.swap(false, Ordering::Relaxed) {
            state.registry.refresh(Pages::ALL, &mut ThisProcess);
        }
    };
    // SAFETY: `prepare` left it held for this thread.
    unsafe { STATE.take_over(&blocked, work) };
}

/// A fork that did not wait for another one has copied what the other spares.
/// Those stacks are made resident when the other fork ends.
fn copied_beside_another() {
    if on_duty() && OWNER.is_us() {
        FORKS.unlocked.store(true, Ordering::SeqCst);
        if !fork_is_under_way() && FORKS.unlocked.swap(false, Ordering::SeqCst) {
            memory_calls::appeared(0, usize::MAX);
        }
    }
}

/// After a fork, in the child.
pub extern "C" fn child() {
    if !FORKS.under_way_here() {
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
        state.registry.in_child(now, &mut ThisProcess);
        substitutes::in_child(before, now);
        stats::PINNED.set(state.registry.pinned_pages());
    };
    // SAFETY: `prepare` left it held for this thread; we are its copy.
    unsafe { STATE.take_over(&blocked, work) };
    every_thread::in_child();
}
