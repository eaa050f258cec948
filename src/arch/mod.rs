//! What depends on the processor: instructions, registers, and the layout of
//! what the kernel stores of them. What it is good for is said where it is
//! used; nothing here knows another module of ours.
//!
//! An architecture is one folder beside this file, and one file in
//! `preload/src/arch/`. It provides:
//!
//! | what | for |
//! |---|---|
//! | `thread_pointer`, `stack_pointer` | where a thread stands |
//! | `is_under_valgrind` | `sys::startup`, its callers |
#[cfg(target_arch = "x86_64")]
mod x86_64;
#[cfg(target_arch = "x86_64")]
pub use x86_64::*;
