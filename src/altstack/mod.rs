//! Defect `linux-sigframe-fpu`: page faults during writes of signal frames.
//!
//! [`frame`] gives the size of a frame. [`ladder`] chooses the pages to keep
//! resident and how. [`pins`] counts pinned pages. [`registry`] records whose
//! stacks they are. This file ties them to the process: one registry, a policy
//! fixed at load, and sigaction(2). `registration` handles sigaltstack(2),
//! which [`known`] makes cheap; [`disturb`] handles the program's own memory
//! calls, [`fork`] forks, and [`ordinary`] handlers that run on a thread's own
//! stack. See `docs/linux-sigframe-fpu.md`. [`size`] mends another defect of
//! the same calls: stacks that are too small.

pub mod disturb;
pub mod fork;
pub mod frame;
pub mod known;
pub mod ladder;
pub mod ordinary;
pub mod origin;
pub mod pins;
pub mod reach;
mod registration;
pub mod registry;
pub mod size;
pub mod table;

use core::ffi::c_int;
use core::sync::atomic::{AtomicU8, Ordering};

use once_cell::race::OnceRef;

use crate::block::BLOCK;
pub use crate::plan::Duty;
use crate::stats;
use crate::sys::call;
use crate::sys::errno;
use crate::sys::lock::{self, Lock};
use crate::sys::owner::Owner;
use crate::sys::signals::{self, Blocked};
use ladder::{Rung, Stack};
use pins::Kernel;
pub use registration::set;
use registry::{Adopted, Place, Registry, Wanted};
use size::Substitutes;

/// How stacks are kept resident; fixed at load.
#[derive(Clone, Copy, Debug)]
pub struct Policy {
    /// The rung of the ladder to start from for alternate stacks.
    pub start: Rung,
    /// Bytes at the top of a stack that frames need.
    pub window: usize,
    /// The main thread's stack. It is touched but never locked: a lock would
    /// count each page that it grows by against `RLIMIT_MEMLOCK`, and would
    /// split its mapping, from which pthread_getattr_np(3) derives its size.
    pub main: Stack,
    /// Whether a fork also copies the stacks of other threads.
    pub fork_copies: bool,
}

/// What the lock protects.
struct State {
    policy: Policy,
    registry: Registry,
    substitutes: Substitutes,
}

const DUTY: &AtomicU8 = &BLOCK.force.duty;

/// The process whose kernel state [`STATE`] describes. We stand down in a vfork
/// child, and in a copy that no fork handler saw.
const OWNER: &Owner = &BLOCK.force.owner;

/// Everything that a fork writes to, on one page, so that it copies only that
/// page: the part of the lock's stack in use, the state, and the progress of
/// forks.
#[repr(C, align(4096))]
struct Home {
    state: Lock<State>,
    forks: fork::Progress,
}

const _: () = assert!(size_of::<Home>() == lock::STACK + 2048, "more than one page is written to");

static HOME: Home = Home {
    // All zeroes, so that it takes no room in the file.
    state: Lock::new(State {
        policy: Policy {
            start: Rung::Lock,
            window: 0,
            main: Stack { base: 0, size: 0 },
            fork_copies: false,
        },
        registry: Registry::new(),
        substitutes: Substitutes::new(),
    }),
    forks: fork::Progress::new(),
};

const STATE: &Lock<State> = &HOME.state;

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
        state.registry.let_go_of_all(&mut Kernel);
        stats::PINNED.set(0);
    });
    if done.is_none() {
        // The records still exist, and each knows which pages it raised.
        reach::shut();
    }
    Some(duty)
}

