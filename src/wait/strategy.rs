//! How a blocking call is carried out, and which way is in force.

use core::sync::atomic::Ordering;

use super::IN_FORCE;

/// How a blocking call is carried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Strategy {
    /// As libc does it.
    Off = 0,
    /// It sleeps in INT 0x80.
    Int80 = 1,
    /// Waits are `WNOHANG` and naps.
    TwoPhase = 2,
}

impl Strategy {
    /// Its name in `SIGWARD_WAIT` and in messages.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Strategy::Off => "off",
            Strategy::Int80 => "int80",
            Strategy::TwoPhase => "two-phase",
        }
    }
}

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
