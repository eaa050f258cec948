//! Strategy `two-phase`: reap with `WNOHANG`, and nap while there is nothing.
//!
//! For where there is no `int 0x80`: a filter, a kernel built without it. No
//! call with more than three arguments ever sleeps, so there is nothing that a
//! restart could lose, whatever the garbage is. A sleep in SYSCALL waitid with
//! `WNOWAIT` would be quicker to wake, but its options are in R10: garbage
//! that happens to be valid options *consumes* the child. A pidfd is not used
//! either: it would be left open by a handler that jumps out of the wait, and
//! is blind for stops.
//!
//! The price is time: a child is seen at the end of a nap. Naps start at 1 ms
//! and double up to `LONGEST_NAP`; one ends early when any handler runs on
//! this thread, such as one for SIGCHLD.

use core::ffi::c_int;
use core::sync::atomic::Ordering;

use super::{cancel::Cancellation, gate, request::Request, sleep};
use crate::sys::call::Outcome;
use crate::sys::errno::Errno;

/// Milliseconds.
const LONGEST_NAP: c_int = 16;

/// Waits.
///
/// # Errors
/// As the call that was asked for.
///
/// # Safety
/// As [`super::run`].
pub unsafe fn run(request: &Request, cancellation: Cancellation) -> Outcome {
    let generation = gate::generation();
    let seen = generation.load(Ordering::Relaxed);
    let mut milliseconds = 1;
    if request.is_nonblocking() {
        // SAFETY: the caller's promise. EAGAIN is given without `WNOHANG` only.
        return unsafe { request.plain() };
    }
    cancellation.test();
    let mut interrupted = false;
    loop {
        if request.is_reportable()
            // SAFETY: the caller's promise.
            && let Some(outcome) = unsafe { request.reap() }
        {
            return outcome;
        }
        // Behind the reap: of a child and a signal that come together, such as
        // SIGCHLD, the kernel reports the child.
        if interrupted {
            // SAFETY: the caller's promise.
            return unsafe { request.fail(Errno::EINTR) };
        }
        let napped = cancellation.around(|| sleep::nap(milliseconds, generation, seen));
        // poll says EINTR for a handler with SA_RESTART, too.
        interrupted = napped == Err(Errno::EINTR)
            && (generation.load(Ordering::Relaxed) != seen || gate::bypassed());
        milliseconds = milliseconds.saturating_mul(2).min(LONGEST_NAP);
    }
}
