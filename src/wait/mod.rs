//! The second defect, id `freebsd-restart-r10`: a wait that the kernel
//! restarts loses arguments. `docs/wait.md` has the argument of correctness.
//!
//! The cure is never to sleep in a call whose lost arguments matter. A wait is
//! split: [`sleep`] until a child has something to report, in a call that a
//! restart cannot harm, then [`reap`](request::Request::reap) with the program's own
//! pointers and `WNOHANG`, which never sleeps, so is never restarted. Nothing
//! is consumed by the sleep, so nothing can be lost between the two; nothing
//! is reported but by the one reap, so nothing is reported twice.
//!
//! | module | |
//! | --- | --- |
//! | [`Strategy`] | the ways to carry a wait out, and the one in force |
//! | [`request`] | what the program asked for, in terms of both halves |
//! | [`halves`] | the loop: sleeps in `int 0x80` waitid, or in naps, and reaps |
//! | [`sleep`] | the instructions that sleep, which handlers may interrupt |
//! | [`gate`] | what runs in front of handlers: it ends the wait that they interrupt |
//! | [`cancel`] | the sleep as a cancellation point |
//! | [`probe`] | whether this process may use `int 0x80` |

pub mod cancel;
pub mod gate;
pub mod halves;
pub mod probe;
pub mod request;
pub mod sleep;
mod strategy;

use core::sync::atomic::{AtomicU8, Ordering};

use crate::block::BLOCK;
pub use crate::plan::Interrupted;
use crate::sys::call::Outcome;
use crate::sys::errno::Errno;
use cancel::Cancellation;
use halves::Bed;
use request::Request;
use sleep::End;
use strategy::put_in_force;
pub use strategy::{Strategy, strategy};

/// The [`Strategy`] in force.
const IN_FORCE: &AtomicU8 = &BLOCK.force.wait;

static INTERRUPTED: AtomicU8 = AtomicU8::new(Interrupted::Keep as u8);

/// Chooses the strategy; at load. `int80` becomes `two-phase` where
/// [`probe::int80_works`] says no: returns why, and what is in force.
pub fn choose(wanted: Strategy, interrupted: Interrupted) -> (Strategy, Option<probe::Unusable>) {
    let unusable = match wanted {
        Strategy::Int80 => probe::int80_works().err(),
        Strategy::Off | Strategy::TwoPhase => None,
    };
    let strategy = unusable.map_or(wanted, |_| Strategy::TwoPhase);
    if strategy != Strategy::Off {
        gate::raise();
    }
    INTERRUPTED.store(interrupted as u8, Ordering::Relaxed);
    put_in_force(strategy);
    (strategy, unusable)
}

/// Gives the strategy up, and leaves waits to libc: the program is
/// about to install a seccomp filter. One that checks the architecture kills
/// for `int 0x80`, one that knows the program's own calls for any other of
/// ours. Returns what was given up, for [`stand_up`]; in a vfork child, whose
/// memory is its parent's, nothing is. Async-signal-safe.
#[must_use]
pub fn stand_down() -> Strategy {
    let before = strategy();
    if before == Strategy::Off || gate::in_vfork_child() {
        return Strategy::Off;
    }
    put_in_force(Strategy::Off);
    before
}

/// Takes up what [`stand_down`] gave up. Async-signal-safe.
pub fn stand_up(given_up: Strategy) {
    if given_up != Strategy::Off {
        put_in_force(given_up);
    }
}

/// Whether the wait hooks have anything to do but to jump on.
#[must_use]
pub fn acts() -> bool {
    strategy() != Strategy::Off || retries()
}

/// Whether EINTR is hidden from the program.
#[must_use]
pub fn retries() -> bool {
    INTERRUPTED.load(Ordering::Relaxed) == Interrupted::Retry as u8
}

/// Carries `request` out. Async-signal-safe and re-entrant. A cancellation acts
/// while it sleeps, and only then.
///
/// # Errors
/// As the call that was asked for.
///
/// # Safety
/// As the call: its pointers are handed to the kernel, which judges them.
pub unsafe fn run(request: &Request, cancellation: Cancellation) -> Outcome {
    loop {
        // SAFETY: the caller's promise.
        let end = unsafe {
            match strategy() {
                Strategy::Off => End::Over(request.plain()),
                Strategy::Int80 => halves::attempt(request, cancellation, Bed::Int80),
                Strategy::TwoPhase => halves::attempt(request, cancellation, Bed::Naps),
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
