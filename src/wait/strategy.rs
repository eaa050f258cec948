//! How a blocking call is carried out, and which way is in force.

use core::sync::atomic::Ordering;

use super::IN_FORCE;

pub use crate::plan::Strategy;

/// The strategy in force. Async-signal-safe.
#[must_use]
pub fn strategy() -> Strategy {
    match IN_FORCE.load(Ordering::Relaxed) {
        1 => Strategy::Int80,
        2 => Strategy::TwoPhase,
        _ => Strategy::Off,
    }
}

/// Puts `strategy` in force. Async-signal-safe.
pub(super) fn put_in_force(strategy: Strategy) {
    IN_FORCE.store(strategy as u8, Ordering::Relaxed);
}
