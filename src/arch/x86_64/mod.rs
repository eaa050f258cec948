//! x86-64, and of its 32-bit side the entry INT 0x80.

#[cfg(target_os = "linux")]
mod registers;

#[cfg(target_os = "linux")]
pub use registers::{is_under_valgrind, stack_pointer, thread_pointer};