/// Resumes the duty that [`stand_down`] returned. Async-signal-safe.
pub fn stand_up(duty: Duty) {
    STATE.with(&Blocked::all(), |state| {
        state.registry.hold_all(&mut Kernel);
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
fn charge<R>(blocked: &Blocked, work: impl FnOnce(&mut State) -> R) -> Option<R> {
    if acts() && ours() { work_on(blocked, work) } else { None }
}

fn acts() -> bool {
    DUTY.load(Ordering::Acquire) == Duty::Act as u8
}

fn work_on<R>(blocked: &Blocked, work: impl FnOnce(&mut State) -> R) -> Option<R> {
    // Check again: another thread may have stood down while we waited.
    let done = STATE.with(blocked, |state| acts().then(|| work(state)));
    if done.is_none() {
        fork::given_up();
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
fn ours() -> bool {
    OWNER.is_us() && !fork::under_way_here()
}

/// The calling thread. The kernel is asked for it once per hooked call.
#[derive(Clone, Copy)]
struct Caller {
    tid: c_int,
    /// Whether it may change the state: see [`ours`].
    ours: bool,
}

impl Caller {
    /// Call this with signals blocked: a handler may fork, and return in the
    /// child.
    fn ask() -> Self {
        let tid = call::gettid();
        Caller { tid, ours: acts() && (known(tid).is_some() || ours()) }
    }

    /// Like the free function [`charge`].
    fn charge<R>(self, blocked: &Blocked, work: impl FnOnce(&mut State) -> R) -> Option<R> {
        if acts() && self.ours { work_on(blocked, work) } else { None }
    }
}

/// Looks up the calling thread, `tid`, without a system call. A thread that is
/// found may change the state, as [`ours`] says.
fn known(tid: c_int) -> Option<known::Found> {
    known::find(OWNER.life()?, tid).filter(|_| !fork::under_way_here())
}

/// Looks up the calling thread without any system call. Only works where every
/// thread's end is reported.
fn known_here() -> Option<known::Found> {
    let found = known::find_here(OWNER.life()?)?;
    (acts() && fork::are_ends_told() && !fork::under_way_here()).then_some(found)
}

/// Publishes what is on record for the calling thread, `tid`.
fn make_known(tid: c_int, registry: &Registry) {
    if let Some(life) = OWNER.life() {
        known::put(life, tid, registry.steady(tid));
    }
}

fn is_disable(stack: &libc::stack_t) -> bool {
    stack.ss_flags & libc::SS_DISABLE != 0
}

fn described(stack: &libc::stack_t) -> Stack {
    Stack { base: stack.ss_sp as usize, size: stack.ss_size }
}

/// sigaction(2) is about to install `new`: first makes the stacks resident that
/// its handler may run on. Async-signal-safe.
pub fn before_handler(new: *const libc::sigaction) {
    if let Some(action) = signals::read(new) {
        hold_for(action.sa_sigaction, action.sa_flags);
    }
}

/// Like [`before_handler`], for the structure of rt_sigaction(2).
pub fn before_kernel_handler(new: *const signals::KernelAction) {
    if let Some(action) = signals::read(new) {
        hold_for(action.handler, action.flags as c_int);
    }
}

fn hold_for(handler: usize, flags: c_int) {
    if flags & libc::SA_ONSTACK != 0 {
        adopt_current();
    }
    ordinary::handler(handler, flags);
}

/// Adopts the stack that the calling thread already has, if we do not know it
/// yet: at load, and when the thread installs a handler that will use it.
/// Async-signal-safe.
pub fn adopt_current() {
    let Ok(now) = call::current_altstack() else { return };
    if is_disable(&now) {
        return;
    }
    let blocked = Blocked::all();
    let caller = Caller::ask();
    let current = |state: &mut State| state.registry.wanted(caller.tid, Place::Current);
    let known = caller.charge(&blocked, current).flatten();
    let known = known.is_some_and(|known| known.stack == described(&now));
    let adopted = if known { None } else { adopt_altstack(&blocked, caller, Place::Current, &now) };
    drop(blocked);
    if let Some(adopted) = adopted {
        stats::STACKS.count();
        tell(&adopted);
    }
}

fn adopt_altstack(
    blocked: &Blocked,
    caller: Caller,
    place: Place,
    stack: &libc::stack_t,
) -> Option<Adopted> {
    const SS_AUTODISARM: c_int = 1 << 31;
    let disarms = stack.ss_flags & SS_AUTODISARM != 0;
    let stack = described(stack);
    adopt(blocked, caller, place, |state| {
        let Policy { start, window, main, .. } = state.policy;
        let start = if stack.overlaps(main) { start.max(Rung::Touch) } else { start };
        Wanted { stack, window, start, disarms }
    })
}

/// Adopts what `wanted` returns; requests the exit notice for a first record.
fn adopt(
    blocked: &Blocked,
    caller: Caller,
    place: Place,
    wanted: impl FnOnce(&State) -> Wanted,
) -> Option<Adopted> {
    let Caller { tid, .. } = caller;
    let adopted = caller.charge(blocked, |state| {
        // Sweep a few for each new thread, so that dead threads cannot pile up.
        if !state.registry.has(tid) {
            let pid = OWNER.pid();
            let exists = |other| other == tid || call::thread_exists(pid, other);
            state.registry.sweep(exists, &mut Kernel);
        }
        let wanted = wanted(state);
        let registry = &mut state.registry;
        let adopted = registry.adopt(tid, place, wanted, &mut Kernel);
        make_known(tid, registry);
        stats::PINNED.set(registry.pinned_pages());
        adopted
    })?;
    if adopted.first
        && let Some(notice) = EXIT_NOTICE.get()
    {
        notice();
    }
    Some(adopted)
}

/// Counts and logs the result of an adoption.
fn tell(adopted: &Adopted) {
    stats::rung(adopted.rung).count();
    let kib = adopted.held.bytes() / 1024;
    log::debug!("stack adopted by rung {}, {kib} KiB held", adopted.rung.name());
    let Some(error) = adopted.refused else { return };
    // Memory that cannot even be touched was not refused because of a limit.
    if adopted.rung < Rung::Report && stats::REFUSED.count() == 0 {
        let limit = call::getrlimit(libc::RLIMIT_MEMLOCK).map_or(0, |limit| limit.rlim_cur);
        let bought = charge(&Blocked::all(), |state| state.registry.locked_stacks()).unwrap_or(0);
        log::warn!(
            "locking a signal stack was refused ({error}): RLIMIT_MEMLOCK is {limit} bytes and \
             bought {bought} stacks; this one is held by rung {}. Remedy: ulimit -l 65536; \
             docker run --ulimit memlock=67108864; LimitMEMLOCK=64M",
            adopted.rung.name(),
        );
    }
}

/// How many stacks are on record. Async-signal-safe.
#[must_use]
pub fn stacks_on_record() -> usize {
    charge(&Blocked::all(), |state| state.registry.stacks()).unwrap_or(0)
}

/// The calling thread is ending: releases its stacks. Async-signal-safe.
pub fn thread_exit() {
    charge(&Blocked::all(), |state| {
        state.registry.release_thread(call::gettid(), &mut Kernel);
        stats::PINNED.set(state.registry.pinned_pages());
    });
}
