//! A wait in two halves: sleep until there may be something to reap, then reap
//! it by a call that never sleeps.
//!
//! # `int80`
//!
//! The affected kernels restart a call with its own arguments if it was entered
//! by INT 0x80. On Linux that entry takes 32-bit pointers, so the sleeping
//! half, waitid with `WNOWAIT`, has none: no siginfo, no usage. It reports, just
//! by returning, that there is something to reap, and consumes nothing.
//!
//! The loop ends: if the sleep reported something and the reap finds nothing,
//! another waiter has consumed it, so the process as a whole made progress. If
//! a kernel reports a child but does not let it be reaped, the loop naps now
//! and then instead of spinning. A kernel's waitid may refuse what its wait4
//! takes (the caller's own group before 5.4; `__WALL`, `__WCLONE` and
//! `__WNOTHREAD` before 4.7); then the wait sleeps in naps.
//!
//! # `two-phase`
//!
//! For processes without `int 0x80`, because of a filter or a kernel built
//! without it. The sleep is a nap. No call with more than three arguments ever
//! sleeps, so a restart can lose nothing, whatever the garbage is. A sleep in
//! SYSCALL waitid with `WNOWAIT` would wake sooner, but its options are in R10:
//! garbage that happens to be valid options *consumes* the child. A pidfd will
//! not do either: a handler that jumps out of the wait would leave it open, and
//! it does not report stops.
//!
//! The price is time: a child is noticed at the end of a nap. Naps start at 1
//! ms and double up to `LONGEST_NAP`; a nap ends early when any handler runs on
//! this thread, such as one for SIGCHLD.

use core::ffi::c_int;

use super::cancel::{Cancellation, Disabled};
use super::gate;
use super::request::Request;
use super::sleep::{End, Waiter};
use crate::os::call::Outcome;
use crate::os::errno::Errno;
use crate::os::signals;

/// In milliseconds.
const LONGEST_NAP: c_int = 16;

/// After so many reaps in a row that found nothing, the wait naps for 1 ms.
const LOSSES_BEFORE_NAP: u32 = 256;
const LAST_LOSS: u32 = LOSSES_BEFORE_NAP - 1;

/// How a wait sleeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SleepBy {
    /// In `int 0x80`, until there is something to reap.
    Int80,
    /// In naps.
    Naps,
}

/// Waits until the wait is over or a handler has run.
///
/// # Safety
/// As for [`super::run`].
#[must_use]
pub unsafe fn attempt(request: &Request, cancellation: Cancellation, by: SleepBy) -> End {
    let mut napping = by == SleepBy::Naps;
    if napping && request.is_nonblocking() {
        // SAFETY: the caller's contract. EAGAIN is returned only without
        // `WNOHANG`.
        return End::Over(unsafe { request.plain() });
    }
    // The wait blocks signals while it is awake.
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
        // SAFETY: the caller's contract.
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

/// Ends the wait with the error of the sleep. The program's own call gives a
/// more precise answer, and a library that should see the reap sees that call.
///
/// # Safety
/// As for [`super::run`].
unsafe fn fail(request: &Request, error: Errno) -> Option<Outcome> {
    // A handler that bypassed the gate: the kernel looked for a child before it
    // acted on the signal.
    // SAFETY: the caller's contract.
    let outcome = if error == Errno::EINTR { None } else { unsafe { request.reap() } };
    // SAFETY: as above.
    outcome.or_else(|| Some(unsafe { request.fail(error) }))
}

/// Looks for something to reap after a nap; `None` if the wait goes on.
///
/// # Safety
/// As for [`super::run`].
unsafe fn look(request: &Request, napped: Outcome) -> Option<Outcome> {
    if request.is_reportable()
        // SAFETY: the caller's contract.
        && let Some(outcome) = unsafe { request.reap() }
    {
        return Some(outcome);
    }
    // A handler behind the gate would not have let the sleep return here. poll
    // returns EINTR for a handler with SA_RESTART too.
    let interrupted = napped == Err(Errno::EINTR) && gate::bypassed();
    // SAFETY: the caller's contract.
    interrupted.then(|| unsafe { request.fail(Errno::EINTR) })
}
