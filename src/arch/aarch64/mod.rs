//! 64-bit ARM. There is no cure for waits here, as the defect that it is for is
//! of x86-64. A page has 4, 16 or 64 KiB.

use core::ffi::c_ulong;

mod frame;
mod linux;
mod registers;
mod stack;
pub(crate) use frame::{FRAME_SIGNAL, FRAME_STACK};
pub(crate) use stack::{call_on, write_below};
pub use {
    frame::{LEAST_ALTSTACK, RED_ZONE, largest_frame},
    linux::{syscall0, syscall1, syscall2, syscall3, syscall4, syscall5, syscall6},
    registers::{is_under_valgrind, stack_pointer, thread_pointer},
};

/// The kernel says what matters when it is asked. `_features` is for other
/// processors.
pub fn learn(_features: impl FnOnce() -> c_ulong) {}

/// No kernel tells less than a frame has. `_told` is for other processors.
#[must_use]
pub const fn holds(_told: usize) -> bool {
    true
}

/// Bits of the addresses that a program has unless it asks for more.
pub const ADDRESS_BITS: u32 = 48;
