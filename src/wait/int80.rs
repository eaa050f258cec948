//! Strategy `int80`: sleep in `int 0x80` waitid with `WNOWAIT`.
//!
//! The affected kernels restart a call that was entered by INT 0x80 with its
//! own arguments. On Linux that entry takes 32-bit pointers, so the sleeping
//! half has none: no record, no usage. It reports, by its mere return, that
//! there is something to reap, and consumes nothing.
//!
//! The loop ends: a reap that finds nothing after a sleep that reported
//! something means that another waiter consumed it, so the process as a whole
//! went on. Should a kernel report what it then does not give, the loop naps
//! now and then instead of spinning.

use core::sync::atomic::Ordering;

use super::{cancel::Cancellation, gate, request::Request, sleep};
use crate::sys::call::Outcome;
use crate::sys::errno::Errno;

/// After so many reaps in a row that found nothing, a nap of 1 ms.
const LOSSES_BEFORE_NAP: u32 = 256;

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
    let mut event = request.event();
    let mut losses = 0_u32;
    loop {
        let slept = cancellation.around(|| sleep::until_reportable(event, generation, seen));
        match slept {
            Ok(_) => {}
            Err(Errno::EINVAL) if event.id == 0 => match request.event_by_group() {
                Some(by_group) => {
                    event = by_group;
                    continue;
                }
                // SAFETY: the caller's promise.
                None => return unsafe { request.fail(Errno::EINVAL) },
            },
            // SAFETY: the caller's promise.
            Err(error) => return unsafe { request.fail(error) },
        }
        // SAFETY: the caller's promise.
        if let Some(outcome) = unsafe { request.reap() } {
            return outcome;
        }
        losses = losses.wrapping_add(1);
        if losses.is_multiple_of(LOSSES_BEFORE_NAP) {
            let _ = cancellation.around(|| sleep::nap(1, generation, seen));
        }
    }
}
