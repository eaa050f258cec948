//! Runs in front of the program's handlers, and ends the wait that they
//! interrupt, as the kernel would.
//!
//! A thread that sleeps in the kernel's own wait looks for a child before it
//! acts on a signal, and only then does the handler run; afterwards the wait
//! ends, with the child or EINTR, or restarts. A wait that sleeps in pieces
//! must do the same, at every instruction. So, while a strategy is in force,
//! handlers are installed behind `sigward_wait_gate`. If the interrupted
//! instruction belongs to the stretch in which a wait sleeps (see
//! [`super::sleep`]), the gate reaps for the waiter, by a raw call that never
//! sleeps, and records how the wait ends. Then it jumps to the program's
//! handler, which finds registers, stack and return address as the kernel made
//! them.
//!
//! Nothing is registered: the gate finds all that it needs through the
//! interrupted registers. So a handler that jumps out of the wait, a
//! cancellation or another thread cannot leave anything stale.
//!
//! Signals that come together are delivered on top of each other: the handler
//! that runs first has interrupted the gate of the handler that interrupted the
//! wait. So a gate does the work of any gate that it interrupted before that
//! one had all signals blocked.

use core::ffi::c_int;
use core::sync::atomic::{AtomicI32, AtomicUsize, Ordering};

use super::sleep::{EVERY, Waiter};
use crate::arch::{self, SignalContext};
use crate::os::owner::Owner;
use crate::os::signals::{self, Blocked};
use crate::os::user_memory;
use crate::wait::strategy::{Strategy, strategy};

/// Signals on Linux are 1 to 64.
const SIGNALS: usize = 65;

/// Two gates, so that a new handler does not share the old handler's gate. The
/// old gate must still lead to the old handler until the kernel knows the new
/// one, and wherever the program has read the gate's address past our hooks and
/// chains to it.
const GATES: usize = 2;

/// The distance between the gates' rows in [`HANDLERS`]; a power of two.
const ROW: usize = 128;

/// The program's handlers behind each gate, by signal, with [`RESTARTS`].
static HANDLERS: [AtomicUsize; GATES * ROW] = [const { AtomicUsize::new(0) }; GATES * ROW];

/// The flag of a handler that was installed with `SA_RESTART`: no address of a
/// program has this bit.
const RESTARTS: usize = 1 << 63;

/// How often an action is installed at most. It is installed again whenever
/// another thread has meanwhile taken the gate for the same signal. Otherwise
/// one thread's handler would run with the other's flags.
const ATTEMPTS: usize = 64;

/// The most bytes of the handler's stack that a gate takes, below the frame.
const ROOM: usize = 512;

/// What the kernel calls in place of a handler; the other gate is its second
/// entry. It takes any handler's arguments; the kernel passes all three, with
/// or without `SA_SIGINFO`. In a delivery the third points to the start of the
/// frame, right behind the return address. If it does not, the program is
/// calling a handler that it read past our hooks.
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

