//! The instructions that sleep: the one stretch of a wait in which handlers
//! run.
//!
//! All signals are blocked while a wait is awake. The stretch (in
//! [`crate::arch`]) unblocks them, sleeps, and blocks them again. So a handler
//! that runs during a wait has interrupted an instruction of the stretch. That
//! is how [`super::gate`] recognizes it: it runs in front of the program's
//! handlers, finds the wait through the registers, decides how the wait ends,
//! and makes the thread leave the stretch. This holds at the edges too: a
//! signal that came while signals were blocked is delivered no later than at
//! the second instruction of the stretch that enters the kernel, and one that
//! comes after the sleep no later than at the last instruction.
//!
//! The function has nothing to clean up, and its unwind table is correct at
//! every instruction, so a cancellation may end the thread anywhere in the
//! stretch.

use core::ffi::c_int;
use core::mem::offset_of;

use super::cancel::{Disabled, Own};
use super::request::{Event, Request};
use crate::arch;
use crate::os::call::Outcome;
use crate::os::errno::Errno;
use crate::os::signals::{Blocked, Mask};

/// The kernel's set of all signals, which are blocked while a wait is awake.
pub(super) static EVERY: Mask = !0;

/// How a wait ended that a handler interrupted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The wait was over before the handler ran; its outcome.
    Over(Outcome),
    /// The handler ended it: EINTR.
    Interrupted,
    /// It did not end, and begins again, as when the kernel restarts it.
    Restarted,
}

/// A wait between its halves, on the waiter's stack. The gate finds it through
/// the registers that the delivery interrupted.
#[repr(C)]
pub struct Waiter<'r> {
    /// The thread's previous signal mask, while `blocked` is not 0.
    mask: Mask,
    blocked: u32,
    /// Milliseconds to nap; -1 to sleep for the event.
    nap: c_int,
    event: Event,
    request: &'r Request,
    /// The thread's own cancellation type.
    own: Own,
    end: End,
}

impl<'r> Waiter<'r> {
    /// A new wait for `request`; when it is over, the thread's cancellation
    /// type is restored to `own`.
    #[must_use]
    pub fn new(request: &'r Request, own: Own) -> Self {
        let event = request.event();
        Waiter { mask: 0, blocked: 0, nap: -1, event, request, own, end: End::Restarted }
    }

    /// Sleeps until there is something to reap, without consuming it, or for
    /// `nap` milliseconds. Afterwards signals are blocked.
    ///
    /// # Errors
    /// In `Ok`, those of the sleep: waitid(2) or poll(2).
    ///
    /// `Err(end)` if a handler has run; then signals are as the program has
    /// them.
    pub fn sleep(&mut self, nap: Option<c_int>) -> Result<Outcome, End> {
        self.nap = nap.unwrap_or(-1);
        // SAFETY: a live wait. The gate changes it only during the call.
        let slept = unsafe { sleep(self) };
        if slept == LEFT {
            return Err(self.end);
        }
        self.blocked = 1;
        Ok(Errno::judge(slept))
    }

    /// Ends the wait: restores the program's cancellation and signal mask.
    pub(super) fn finish(self, disabled: Disabled) {
        self.own.put_back();
        disabled.put_back();
        drop(Blocked::left(self.mask));
    }

    /// Called in front of a handler that interrupts the sleep. Does what the
    /// kernel would do now: it looks for a child before it acts on a signal.
    /// All signals are blocked, so neither another handler nor a cancellation
    /// can come in between.
    pub(super) fn interrupt(&mut self, restarts: bool) {
        self.own.put_back();
        // SAFETY: the waiting caller has vouched for its pointers.
        self.end = match unsafe { self.request.reap_raw() } {
            Some(outcome) => End::Over(outcome),
            None if restarts => End::Restarted,
            None => End::Interrupted,
        };
    }
}

/// What [`sleep`] returns if the gate made it leave. Neither call returns this.
const LEFT: isize = 0x1ef7;

/// Sleeps in `waitid(kind, id, NULL, options, NULL)`, by an entry that a
/// restart cannot harm, or in `poll(NULL, 0, nap)`, which has nothing to lose.
/// Returns the kernel's answer.
#[unsafe(naked)]
unsafe extern "C" fn sleep(waiter: *mut Waiter<'_>) -> isize {
    arch::sleep_stretch!(
        blocked = offset_of!(Waiter<'static>, blocked),
        mask = offset_of!(Waiter<'static>, mask),
        nap = offset_of!(Waiter<'static>, nap),
        kind = offset_of!(Waiter<'static>, event) + offset_of!(Event, kind),
        id = offset_of!(Waiter<'static>, event) + offset_of!(Event, id),
        options = offset_of!(Waiter<'static>, event) + offset_of!(Event, options),
        every = EVERY,
        left = LEFT,
    )
}
