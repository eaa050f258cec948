//! What runs in front of the program's handlers: it ends the wait that they
//! interrupt, as the kernel would.
//!
//! A thread asleep in the kernel's own wait looks for a child before it obeys
//! a signal, and only then the handler runs; afterwards the wait is over, with
//! the child or EINTR, or begins anew. A wait that sleeps in pieces must do
//! the same, at every instruction. So, while a strategy is in force, handlers
//! are installed behind `sigward_wait_gate`. If the interrupted instruction is
//! one of the stretch in which a wait sleeps (see [`super::sleep`]), the gate
//! reaps for the waiter, by a raw call that never sleeps, and writes down how
//! the wait ends. Then it jumps on to the program's handler, which sees
//! registers, stack and return address as the kernel made them.
//!
//! Nothing is registered: what the gate needs it finds by the registers that
//! were interrupted. So there is nothing that a handler which jumps out of the
//! wait, a cancellation or another thread could leave stale.
//!
//! Signals that come together are delivered on top of each other: the
//! handler that runs first has interrupted the gate of the one that interrupted
//! the wait. So a gate that finds a gate interrupted before it had all signals
//! blocked does that one's work.

use core::ffi::c_int;
use core::sync::atomic::{AtomicI32, AtomicUsize, Ordering};

use super::sleep::{EVERY, Waiter};
use crate::arch::{self, Interrupted};
use crate::sys::owner::Owner;
use crate::sys::signals::{self, Blocked};

/// Signals of Linux are 1 to 64.
const SIGNALS: usize = 65;

/// Two gates, so that a new handler's is not the old one's: until the kernel
/// knows of the new one, and where the program has read the gate's address
/// past our hooks and chains to it, the old gate leads to the old handler.
const GATES: usize = 2;

/// How far the gates are apart in [`HANDLERS`]; a power of two.
const ROW: usize = 128;

/// The program's handlers that are installed behind each gate, by signal, with
/// [`RESTARTS`].
static HANDLERS: [AtomicUsize; GATES * ROW] = [const { AtomicUsize::new(0) }; GATES * ROW];

/// Added to a handler that was installed with `SA_RESTART`: no address of a
/// program's has this bit.
const RESTARTS: usize = 1 << 63;

/// How often an action is set at most: once more whenever another thread, which
/// sets one for the same signal, has taken the gate. Else the one's handler
/// would run with the other's flags.
const ATTEMPTS: usize = 64;

/// Bytes of the handler's stack that a gate takes at most, below the frame.
const ROOM: usize = 512;

/// What the kernel calls in place of a handler; the other gate is its second
/// entry. Arguments as any handler's; all three are passed whatever
/// `SA_SIGINFO` says. The third is then at the frame's beginning, behind the
/// return address. Where it is not, this is no delivery: the program calls a
/// handler that it read past our hooks.
#[unsafe(naked)]
unsafe extern "C" fn sigward_wait_gate(
    signal: c_int,
    info: *mut libc::siginfo_t,
    context: *mut libc::ucontext_t,
) {
    arch::gate!(
        gate = sigward_wait_gate,
        row = ROW,
        room = ROOM,
        every = EVERY,
        interrupt = interrupt,
        handlers = HANDLERS,
    )
}

