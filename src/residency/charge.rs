//! The state of this defect in the process, and who may use it: one registry
//! under one lock, and a policy that is fixed at load.

use core::ffi::c_int;
use core::sync::atomic::{AtomicBool, AtomicU8, Ordering};

use once_cell::race::OnceRef;

use super::fork_progress::Progress;
use super::ladder::{Rung, Stack};
use super::page_locks::ThisProcess;
use super::registry::Registry;
use super::thread_cache;
use super::watched;
use crate::os::call;
use crate::os::errno;
use crate::os::lock::{self, Lock};
use crate::os::owner::Owner;
use crate::os::signals::Blocked;
pub use crate::plan::Duty;
use crate::state::published_block::BLOCK;
use crate::state::stats;

/// How stacks are kept resident; fixed at load.
#[derive(Clone, Copy, Debug)]
pub struct Policy {
    /// The rung of the ladder to start from for alternate stacks.
    pub start: Rung,
    /// Bytes at the top of a stack that frames need.
    pub headroom: usize,
    /// The main thread's stack. It is touched but never locked: a lock would
    /// count each page that it grows by against `RLIMIT_MEMLOCK`, and would
    /// split its mapping, from which pthread_getattr_np(3) derives its size.
    pub main: Stack,
    /// Whether a fork also copies the stacks of other threads.
    pub fork_copies: bool,
}

/// What the lock protects.
pub(crate) struct State {
    pub(crate) policy: Policy,
    pub(crate) registry: Registry,
}

pub(crate) const DUTY: &AtomicU8 = &BLOCK.force.duty;

/// The process whose kernel state [`STATE`] describes. We stand down in a vfork
/// child, and in a copy that no fork handler saw.
pub(crate) const OWNER: &Owner = &BLOCK.force.owner;

/// Everything that a fork writes to, on one page, so that it copies only that
/// page: the part of the lock's stack in use, the state, and the progress of
/// forks.
#[repr(C, align(4096))]
struct Home {
    state: Lock<State>,
    forks: Progress,
}

const _: () = assert!(size_of::<Home>() == lock::STACK + 2048, "more than one page is written to");

static HOME: Home = Home {
    // All zeroes, so that it takes no room in the file.
    state: Lock::new(State {
        policy: Policy {
            start: Rung::Lock,
            headroom: 0,
            main: Stack { base: 0, size: 0 },
            fork_copies: false,
        },
        registry: Registry::new(),
    }),
    forks: Progress::new(),
};

pub(crate) const STATE: &Lock<State> = &HOME.state;

/// The progress of forks.
pub(crate) const FORKS: &Progress = &HOME.forks;

/// Called at a thread's first record, to arrange for a notice of its exit.
static EXIT_NOTICE: OnceRef<'static, fn()> = OnceRef::new();

/// Puts this module in charge of the process, from load on.
pub fn take_charge(duty: Duty, policy: Policy, exit_notice: &'static fn()) {
    STATE.with(&Blocked::all(), |state| state.policy = policy);
    let _ = EXIT_NOTICE.set(exit_notice);
    // This finds errno's address once; later uses need no function call.
    let _ = errno::get();
    OWNER.claim();
    DUTY.store(duty as u8, Ordering::Release);
}

/// Releases all locks; hooks only pass calls through from now on. Returns the
/// previous duty, for [`stand_up`]; `None` if there was none, or if this thread
/// may not change the state, which may be another process's. Async-signal-safe.
pub fn stand_down() -> Option<Duty> {
    if !on_duty() || !ours() {
        return None;
    }
    let duty = Duty::from(DUTY.swap(Duty::Inert as u8, Ordering::Relaxed));
    let done = STATE.with(&Blocked::all(), |state| {
        state.registry.unhold_all(&mut ThisProcess);
        stats::PINNED.set(0);
    });
    if done.is_none() {
        // The records still exist, and each knows which pages it raised.
        watched::shut();
    }
    Some(duty)
}

/// Resumes the duty that [`stand_down`] returned. Async-signal-safe.
pub fn stand_up(duty: Duty) {
    STATE.with(&Blocked::all(), |state| {
        state.registry.hold_all(&mut ThisProcess);
        stats::PINNED.set(state.registry.pinned_pages());
    });
    DUTY.store(duty as u8, Ordering::Release);
}

