//! Ordinary stacks. A handler without `SA_ONSTACK`, or on a thread that has no
//! alternate stack, gets its frame on the thread's own stack, possibly below
//! everything that was touched so far.
//!
//! Each thread's bounds are recorded when it starts. By default a part of its
//! stack is held only once there is a handler whose frame can land there. It is
//! then touched, not locked: a lock splits the mapping of each thread's stack,
//! and uses up the limit that alternate stacks need. If the
//! user sets how much to hold, that much is held from the start, and locked.

use once_cell::race::OnceNonZeroUsize;

use core::ffi::c_int;
use core::num::NonZeroUsize;
use core::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, Ordering};

use super::adopt::{adopt, report};
use super::bounds::{self, Attributes};
use super::charge::{Caller, Policy, State, charge, on_duty};
use super::ladder::{Rung, Stack};
use super::page_locks::ThisProcess;
use super::registry::{Role, Wanted};
use crate::arch;
use crate::os::call;
use crate::os::page::{self, Pages};
use crate::os::signals::{self, Blocked};
use crate::os::user_memory;
use crate::plan::Ordinary;
use crate::state::stats;

/// How many bytes are held below a thread's start; unset while none are.
static EXTENT: OnceNonZeroUsize = OnceNonZeroUsize::new();

/// Whether the user set that number.
static ASKED_FOR: AtomicBool = AtomicBool::new(false);

/// Which stacks the installed handlers may run on, fewest first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
enum Handlers {
    /// There are no handlers.
    None,
    /// All handlers have `SA_ONSTACK`: a thread with an alternate stack is
    /// safe.
    Alternate,
    /// Some handlers run on the thread's own stack.
    Ordinary,
}

/// The most demanding [`Handlers`] seen so far.
static SEEN: AtomicU8 = AtomicU8::new(Handlers::None as u8);
/// The most demanding ones for which all recorded stacks are held as they
/// should be.
static SERVED: AtomicU8 = AtomicU8::new(Handlers::None as u8);

fn have_seen(handlers: Handlers) -> bool {
    SEEN.load(Ordering::Relaxed) >= handlers as u8
}

/// Holds ordinary stacks from now on, as planned.
pub fn take_charge(plan: Ordinary) {
    let (bytes, asked_for) = match plan {
        Ordinary::Off => return,
        Ordinary::Armed(bytes) => (bytes, false),
        Ordinary::Locked(bytes) => (bytes, true),
    };
    ASKED_FOR.store(asked_for, Ordering::Relaxed);
    if let Some(bytes) = NonZeroUsize::new(bytes) {
        let _ = EXTENT.set(bytes);
    }
}

/// Whether ordinary stacks are held. Async-signal-safe.
#[must_use]
pub fn wanted() -> bool {
    EXTENT.get().is_some() && on_duty()
}

/// The lowest address to hold below `here`.
fn wish(here: usize) -> usize {
    here.saturating_sub(EXTENT.get().map_or(0, NonZeroUsize::get))
}

/// A handler is about to be installed with these `flags`, or was installed
/// before we took charge: holds the stacks that its frame may land on.
/// Async-signal-safe.
pub fn handler(handler: usize, flags: c_int) {
    note(handler, flags);
    serve();
}

/// Takes a disposition into account.
fn note(handler: usize, flags: c_int) {
    /// The highest of SIG_DFL, SIG_IGN and sigset(3)'s SIG_HOLD.
    const NO_HANDLER: usize = 2;
    let handlers = match flags & libc::SA_ONSTACK {
        _ if handler <= NO_HANDLER => return,
        0 => Handlers::Ordinary,
        _ => Handlers::Alternate,
    };
    if !have_seen(handlers) {
        SEEN.fetch_max(handlers as u8, Ordering::Relaxed);
    }
}

/// Holds the recorded stacks for the handlers seen so far, if not done yet.
fn serve() {
    let seen = SEEN.load(Ordering::Relaxed);
    if seen <= SERVED.load(Ordering::Relaxed) || !wanted() {
        return;
    }
    charge(&Blocked::all(), |State { policy, registry, .. }| {
        registry.review_ordinary(
            |wanted, alternate| decide(policy, wanted, alternate),
            &mut ThisProcess,
        );
        stats::PINNED.set(registry.pinned_pages());
        SERVED.fetch_max(seen, Ordering::Relaxed);
    });
}

/// Asks the kernel for the disposition of a few signals per call. We do not see
/// handlers that libc installs for itself, or that are installed past libc with
/// the SYSCALL instruction.
fn ask() {
    const AT_ONCE: u32 = 8;
    static NEXT: AtomicU32 = AtomicU32::new(0);
    if have_seen(Handlers::Ordinary) || ASKED_FOR.load(Ordering::Relaxed) {
        return;
    }
    let first = NEXT.fetch_add(AT_ONCE, Ordering::Relaxed);
    for number in first..first.wrapping_add(AT_ONCE) {
        let signal = (number % 64 + 1) as c_int;
        // libc's own signals: 32 and 33 are glibc's, 33 and 34 are musl's. They
        // have handlers even in programs that never use them.
        if !(32..=34).contains(&signal)
            && let Ok(action) = signals::disposition(signal)
        {
            note(action.handler, action.flags as c_int);
        }
    }
}

