//! What depends on the processor: its instructions, its registers, and what
//! the kernel stores of them. What each thing is for is said where it is used;
//! nothing here needs another module of ours.
//!
//! An architecture is one folder beside this file, named in the two lines
//! below, and one in `preload/src/arch/`. It provides:
//!
//! | what | used by |
//! |---|---|
//! | `syscall0` to `syscall6`: into the kernel, by the number of arguments | [`call`](crate::sys::call) |
//! | `thread_pointer`, `stack_pointer` | [`altstack`](crate::altstack), [`signals`](crate::sys::signals) |
//! | `call_on`: a function on another stack | [`lock`](crate::sys::lock) |
//! | `write_below`: a write further down the own stack | [`signals`](crate::sys::signals) |
//! | `RED_ZONE`, `largest_frame`: the signal frame | [`frame`](crate::altstack::frame) |
//! | `is_under_valgrind` | the library's constructor |
//! | `IS_X86_64`, `features` | [`kernel`](crate::sys::kernel) |
//! | `int80`, `INT80_WAITID` | [`probe`](crate::wait::probe) |
//! | `sleep_stretch`: the body of the function in which a wait sleeps | [`sleep`](crate::wait::sleep) |
//! | `gate`, `other_gate`, `Interrupted`: what runs in front of handlers, and the registers that it finds | [`gate`](crate::wait::gate) |
//!
//! The last three are for a defect of x86-64 alone. On `FreeBSD` two are needed:
//! `syscall6` and `int80`.

#[cfg(target_arch = "x86_64")]
mod x86_64;
#[cfg(target_arch = "x86_64")]
pub use x86_64::*;