/// If the delivery with `context` interrupted a wait, ends the wait; `place` is
/// the place of the delivery's handler. All signals are blocked. Nothing is
/// done twice: a thread whose wait was ended is no longer in the stretch.
///
/// # Safety
/// `context` belongs to a delivery that is under way on this thread.
unsafe extern "C" fn interrupt(place: usize, context: *mut libc::ucontext_t) {
    let (mut place, mut context) = (place, context);
    loop {
        // SAFETY: the caller's contract; or the context of the delivery whose
        // gate was interrupted.
        let mut interrupted = unsafe { SignalContext::by(context) };
        if let Some(waiter) = interrupted.sleeper() {
            // SAFETY: the argument of the stretch, which is live.
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

/// Whether handlers were ever installed behind a gate. They stay there after
/// the strategy is given up.
fn is_raised() -> bool {
    OWNER.pid() != 0
}

fn is_real(handler: usize) -> bool {
    handler != libc::SIG_DFL && handler != libc::SIG_IGN && !gates().contains(&handler)
}

/// The gate that each signal's handler was last installed behind.
static LATEST: [AtomicUsize; SIGNALS] = [const { AtomicUsize::new(0) }; SIGNALS];

/// The state of one signal: the handler behind each gate, and the latest gate.
#[derive(Clone, Copy)]
struct Memory {
    signal: usize,
    behind: [usize; GATES],
    latest: usize,
}

impl Memory {
    /// The state of `signal`; `None` if its handlers cannot be behind a gate.
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

    /// Stores the handler behind the latest gate. The other gate may meanwhile
    /// be in use by another thread that installs a handler for the same signal.
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

    /// Whether the gate at `installed` still leads to the handler stored here.
    /// If not, another thread has used it for the same signal since.
    fn stands(&self, installed: usize) -> bool {
        gates().iter().position(|&gate| gate == installed).is_none_or(|row| {
            let now = HANDLERS.get(row * ROW + self.signal);
            now.map(|now| now.load(Ordering::Relaxed)) == self.behind.get(row).copied()
        })
    }

    /// The program's handler for the installed address `installed`.
    fn own(&self, installed: usize) -> usize {
        match gates().iter().zip(self.behind).find(|(gate, _)| **gate == installed) {
            Some((_, behind)) => behind & !RESTARTS,
            None => installed,
        }
    }

    /// What to install if the program wants `handler`: a gate, which then leads
    /// to it. If the program passes the address of a gate, it means the handler
    /// behind that.
    #[inline(never)]
    fn stand_in(&mut self, handler: usize, restarts: bool) -> usize {
        let handler = self.own(handler);
        // A vfork child's handlers are its own, but this table is its parent's.
        if strategy() == Strategy::Off || !is_real(handler) || !OWNER.is_us() {
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

    /// Replaces a gate's address in `*old` by the program's handler, unless
    /// `old` is null.
    ///
    /// # Safety
    /// `*old` has just been written, at any alignment.
    unsafe fn show_own(&self, old: *mut usize) {
        if !old.is_null() {
            // SAFETY: the caller's contract.
            unsafe { old.write_unaligned(self.own(old.read_unaligned())) };
        }
    }
}

/// sigaction(2) by `commit`, which takes the action to install and the
/// destination of the old action. Puts a handler behind a gate. The program
/// sees only its own handlers. Async-signal-safe.
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
    let Some(wanted) = user_memory::read(new) else {
        let result = commit(new, old);
        if result == 0 {
            // SAFETY: the caller's contract. The handler is the first field.
            unsafe { before.show_own(old.cast()) };
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
        // Only the first call reports the program's old action.
        place = core::ptr::null_mut();
        if after.stands(action.sa_sigaction) {
            break;
        }
    }
    // SAFETY: the caller's contract. The handler is the first field.
    unsafe { before.show_own(old.cast()) };
    0
}

/// Any other way to change the action of `signal`. `change` returns the old
/// handler or writes it to `old`; it returns -1 if it fails. Afterwards the
/// handler that it installed is put behind the gate, or taken from there, as by
/// sigaction(2). Async-signal-safe.
///
/// Signals are not blocked during `change`: sigset(3) reads the mask.
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
    // SAFETY: the caller's contract.
    unsafe { before.show_own(old) };
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
            // SAFETY: the program's own handler, or a gate that leads to it.
            let _ = unsafe { signals::dispose(signal, &now) };
        }
        if memory.stands(now.handler) {
            return;
        }
    }
}

/// The process whose handlers the table contains.
static OWNER: Owner = Owner::nobody();

/// Sets up the gate for this process; called at load.
pub(super) fn raise() {
    OWNER.claim();
}

/// Whether this is certainly a vfork child: the memory is its parent's.
pub(super) fn in_vfork_child() -> bool {
    !OWNER.is_copied() && !OWNER.is_us()
}

/// Makes a child that libc forked the owner of its copy of the table. If a
/// child was forked past libc, nobody owns its copy: the first to ask may be a
/// vfork child of that child. So no handlers are put behind a gate there any
/// more.
pub fn in_child() {
    if is_raised() {
        OWNER.claim();
    }
}

/// The last of the signals, from 32 on, that the C library keeps for itself
/// (cancellation, setuid in all threads, timers). The library hides what their
/// handlers interrupt. In glibc the program may use 34, as `SIGRTMIN`.
static LAST_PRIVATE: AtomicI32 = AtomicI32::new(33);

/// Records that libc is musl, which keeps three.
pub fn reserve_for_musl() {
    LAST_PRIVATE.store(34, Ordering::Relaxed);
}

fn is_private(signal: c_int) -> bool {
    (32..=LAST_PRIVATE.load(Ordering::Relaxed)).contains(&signal)
}

/// Whether any handler without `SA_RESTART` is installed without the gate, by a
/// raw system call, for example. Asks the kernel, with 62 calls.
#[must_use]
pub fn bypassed() -> bool {
    (1..SIGNALS as c_int).filter(|&signal| !is_private(signal)).any(|signal| {
        signals::disposition(signal).is_ok_and(|action| {
            is_real(action.handler) && action.flags & libc::SA_RESTART as usize == 0
        })
    })
}
