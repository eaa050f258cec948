//! Ordinary stacks: a handler without `SA_ONSTACK`, or on a thread that has no
//! alternate stack, gets its frame on the thread's own stack, below all that
//! was touched so far.
//!
//! Each thread's bounds are put on record when it starts. By default a window
//! of its stack is held only from the moment when a handler exists whose frame
//! can land there, and is touched, not locked: a lock splits the mapping of
//! each thread's stack, and takes room from alternate stacks. Where the user
//! says how much is to be held, it is held from the start, and locked.

use once_cell::race::OnceNonZeroUsize;

use core::ffi::c_int;
use core::num::NonZeroUsize;
use core::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, Ordering};

use super::ladder::{Rung, Stack};
use super::pins::Kernel;
use super::registry::{Place, Wanted};
use super::{Caller, Policy, State, adopt, charge};
use crate::arch;
use crate::bounds::{self, Attributes};
use crate::plan::Ordinary;
use crate::stats;
use crate::sys::call;
use crate::sys::page::{self, Pages};
use crate::sys::signals::{self, Blocked};

/// Bytes that are held below a thread's start; unset while none are.
static EXTENT: OnceNonZeroUsize = OnceNonZeroUsize::new();

/// Whether the user said how many.
static ASKED_FOR: AtomicBool = AtomicBool::new(false);

/// Which stacks the handlers that exist may run on, least first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
enum Handlers {
    /// There are none.
    None,
    /// All have `SA_ONSTACK`: a thread with an alternate stack is safe.
    Alternate,
    /// Some run where the thread is.
    Ordinary,
}

/// The [`Handlers`] that were seen.
static SEEN: AtomicU8 = AtomicU8::new(Handlers::None as u8);
/// Those for which all stacks on record are held as they should be.
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
    EXTENT.get().is_some() && super::on_duty()
}

/// The lowest address that is wished for below `here`.
fn wish(here: usize) -> usize {
    here.saturating_sub(EXTENT.get().map_or(0, NonZeroUsize::get))
}

/// A handler is about to be installed with these `flags`, or, before we are in
/// charge, has been: stacks that its frame may land on are held.
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

/// Holds the stacks on record for the handlers that were seen, if that was not
/// done yet.
fn serve() {
    let seen = SEEN.load(Ordering::Relaxed);
    if seen <= SERVED.load(Ordering::Relaxed) || !wanted() {
        return;
    }
    charge(&Blocked::all(), |State { policy, registry, .. }| {
        registry.review_windows(|wanted, alternate| decide(policy, wanted, alternate), &mut Kernel);
        stats::PINNED.set(registry.pinned_pages());
        SERVED.fetch_max(seen, Ordering::Relaxed);
    });
}

/// Handlers that were set by the instruction, past libc, and libc's own, are
/// not seen: asks the kernel for a few signals each time.
fn ask() {
    const AT_ONCE: u32 = 8;
    static NEXT: AtomicU32 = AtomicU32::new(0);
    if have_seen(Handlers::Ordinary) || ASKED_FOR.load(Ordering::Relaxed) {
        return;
    }
    let first = NEXT.fetch_add(AT_ONCE, Ordering::Relaxed);
    for number in first..first.wrapping_add(AT_ONCE) {
        let signal = (number % 64 + 1) as c_int;
        // The libcs' own: 32 and 33 are glibc's, 33 and 34 musl's. They exist
        // in programs that never use them.
        if !(32..=34).contains(&signal)
            && let Ok(action) = signals::disposition(signal)
        {
            note(action.handler, action.flags as c_int);
        }
    }
}

/// Whether, and by which rung, a thread's own stack is to be held, if it has an
/// `alternate` one or not.
fn rung(policy: &Policy, stack: Stack, alternate: bool) -> Rung {
    let asked_for = ASKED_FOR.load(Ordering::Relaxed);
    let handlers = have_seen(Handlers::Ordinary) || have_seen(Handlers::Alternate) && !alternate;
    if !handlers && !asked_for {
        return Rung::Report;
    }
    let best = if asked_for && !stack.overlaps(policy.main) { Rung::Frame } else { Rung::Touch };
    match policy.start {
        // Alternate stacks are to be left alone; this is not one.
        Rung::Report => best,
        asked => best.max(asked),
    }
}

/// Puts into `wanted` what is to be done about a thread's own stack.
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
        (wanted.stack, wanted.window) = (Stack { base, size }, size);
    }
}

/// Whether it matters if a thread has an alternate stack.
fn alternates_matter() -> bool {
    have_seen(Handlers::Alternate)
        && !have_seen(Handlers::Ordinary)
        && !ASKED_FOR.load(Ordering::Relaxed)
        && wanted()
}

/// The alternate stack of thread `tid`, which calls, has come or gone.
pub(super) fn follow(state: &mut State, tid: c_int) {
    if alternates_matter() {
        let State { policy, registry, .. } = state;
        let decide = |wanted: &mut Wanted, alternate| decide(policy, wanted, alternate);
        registry.review_window(tid, decide, &mut Kernel);
    }
}

/// The calling thread is about to disable its alternate stack.
pub(super) fn before_disabling(caller: Caller, blocked: &Blocked) {
    if alternates_matter() {
        let Caller { tid, .. } = caller;
        caller.charge(blocked, |State { policy, registry, .. }| {
            let decide = |wanted: &mut Wanted, _| decide(policy, wanted, false);
            registry.review_window(tid, decide, &mut Kernel);
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
    record(wish(here).max(bounds.lowest), here);
}

/// Where the main thread's stack may lie; it ends at `end`.
#[must_use]
pub fn main_stack(end: usize) -> Stack {
    let limit = call::getrlimit(libc::RLIMIT_STACK).ok().map(|limit| limit.rlim_cur);
    let limit = limit.filter(|&bytes| bytes != libc::RLIM_INFINITY).map(|bytes| bytes as usize);
    let lowest = bounds::of_main(end, limit).lowest;
    Stack { base: lowest, size: end.saturating_sub(lowest) }
}

/// The main thread, at load. Its stack is never locked, as its limit may yet be
/// raised: see [`super::Policy::main`].
pub fn adopt_main(stack: Stack) {
    let here = arch::stack_pointer();
    record(wish(here).max(stack.base), stack.top().unwrap_or(here));
}

/// Makes the main stack grow from `end` down to `lowest`, page by page; returns
/// how far it went. The kernel reads, so that a refusal is no signal, and what
/// is in use there stays as it is.
fn grown_to(lowest: usize, end: usize) -> usize {
    let mut reached = end;
    for number in Pages::around(lowest, end).numbers().rev() {
        let address = number.wrapping_mul(page::SIZE);
        if !signals::readable(address, size_of::<signals::Mask>()) {
            break;
        }
        reached = address;
    }
    reached.max(lowest)
}

/// Puts the calling thread's stack, from `base` up to `top`, on record, and
/// holds it if a frame may land there.
fn record(base: usize, top: usize) {
    let Some(size) = top.checked_sub(base).filter(|&size| size > 0) else { return };
    let stack = Stack { base, size };
    let mut held = false;
    let blocked = Blocked::all();
    let caller = Caller::ask();
    let adopted = adopt(&blocked, caller, Place::Ordinary, |state| {
        let mut wanted = Wanted { stack, window: size, start: Rung::Report, disarms: false };
        let alternate = state.registry.wanted(caller.tid, Place::Current).is_some();
        decide(&state.policy, &mut wanted, alternate);
        held = wanted.start < Rung::Report;
        wanted
    });
    drop(blocked);
    if let Some(adopted) = adopted.filter(|_| held) {
        super::tell(&adopted);
    }
}