/// Whether the hooks have anything to do: one relaxed load. Async-signal-safe.
#[inline]
#[must_use]
pub fn on_duty() -> bool {
    DUTY.load(Ordering::Relaxed) != Duty::Inert as u8
}

/// Runs `work` on the registry and its policy, if we keep stacks resident here
/// and now.
pub(crate) fn charge<R>(blocked: &Blocked, work: impl FnOnce(&mut State) -> R) -> Option<R> {
    if acts() && ours() { work_on(blocked, work) } else { None }
}

fn acts() -> bool {
    DUTY.load(Ordering::Acquire) == Duty::Act as u8
}

fn work_on<R>(blocked: &Blocked, work: impl FnOnce(&mut State) -> R) -> Option<R> {
    // Check again: another thread may have stood down while we waited.
    let done = STATE.with(blocked, |state| acts().then(|| work(state)));
    if done.is_none() {
        FORKS.give_up();
    }
    done.flatten()
}

/// Whether the state belongs to another process, as a vfork child sees its
/// parent's. Only known while on duty. Async-signal-safe.
pub(crate) fn is_lent() -> bool {
    on_duty() && !OWNER.is_copied() && OWNER.pid() != call::getpid()
}

/// Whether this thread may change the state now. A vfork child, a forked copy
/// and a thread in the middle of a fork may not.
pub(crate) fn ours() -> bool {
    OWNER.is_us() && !FORKS.under_way_here()
}

/// Whether any thread of this process is in the middle of a fork.
pub(crate) fn fork_is_under_way() -> bool {
    FORKS.under_way() && OWNER.is_us()
}

/// The calling thread. The kernel is asked for it once per hooked call.
#[derive(Clone, Copy)]
pub(crate) struct Caller {
    pub(crate) tid: c_int,
    /// Whether it may change the state: see [`ours`].
    ours: bool,
}

impl Caller {
    /// Call this with signals blocked: a handler may fork, and return in the
    /// child.
    pub(crate) fn ask() -> Self {
        let tid = call::gettid();
        Caller { tid, ours: acts() && (known(tid).is_some() || ours()) }
    }

    /// Like the free function [`charge`].
    pub(crate) fn charge<R>(
        self,
        blocked: &Blocked,
        work: impl FnOnce(&mut State) -> R,
    ) -> Option<R> {
        if acts() && self.ours { work_on(blocked, work) } else { None }
    }
}

/// Looks up the calling thread, `tid`, without a system call. A thread that is
/// found may change the state, as [`ours`] says.
fn known(tid: c_int) -> Option<thread_cache::Found> {
    thread_cache::find(OWNER.life()?, tid).filter(|_| !FORKS.under_way_here())
}

/// Looks up the calling thread without any system call. Only works where every
/// thread's end is reported.
pub(crate) fn known_here() -> Option<thread_cache::Found> {
    let found = thread_cache::find_here(OWNER.life()?)?;
    (acts() && thread_ends_are_seen() && !FORKS.under_way_here()).then_some(found)
}

/// Publishes what is on record for the calling thread, `tid`.
pub(crate) fn make_known(tid: c_int, registry: &Registry) {
    if let Some(life) = OWNER.life() {
        thread_cache::put(life, tid, registry.steady(tid));
    }
}

/// See [`promise_thread_ends`].
static THREAD_ENDS_ARE_SEEN: AtomicBool = AtomicBool::new(false);

/// Promises that [`crate::events::thread_end`] is called for every thread that
/// ends through libc. From then on each fork checks the existence of only a few
/// threads, in turn.
pub fn promise_thread_ends() {
    THREAD_ENDS_ARE_SEEN.store(true, Ordering::Relaxed);
}

/// Whether [`promise_thread_ends`] was called.
pub(crate) fn thread_ends_are_seen() -> bool {
    THREAD_ENDS_ARE_SEEN.load(Ordering::Relaxed)
}

/// A thread has its first record: asks for a notice of its end.
pub(crate) fn ask_for_exit_notice() {
    if let Some(notice) = EXIT_NOTICE.get() {
        notice();
    }
}
