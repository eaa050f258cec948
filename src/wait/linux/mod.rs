//! Waits on Linux. `docs/wait.md` argues why they are correct.
//!
//! The cure is never to sleep in a call whose lost arguments matter. A wait is
//! split: [`sleep`] until a child has something to report, in a call that a
//! restart cannot harm, then [`reap`](request::Request::reap) with the
//! program's own pointers and `WNOHANG`, which never sleeps and so is never
//! restarted. The sleep consumes nothing, so nothing can be lost between the
//! two; only the one reap reports anything, so nothing is reported twice.
//!
//! | module | |
//! | --- | --- |
//! | [`request`] | what the program asked for, as two halves |
//! | [`halves`] | the loop: sleeps in `int 0x80` waitid or in naps, then reaps |
//! | [`sleep`] | the instructions that sleep, which handlers may interrupt |
//! | [`gate`] | runs in front of handlers and ends the wait that they interrupt |
//! | [`cancel`] | makes the sleep a cancellation point |
//! | [`int80`] | whether this process may use `int 0x80` |

pub mod cancel;
pub mod gate;
pub mod halves;
pub mod int80;
pub mod request;
pub mod sleep;

use core::sync::atomic::{AtomicU8, Ordering};

use super::strategy::{Strategy, put_in_force, strategy};
use crate::os::call::Outcome;
use crate::os::errno::Errno;
pub use crate::plan::Interrupted;
use cancel::Cancellation;
use halves::SleepBy;
use request::Request;
use sleep::End;

static INTERRUPTED: AtomicU8 = AtomicU8::new(Interrupted::Keep as u8);

/// Puts the strategy of the plan in force; called at load. If [`int80::works`]
/// fails, `two-phase` replaces `int80`. Returns the strategy in force and the
/// reason for the change.
pub fn take_charge(
    planned: Strategy,
    interrupted: Interrupted,
) -> (Strategy, Option<int80::Unusable>) {
    let unusable = match planned {
        Strategy::Int80 => int80::works().err(),
        Strategy::Off | Strategy::TwoPhase => None,
    };
    let strategy = unusable.map_or(planned, |_| Strategy::TwoPhase);
    if strategy != Strategy::Off {
        gate::raise();
    }
    INTERRUPTED.store(interrupted as u8, Ordering::Relaxed);
    put_in_force(strategy);
    (strategy, unusable)
}

/// Gives up the strategy and leaves waits to libc, because the program is about
/// to install a seccomp filter. A filter that checks the architecture kills the
/// process for `int 0x80`; one that allows the program's own calls kills it for
/// any other call of ours. Returns what was given up, for [`stand_up`]. In a
/// vfork child nothing is given up, as the memory is its parent's.
/// Async-signal-safe.
#[must_use]
pub fn stand_down() -> Strategy {
    let before = strategy();
    if before == Strategy::Off || gate::in_vfork_child() {
        return Strategy::Off;
    }
    put_in_force(Strategy::Off);
    before
}

/// Restores what [`stand_down`] gave up. Async-signal-safe.
pub fn stand_up(given_up: Strategy) {
    if given_up != Strategy::Off {
        put_in_force(given_up);
    }
}

/// Whether the wait hooks do anything but jump to the original.
#[must_use]
pub fn acts() -> bool {
    strategy() != Strategy::Off || retries()
}

/// Whether EINTR is hidden from the program.
#[must_use]
pub fn retries() -> bool {
    INTERRUPTED.load(Ordering::Relaxed) == Interrupted::Retry as u8
}

/// Carries out `request`. Async-signal-safe and re-entrant. A cancellation acts
/// while it sleeps, and only then.
///
/// # Errors
/// Those of the requested call.
///
/// # Safety
/// The same as for the call: the kernel checks its pointers.
pub unsafe fn run(request: &Request, cancellation: Cancellation) -> Outcome {
    loop {
        // SAFETY: the caller's contract.
        let end = unsafe {
            match strategy() {
                Strategy::Off => End::Over(request.plain()),
                Strategy::Int80 => halves::attempt(request, cancellation, SleepBy::Int80),
                Strategy::TwoPhase => halves::attempt(request, cancellation, SleepBy::Naps),
            }
        };
        let outcome = match end {
            End::Restarted => continue,
            End::Interrupted => Err(Errno::EINTR),
            End::Over(outcome) => outcome,
        };
        if !(retries() && outcome == Err(Errno::EINTR)) {
            return outcome;
        }
    }
}
