//! The instructions that sleep: the one stretch of a wait in which handlers
//! run.
//!
//! All signals are blocked while a wait is awake. The stretch (in
//! [`crate::arch`]) unblocks them, sleeps, and blocks them again. So a handler
//! that runs during a wait has interrupted an instruction of the stretch, which
//! is how [`super::gate`] knows: it runs in front of the program's handlers,
//! finds the wait by the registers, decides how it ends, and has the thread
//! leave the stretch. That holds on the edges, too: what came while signals were
//! blocked is delivered at the second instruction of the stretch that enters
//! the kernel or before, and what comes after the sleep at its last.
//!
//! The function has nothing to clean up, and its unwind table holds at every
//! instruction, so a cancellation may end the thread anywhere in the stretch.

use core::ffi::c_int;
use core::mem::offset_of;

use super::cancel::{Disabled, Own};
use super::request::{Event, Request};
use crate::arch;
use crate::sys::call::Outcome;
use crate::sys::errno::Errno;
use crate::sys::signals::{Blocked, Mask};

/// Every signal, for the kernel: what is blocked while a wait is awake.
pub(super) static EVERY: Mask = !0;

/// How a wait ended that a handler interrupted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// It was over before the handler ran: its outcome.
    Over(Outcome),
    /// By that handler: EINTR.
    Interrupted,
    /// It did not: it begins anew, as the kernel restarts it.
    Restarted,
}

/// A wait between its halves. On the waiter's stack; the gate finds it by the
/// registers that the delivery interrupted.
#[repr(C)]
pub struct Waiter<'r> {
    /// What the thread's signal mask was, while `blocked` is not 0.
    mask: Mask,
    blocked: u32,
    /// Milliseconds to nap; -1: it sleeps for the event.
    nap: c_int,
    event: Event,
    request: &'r Request,
    /// The thread's own type of cancellation.
    own: Own,
    end: End,
}

impl<'r> Waiter<'r> {
    /// A wait for `request` that begins, on a thread whose type of
    /// cancellation is to be `own` when it is over.
    #[must_use]
    pub fn new(request: &'r Request, own: Own) -> Self {
        let event = request.event();
        Waiter { mask: 0, blocked: 0, nap: -1, event, request, own, end: End::Restarted }
    }

    /// Sleeps until there is something to reap, consuming nothing, or for
    /// `nap` milliseconds. Then signals are blocked.
    ///
    /// # Errors
    /// Of the sleep: those of waitid(2) or poll(2).
    ///
    /// `Err(end)`: a handler has run, and signals are as the program has them.
    pub fn sleep(&mut self, nap: Option<c_int>) -> Result<Outcome, End> {
        self.nap = nap.unwrap_or(-1);
        // SAFETY: a live wait. The gate changes it during the call only.
        let slept = unsafe { sleep(self) };
        if slept == LEFT {
            return Err(self.end);
        }
        self.blocked = 1;
        Ok(Errno::judge(slept))
    }

    /// It is over: cancellation and signals are the program's again.
    pub(super) fn finish(self, disabled: Disabled) {
        self.own.put_back();
        disabled.put_back();
        drop(Blocked::left(self.mask));
    }

    /// In front of a handler that interrupts the sleep: what the kernel would
    /// do now. It looks for a child before it obeys a signal. All signals are
    /// blocked, so neither another handler nor a cancellation comes between.
    pub(super) fn interrupt(&mut self, restarts: bool) {
        self.own.put_back();
        // SAFETY: whoever waits has vouched for its pointers.
        self.end = match unsafe { self.request.reap_raw() } {
            Some(outcome) => End::Over(outcome),
            None if restarts => End::Restarted,
            None => End::Interrupted,
        };
    }
}

/// What [`sleep`] returns if the gate had it leave. Neither call gives it.
const LEFT: isize = 0x1ef7;

/// Sleeps in `waitid(kind, id, NULL, options, NULL)`, by an entry that a restart
/// cannot harm, or in `poll(NULL, 0, nap)`, which has nothing to lose: returns
/// the kernel's answer.
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
