//! A wait in two halves: sleep until there may be something to reap, then reap
//! it, by a call that never sleeps.
//!
//! # `int80`
//!
//! The affected kernels restart a call that was entered by INT 0x80 with its
//! own arguments. On Linux that entry takes 32-bit pointers, so the sleeping
//! half, waitid with `WNOWAIT`, has none: no record, no usage. It reports, by
//! its mere return, that there is something to reap, and consumes nothing.
//!
//! The loop ends: a reap that finds nothing after a sleep that reported
//! something means that another waiter consumed it, so the process as a whole
//! went on. Should a kernel report what it then does not give, the loop naps
//! now and then instead of spinning. A kernel that refuses what its wait4
//! takes (the caller's own group before 5.4; `__WALL`, `__WCLONE` and
//! `__WNOTHREAD` before 4.7) has that wait made in naps.
//!
//! # `two-phase`
//!
//! For where there is no `int 0x80`: a filter, a kernel built without it. The
//! sleep is a nap, and no call with more than three arguments ever sleeps, so
//! there is nothing that a restart could lose, whatever the garbage is. A
//! sleep in SYSCALL waitid with `WNOWAIT` would be quicker to wake, but its
//! options are in R10: garbage that happens to be valid options *consumes* the
//! child. A pidfd is not used either: it would be left open by a handler that
//! jumps out of the wait, and is blind for stops.
//!
//! The price is time: a child is seen at the end of a nap. Naps start at 1 ms
//! and double up to `LONGEST_NAP`; one ends early when any handler runs on
//! this thread, such as one for SIGCHLD.

use core::ffi::c_int;

use super::cancel::{Cancellation, Disabled};
use super::gate;
use super::request::Request;
use super::sleep::{End, Waiter};
use crate::sys::call::Outcome;
use crate::sys::errno::Errno;
use crate::sys::signals;

/// Milliseconds.
const LONGEST_NAP: c_int = 16;

/// After so many reaps in a row that found nothing, a nap of 1 ms.
const LOSSES_BEFORE_NAP: u32 = 256;
const LAST_LOSS: u32 = LOSSES_BEFORE_NAP - 1;

/// What a wait sleeps in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bed {
    /// `int 0x80`, until there is something to reap.
    Int80,
    /// Naps.
    Naps,
}

/// Waits, until it is over or a handler has run.
///
/// # Safety
/// As [`super::run`].
#[must_use]
pub unsafe fn attempt(request: &Request, cancellation: Cancellation, bed: Bed) -> End {
    let mut napping = bed == Bed::Naps;
    if napping && request.is_nonblocking() {
        // SAFETY: the caller's promise. EAGAIN is given without `WNOHANG` only.
        return End::Over(unsafe { request.plain() });
    }
    // It is awake with signals blocked.
    signals::prove_for_wait();
    let mut waiter = Waiter::new(request, cancellation.begin());
    let mut milliseconds = 0;
    let mut losses = 0_u32;
    loop {
        let nap = match losses % LOSSES_BEFORE_NAP {
            _ if napping => Some(milliseconds),
            LAST_LOSS => Some(1),
            _ => None,
        };
        let slept = match waiter.sleep(nap) {
            Ok(slept) => slept,
            Err(end) => return end,
        };
        let disabled = Disabled::when(request.is_seen());
        // SAFETY: the caller's promise.
        let outcome = unsafe {
            match slept {
                _ if nap.is_some() => look(request, slept),
                Ok(_) => request.reap(),
                Err(Errno::EINVAL) if request.is_wait4() => {
                    napping = true;
                    None
                }
                Err(error) => fail(request, error),
            }
        };
        if let Some(outcome) = outcome {
            waiter.finish(disabled);
            return End::Over(outcome);
        }
        disabled.put_back();
        losses = losses.wrapping_add(1);
        milliseconds = (milliseconds * 2).clamp(1, LONGEST_NAP);
    }
}

/// Ends the wait with what the sleep said. The program's own call says it
/// better, and whoever is to see that does.
///
/// # Safety
/// As [`super::run`].
unsafe fn fail(request: &Request, error: Errno) -> Option<Outcome> {
    // A handler past the gate: the kernel has looked before it obeyed.
    // SAFETY: the caller's promise.
    let said = if error == Errno::EINTR { None } else { unsafe { request.reap() } };
    // SAFETY: as above.
    said.or_else(|| Some(unsafe { request.fail(error) }))
}

/// What there is after a nap, if that ends the wait.
///
/// # Safety
/// As [`super::run`].
unsafe fn look(request: &Request, napped: Outcome) -> Option<Outcome> {
    if request.is_reportable()
        // SAFETY: the caller's promise.
        && let Some(outcome) = unsafe { request.reap() }
    {
        return Some(outcome);
    }
    // A handler behind the gate would not have let it return here. poll says
    // EINTR for one with SA_RESTART, too.
    let interrupted = napped == Err(Errno::EINTR) && gate::bypassed();
    // SAFETY: the caller's promise.
    interrupted.then(|| unsafe { request.fail(Errno::EINTR) })
}
