//! The wait family, on architectures whose waits need no cure: libc's own.

use core::ffi::c_long;

use super::Arguments;

/// Makes no export jump anywhere.
pub const fn ready() {}

/// Looks no name up.
pub const fn find_all() {}

/// No call is watched in syscall(2).
pub const NUMBERS: &[c_long] = &[];

/// Never called, as there are no [`NUMBERS`].
pub fn by_number(_: c_long, _: &Arguments, commit: impl FnOnce() -> c_long) -> c_long {
    commit()
}
