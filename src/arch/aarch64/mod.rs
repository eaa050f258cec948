//! 64-bit ARM. There is no cure for waits here, as the defect that it is for is
//! of x86-64. A page has 4, 16 or 64 KiB.

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

/// Bits of the addresses that a program has unless it asks for more.
pub const ADDRESS_BITS: u32 = 48;
