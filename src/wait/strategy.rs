//! The strategy in force.

use core::sync::atomic::{AtomicU8, Ordering};

pub use crate::plan::Strategy;
#[cfg(target_os = "linux")]
use crate::state::published_block::BLOCK;

/// On Linux other processes may read it.
#[cfg(target_os = "linux")]
const IN_FORCE: &AtomicU8 = &BLOCK.force.wait;
#[cfg(target_os = "freebsd")]
static IN_FORCE: AtomicU8 = AtomicU8::new(Strategy::Off as u8);

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
#[cfg(any(target_arch = "x86_64", target_os = "freebsd"))]
pub(super) fn put_in_force(strategy: Strategy) {
    IN_FORCE.store(strategy as u8, Ordering::Relaxed);
}
