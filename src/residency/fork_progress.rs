//! The progress of forks, for calls that come amid one.

use core::sync::atomic::{AtomicBool, AtomicI32, AtomicU64, AtomicUsize, Ordering};

use super::ladder::Stack;
use crate::arch;
use crate::os::call;
use crate::os::page::Pages;
use crate::state::stats;

/// The progress of forks. [`crate::events::fork`] writes it.
pub(crate) struct Progress {
    /// The thread that is between `prepare` and `parent` or `child`, by its
    /// thread pointer (which it keeps in the child); 0 for none.
    pub(crate) forking: AtomicUsize,
    /// That thread's id before the fork.
    pub(crate) thread: AtomicI32,
    /// The signal mask to restore.
    pub(crate) mask: AtomicU64,
    /// How many forks have ended; counted before the stacks are locked again.
    pub(crate) ended: AtomicUsize,
    /// Whether stacks were unlocked during a fork.
    pub(crate) unlocked: AtomicBool,
    /// Since the last fork began, a call gave up waiting for a fork, and the
    /// registry did not learn what the call did.
    pub(crate) missed: AtomicBool,
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

    /// Whether the calling thread is in the middle of a fork.
    pub(crate) fn under_way_here(&self) -> bool {
        let forking = self.forking.load(Ordering::Relaxed);
        forking != 0 && forking == arch::thread_pointer()
    }

    /// Whether any thread is in the middle of a fork. If this returns false, a
    /// later call of [`Progress::ended`] has the last fork counted.
    pub(crate) fn under_way(&self) -> bool {
        self.forking.load(Ordering::Acquire) != 0
    }

    /// How many forks have ended in this process. A caller that reads a new
    /// number finds the registry's lock taken over by the forking thread, or
    /// free.
    pub(crate) fn ended(&self) -> usize {
        self.ended.load(Ordering::Acquire)
    }

    /// Unlocks ranges (start and length in bytes) while the registry cannot be
    /// asked about them, for a call that would fail otherwise. After the fork
    /// they are locked again where they hold stacks. This also removes the
    /// program's own locks.
    pub(crate) fn unlock_meanwhile(&self, ranges: &[(usize, usize)]) {
        self.unlocked.store(true, Ordering::Relaxed);
        for &(start, length) in ranges {
            let _ = call::munlock(start, length);
        }
    }

    /// A call of this thread gave up waiting for a fork, so the registry does
    /// not learn what the call does: it may replace a stack whose memory the
    /// program then uses for data. Async-signal-safe.
    pub(crate) fn give_up(&self) {
        self.missed.store(true, Ordering::SeqCst);
        not_waited_for();
    }
}

/// Clears the flag of this thread's alternate stack. The fork that we did not
/// wait for may have set it, but the stack may hold data soon, or a child of
/// this thread may run on it.
pub(crate) fn not_waited_for() {
    stats::WINDOWS.add(1);
    if let Ok(now) = call::current_altstack() {
        have_copied(Stack::of(&now));
    }
}

/// Clears the flag that excludes a stack from being copied by the current fork.
/// Async-signal-safe.
pub(crate) fn have_copied(stack: Stack) {
    let pages = Pages::within(stack.base, stack.base.saturating_add(stack.size));
    if !pages.is_empty() {
        let _ = call::wipe_on_fork(pages.address(), pages.bytes(), false);
    }
}
