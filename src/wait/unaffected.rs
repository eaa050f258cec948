//! Architectures on which a restarted call loses nothing: no strategy is ever
//! in force, no wait is hooked, and no handler is put behind a gate.

use core::fmt;

use super::strategy::Strategy;
pub use crate::plan::Interrupted;

/// Why a strategy is not put in force.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unusable;

impl fmt::Display for Unusable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("this library has no waits to cure, as its architecture restarts them rightly")
    }
}

/// Puts no strategy in force. Returns that, and the reason if another was
/// planned.
#[must_use]
pub fn take_charge(planned: Strategy, _: Interrupted) -> (Strategy, Option<Unusable>) {
    (Strategy::Off, (planned != Strategy::Off).then_some(Unusable))
}

/// Whether waits are changed in any way.
#[must_use]
pub const fn acts() -> bool {
    false
}

/// Whether EINTR is hidden from the program.
#[must_use]
pub const fn retries() -> bool {
    false
}

/// Gives up the strategy, of which there is none.
#[must_use]
pub const fn stand_down() -> Strategy {
    Strategy::Off
}

/// Undoes [`stand_down`].
pub const fn stand_up(_: Strategy) {}

/// The gate that other architectures put in front of handlers.
pub mod gate {
    use core::ffi::c_int;

    /// sigaction(2) by `commit`.
    ///
    /// # Safety
    /// None here; see the gate of x86-64.
    pub unsafe fn action(
        _: c_int,
        new: *const libc::sigaction,
        old: *mut libc::sigaction,
        commit: &dyn Fn(*const libc::sigaction, *mut libc::sigaction) -> c_int,
    ) -> c_int {
        commit(new, old)
    }

    /// Any other way to change an action.
    ///
    /// # Safety
    /// None here; see the gate of x86-64.
    pub unsafe fn around(_: c_int, _: *mut usize, change: &dyn Fn() -> isize) -> isize {
        change()
    }

    /// A child that libc forked has no gate either.
    pub const fn in_child() {}
}