/// Ends the wait that a delivery has interrupted, if it has, at `context`;
/// `place` is that of its handler. All signals are blocked. What was done
/// already is not done again: the thread then stands behind the stretch.
///
/// # Safety
/// `context` is that of a delivery, which is under way on this thread.
unsafe extern "C" fn interrupt(place: usize, context: *mut libc::ucontext_t) {
    let (mut place, mut context) = (place, context);
    loop {
        // SAFETY: the caller's promise; or the context of the delivery whose
        // gate was interrupted.
        let mut interrupted = unsafe { Interrupted::by(context) };
        if let Some(waiter) = interrupted.sleeper() {
            // SAFETY: what the stretch was called with, which is live.
            let waiter = unsafe { &mut *waiter.cast::<Waiter<'_>>() };
            let handler = HANDLERS.get(place).map_or(0, |place| place.load(Ordering::Relaxed));
            waiter.interrupt(handler & RESTARTS != 0);
            interrupted.leave_stretch();
            return;
        }
        let [first, _] = gates();
        let Some(before) = interrupted.unblocked_gate(first, ROW) else { return };
        (place, context) = (before.place, before.context);
    }
}

/// The gates' addresses, as handlers.
fn gates() -> [usize; GATES] {
    [sigward_wait_gate as *const () as usize, arch::other_gate()]
}

/// Whether handlers were ever installed behind a gate. They stay there when
/// the strategy is given up.
fn is_raised() -> bool {
    OWNER.pid() != 0
}

fn is_real(handler: usize) -> bool {
    handler != libc::SIG_DFL && handler != libc::SIG_IGN && !gates().contains(&handler)
}

/// Which gate each signal's handler was installed behind last.
static LATEST: [AtomicUsize; SIGNALS] = [const { AtomicUsize::new(0) }; SIGNALS];

/// What is remembered of one signal: the handler behind each gate, and which
/// gate is the latest.
#[derive(Clone, Copy)]
struct Memory {
    signal: usize,
    behind: [usize; GATES],
    latest: usize,
}

impl Memory {
    /// That of `signal`, if its handlers can be behind a gate.
    fn of(signal: c_int) -> Option<Self> {
        let place = usize::try_from(signal).ok().filter(|&signal| signal < SIGNALS)?;
        if !is_raised() || is_private(signal) {
            return None;
        }
        let load = |table: &[AtomicUsize], at: usize| {
            table.get(at).map_or(0, |word| word.load(Ordering::Relaxed))
        };
        let behind = [load(&HANDLERS, place), load(&HANDLERS, ROW + place)];
        Some(Memory { signal: place, behind, latest: load(&LATEST, place) % GATES })
    }

    /// Writes down what `latest` says. The other one may be another thread's by
    /// now, which sets the same handler.
    fn store(&self) {
        let (row, signal) = (self.latest, self.signal);
        if let (Some(word), Some(handler)) =
            (HANDLERS.get(row * ROW + signal), self.behind.get(row))
        {
            word.store(*handler, Ordering::Relaxed);
        }
        if let Some(word) = LATEST.get(signal) {
            word.store(row, Ordering::Relaxed);
        }
    }

    /// Whether the gate of this number still leads where it was made to lead:
    /// else another thread has used it for the same signal since.
    fn stands(&self, installed: usize) -> bool {
        gates().iter().position(|&gate| gate == installed).is_none_or(|row| {
            let now = HANDLERS.get(row * ROW + self.signal);
            now.map(|now| now.load(Ordering::Relaxed)) == self.behind.get(row).copied()
        })
    }

    /// The program's handler where `installed` is.
    fn own(&self, installed: usize) -> usize {
        match gates().iter().zip(self.behind).find(|(gate, _)| **gate == installed) {
            Some((_, behind)) => behind & !RESTARTS,
            None => installed,
        }
    }

    /// What is to be installed where the program wants `handler`: a gate, behind
    /// which it then is. If the program has got hold of a gate, it means the
    /// handler behind it.
    #[inline(never)]
    fn stand_in(&mut self, handler: usize, restarts: bool) -> usize {
        let handler = self.own(handler);
        // A vfork child's handlers are its own, but this table is its parent's.
        if super::strategy() == super::Strategy::Off || !is_real(handler) || !OWNER.is_us() {
            return handler;
        }
        let wanted = handler | if restarts { RESTARTS } else { 0 };
        if self.behind.get(self.latest) != Some(&wanted) {
            self.latest = 1 - self.latest;
        }
        if let (Some(behind), Some(gate)) =
            (self.behind.get_mut(self.latest), gates().get(self.latest))
        {
            *behind = wanted;
            self.store();
            return *gate;
        }
        handler
    }

    /// Has the old handler at `old`, if not null, be the program's own.
    ///
    /// # Safety
    /// It has just been written, at any alignment.
    unsafe fn tell(&self, old: *mut usize) {
        if !old.is_null() {
            // SAFETY: the caller's promise.
            unsafe { old.write_unaligned(self.own(old.read_unaligned())) };
        }
    }
}

/// sigaction(2) by `commit`, which gets what is to be installed, and where the
/// old action goes: a handler goes behind a gate. The program is told of its
/// own handlers only. Async-signal-safe.
///
/// # Safety
/// If `commit` succeeds, it has written the old action, unless that is null.
#[inline(never)]
pub unsafe fn action(
    signal: c_int,
    new: *const libc::sigaction,
    old: *mut libc::sigaction,
    commit: &dyn Fn(*const libc::sigaction, *mut libc::sigaction) -> c_int,
) -> c_int {
    let Some(before) = Memory::of(signal) else { return commit(new, old) };
    let Some(wanted) = signals::read(new) else {
        let result = commit(new, old);
        if result == 0 {
            // SAFETY: the caller's promise. The handler is first.
            unsafe { before.tell(old.cast()) };
        }
        return result;
    };
    let mut place = old;
    for _ in 0..ATTEMPTS {
        let Some(mut after) = Memory::of(signal) else { break };
        let mut action = wanted;
        let restarts = action.sa_flags & libc::SA_RESTART != 0;
        action.sa_sigaction = after.stand_in(action.sa_sigaction, restarts);
        let result = commit(&raw const action, place);
        if result != 0 {
            before.store();
            return result;
        }
        // The old action is the first time's.
        place = core::ptr::null_mut();
        if after.stands(action.sa_sigaction) {
            break;
        }
    }
    // SAFETY: the caller's promise. The handler is first.
    unsafe { before.tell(old.cast()) };
    0
}

/// Any other way to change the action of `signal`: `change` gives the old
/// handler, in its result or at `old`, or -1 where it fails. What it installed
/// is then put behind the gate, or taken out, as sigaction(2) would have done.
/// Async-signal-safe.
///
/// Signals are not blocked during `change`: sigset(3) asks for the mask.
///
/// # Safety
/// If `change` succeeds, it has written `old`, unless that is null.
#[inline(never)]
pub unsafe fn around(signal: c_int, old: *mut usize, change: &dyn Fn() -> isize) -> isize {
    let Some(before) = Memory::of(signal) else { return change() };
    let result = change();
    if result == -1 {
        return result;
    }
    settle(signal);
    // SAFETY: the caller's promise.
    unsafe { before.tell(old) };
    before.own(result as usize) as isize
}

fn settle(signal: c_int) {
    let _blocked = Blocked::all();
    let Ok(found) = signals::disposition(signal) else { return };
    for _ in 0..ATTEMPTS {
        let Some(mut memory) = Memory::of(signal) else { return };
        let mut now = found;
        now.handler = memory.stand_in(found.handler, found.flags & libc::SA_RESTART as usize != 0);
        if now.handler != found.handler {
            // SAFETY: the program's own handler, or the gate that leads to it.
            let _ = unsafe { signals::dispose(signal, &now) };
        }
        if memory.stands(now.handler) {
            return;
        }
    }
}

/// The process whose handlers the table holds.
static OWNER: Owner = Owner::nobody();

/// Sets the gate up for this process; at load.
pub(super) fn raise() {
    OWNER.claim();
}

/// Whether this is surely a vfork child: the memory is its parent's.
pub(super) fn in_vfork_child() -> bool {
    !OWNER.is_copied() && !OWNER.is_us()
}

/// Has a child that libc forked own its copy of the table. In one that was
/// forked past libc nobody owns it: the first who asks may be a vfork child of
/// the copy. So nothing is put behind a gate there any more.
pub fn in_child() {
    if is_raised() {
        OWNER.claim();
    }
}

/// The last of the signals, from 32 on, that the C library keeps for itself
/// (cancellation, setuid in all threads, timers): it hides what their handlers
/// interrupt. In glibc 34 is the program's, as `SIGRTMIN`.
static LAST_PRIVATE: AtomicI32 = AtomicI32::new(33);

/// Tells this module that libc is musl, which keeps three.
pub fn keep_musls() {
    LAST_PRIVATE.store(34, Ordering::Relaxed);
}

fn is_private(signal: c_int) -> bool {
    (32..=LAST_PRIVATE.load(Ordering::Relaxed)).contains(&signal)
}

/// Whether some handler without `SA_RESTART` is installed that does not stand
/// behind the gate: by a raw system call, say. Asks the kernel, 62 times.
#[must_use]
pub fn bypassed() -> bool {
    (1..SIGNALS as c_int).filter(|&signal| !is_private(signal)).any(|signal| {
        signals::disposition(signal).is_ok_and(|action| {
            is_real(action.handler) && action.flags & libc::SA_RESTART as usize == 0
        })
    })
}
