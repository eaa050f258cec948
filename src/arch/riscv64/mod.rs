//! 64-bit RISC-V. There is no cure for waits here, as the defect that it is for
//! is of x86-64.

mod frame;
mod linux;
mod registers;
mod stack;
mod vectors;
pub(crate) use frame::{FRAME_SIGNAL, FRAME_STACK};
pub(crate) use stack::{call_on, write_below};
pub use {
    frame::{LEAST_ALTSTACK, RED_ZONE, holds, largest_frame},
    linux::{syscall0, syscall1, syscall2, syscall3, syscall4, syscall5, syscall6},
    registers::{is_under_valgrind, stack_pointer, thread_pointer},
    vectors::learn,
};

/// Bits of the addresses that a program has unless it asks for more: 47 with
/// page tables of four levels or of five, 38 with three.
pub const ADDRESS_BITS: u32 = 47;