/// The rung by which to hold a thread's own stack, [`Rung::Report`] for not at
/// all, given whether the thread has an `alternate` one.
fn rung(policy: &Policy, stack: Stack, alternate: bool) -> Rung {
    let asked_for = ASKED_FOR.load(Ordering::Relaxed);
    let handlers = have_seen(Handlers::Ordinary) || have_seen(Handlers::Alternate) && !alternate;
    if !handlers && !asked_for {
        return Rung::Report;
    }
    let best = if asked_for && !stack.overlaps(policy.main) { Rung::Frame } else { Rung::Touch };
    match policy.start {
        // That leaves alternate stacks alone, but this is not one.
        Rung::Report => best,
        asked => best.max(asked),
    }
}

/// Updates `wanted` with how to hold a thread's own stack.
fn decide(policy: &Policy, wanted: &mut Wanted, alternate: bool) {
    let start = rung(policy, wanted.stack, alternate);
    let idle = |rung| rung == Rung::Report;
    if idle(start) == idle(wanted.start) {
        return;
    }
    wanted.start = start;
    if let Some(end) = wanted.stack.top().filter(|_| wanted.stack.overlaps(policy.main)) {
        let base = if idle(start) { wanted.stack.base } else { grown_to(wanted.stack.base, end) };
        let size = end.saturating_sub(base);
        (wanted.stack, wanted.headroom) = (Stack { base, size }, size);
    }
}

/// Whether it makes a difference that a thread has an alternate stack.
fn alternates_matter() -> bool {
    have_seen(Handlers::Alternate)
        && !have_seen(Handlers::Ordinary)
        && !ASKED_FOR.load(Ordering::Relaxed)
        && wanted()
}

/// The calling thread, `tid`, has gained or lost its alternate stack.
pub(crate) fn follow(state: &mut State, tid: c_int) {
    if alternates_matter() {
        let State { policy, registry, .. } = state;
        let decide = |wanted: &mut Wanted, alternate| decide(policy, wanted, alternate);
        registry.review_ordinary_of(tid, decide, &mut ThisProcess);
    }
}

/// The calling thread is about to disable its alternate stack.
pub(crate) fn before_disabling(caller: Caller, blocked: &Blocked) {
    if alternates_matter() {
        let Caller { tid, .. } = caller;
        caller.charge(blocked, |State { policy, registry, .. }| {
            let decide = |wanted: &mut Wanted, _| decide(policy, wanted, false);
            registry.review_ordinary_of(tid, decide, &mut ThisProcess);
        });
    }
}

/// The calling thread has just started on a stack with `attributes`.
/// Async-signal-safe.
pub fn adopt_thread(attributes: Attributes) {
    let here = arch::stack_pointer();
    let bounds = bounds::of_thread(attributes, arch::thread_pointer());
    ask();
    serve();
    let lowest = wish(here).max(bounds.lowest);
    if arch::THREAD_DATA_ABOVE {
        // The bounds may reach into the guard.
        record(grown_to(lowest, here), here);
        return;
    }
    record(lowest, here);
}

/// Where the main thread's stack, which ends at `end`, may lie.
#[must_use]
pub fn main_stack(end: usize) -> Stack {
    let limit = call::getrlimit(libc::RLIMIT_STACK).ok().map(|limit| limit.rlim_cur);
    let limit = limit.filter(|&bytes| bytes != u64::MAX);
    let limit = limit.and_then(|bytes| usize::try_from(bytes).ok());
    let lowest = bounds::of_main(end, limit).lowest;
    Stack { base: lowest, size: end.saturating_sub(lowest) }
}

/// Records the main thread's stack, at load. It is never locked, because its
/// limit may yet be raised: see [`Policy::main`].
pub fn adopt_main(stack: Stack) {
    let here = arch::stack_pointer();
    record(wish(here).max(stack.base), stack.top().unwrap_or(here));
}

/// Makes the main stack grow from `end` down to `lowest`, page by page, and
/// returns how far it got. The kernel does the reading, so a refusal raises no
/// signal and the contents stay as they are.
fn grown_to(lowest: usize, end: usize) -> usize {
    let mut reached = end;
    for number in Pages::around(lowest, end).numbers().rev() {
        let address = number.wrapping_mul(page::size());
        if !user_memory::readable(address, size_of::<signals::Mask>()) {
            break;
        }
        reached = address;
    }
    reached.max(lowest)
}

/// Records the calling thread's stack, from `base` up to `top`, and holds it if
/// a frame may land there.
fn record(base: usize, top: usize) {
    let Some(size) = top.checked_sub(base).filter(|&size| size > 0) else { return };
    let stack = Stack { base, size };
    let mut held = false;
    let blocked = Blocked::all();
    let caller = Caller::ask();
    let adopted = adopt(&blocked, caller, Role::Ordinary, |state| {
        let mut wanted = Wanted { stack, headroom: size, start: Rung::Report, disarms: false };
        let alternate = state.registry.wanted(caller.tid, Role::Current).is_some();
        decide(&state.policy, &mut wanted, alternate);
        held = wanted.start < Rung::Report;
        wanted
    });
    drop(blocked);
    if let Some(adopted) = adopted.filter(|_| held) {
        report(&adopted);
    }
}
