//! What depends on the processor: its instructions, its registers, and how the
//! kernel stores them. The callers document what each item is for; nothing here
//! needs another module of ours.
//!
//! An architecture is one folder beside this file, named in the two lines
//! below, and one in `preload/src/arch/`. It provides:
//!
//! | what | used by |
//! |---|---|
//! | `syscall0` to `syscall6`: enter the kernel, by number of arguments | [`call`] |
//! | `thread_pointer`, `stack_pointer`, `THREAD_DATA_ABOVE` | [`residency`], [`signals`] |
//! | `call_on`: calls a function on another stack | [`lock`] |
//! | `write_below`: a write further down the caller's stack | [`signals`] |
//! | `RED_ZONE`, `largest_frame`, `usual_frame`, `FRAME_IS_FIXED`: the signal frame | [`frame`] |
//! | `learn`, `holds`: what the kernel says about the processor; whether the frame size that it tells is enough | [`frame`] |
//! | `LEAST_ALTSTACK`: the smallest stack that the kernel takes | [`small_stacks`] |
//! | `PAGE`, `ADDRESS_BITS`: pages, and how far addresses reach | [`page`] |
//! | `FRAME_STACK`, `FRAME_SIGNAL`: where a frame has its stack and its signal | [`last_signal`] |
//! | `FEATURES_CALL`, `REQUEST_FEATURE`: asking for a processor feature | [`permission`] |
//! | `is_under_valgrind` | the library's constructor |
//! | `IS_X86_64`, `features` | [`kernel_texts`] |
//! | `int80`, `INT80_WAITID` | [`int80`] |
//! | `sleep_stretch`: the body of the function in which a wait sleeps | [`sleep`] |
//! | `gate`, `other_gate`: what runs in front of handlers | [`gate`] |
//! | `SignalContext`: the registers that the gate finds | [`gate`] |
//! | `numbers`: calls whose name or number differs | [`call`], the library |
//!
//! Only x86-64 needs the rows from `int80` to `SignalContext`, for a defect of
//! its own; for others there is [`wait`](crate::wait) without a strategy.
//! `FreeBSD` needs two items: `syscall6` and `int80`.
//!
//! [`call`]: crate::os::call
//! [`residency`]: crate::residency
//! [`signals`]: crate::os::signals
//! [`lock`]: crate::os::lock
//! [`frame`]: crate::residency::frame
//! [`small_stacks`]: crate::small_stacks
//! [`page`]: crate::os::page
//! [`kernel_texts`]: crate::os::kernel_texts
//! [`int80`]: crate::wait::int80
//! [`sleep`]: crate::wait::sleep
//! [`gate`]: crate::wait::gate
//! [`last_signal`]: crate::small_stacks::depth
//! [`permission`]: crate::small_stacks::permission

#[cfg(not(any(target_arch = "x86", target_arch = "x86_64")))]
mod not_x86;
#[cfg(not(any(target_arch = "x86", target_arch = "x86_64")))]
pub use not_x86::*;

#[cfg(any(target_arch = "x86", target_arch = "x86_64"))]
mod cpuid;
#[cfg(any(target_arch = "x86", target_arch = "x86_64"))]
pub use cpuid::{
    ADDRESS_BITS, FRAME_IS_FIXED, FRAME_SOURCE, Features, IS_X86_64, LEAST_ALTSTACK, PAGE,
    RED_ZONE, THREAD_DATA_ABOVE, features, holds, largest_frame, learn, usual_frame,
};

#[cfg(target_arch = "aarch64")]
mod aarch64;
#[cfg(target_arch = "aarch64")]
pub use aarch64::*;

#[cfg(target_arch = "riscv64")]
mod riscv64;
#[cfg(target_arch = "riscv64")]
pub use riscv64::*;

#[cfg(target_arch = "x86")]
mod x86;
#[cfg(target_arch = "x86")]
pub use x86::*;

#[cfg(target_arch = "x86_64")]
mod x86_64;
#[cfg(target_arch = "x86_64")]
pub use x86_64::*;
