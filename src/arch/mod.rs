//! What depends on the processor: its instructions, its registers, and how the
//! kernel stores them. The callers document what each item is for; nothing here
//! needs another module of ours.
//!
//! An architecture is one folder beside this file, named in the two lines
//! below, and one in `preload/src/arch/`. It provides:
//!
//! | what | used by |
//! |---|---|
//! | `syscall0` to `syscall6`: enter the kernel, by number of arguments | [`call`](crate::sys::call) |
//! | `thread_pointer`, `stack_pointer` | [`altstack`](crate::altstack), [`signals`](crate::sys::signals) |
//! | `call_on`: calls a function on another stack | [`lock`](crate::sys::lock) |
//! | `write_below`: a write further down the caller's stack | [`signals`](crate::sys::signals) |
//! | `RED_ZONE`, `largest_frame`: the signal frame | [`frame`](crate::altstack::frame) |
//! | `is_under_valgrind` | the library's constructor |
//! | `IS_X86_64`, `features` | [`kernel`](crate::sys::kernel) |
//! | `int80`, `INT80_WAITID` | [`probe`](crate::wait::probe) |
//! | `sleep_stretch`: the body of the function in which a wait sleeps | [`sleep`](crate::wait::sleep) |
//! | `gate`, `other_gate`, `Interrupted`: what runs in front of handlers, and the registers that it finds | [`gate`](crate::wait::gate) |
//!
//! Only x86-64 needs the last three, for a defect of its own. `FreeBSD` needs
//! two items: `syscall6` and `int80`.

#[cfg(target_arch = "x86_64")]
mod x86_64;
#[cfg(target_arch = "x86_64")]
pub use x86_64::*;
