//! x86-64, including INT 0x80, the entry of its 32-bit side. One file per
//! concern.

mod cpu;
#[cfg(target_os = "freebsd")]
mod freebsd;
pub use cpu::{Features, IS_X86_64, RED_ZONE, features, largest_frame, usual_frame};
#[cfg(target_os = "freebsd")]
pub use freebsd::{int80, syscall6};

#[cfg(target_os = "linux")]
mod linux;
#[cfg(target_os = "linux")]
mod registers;
#[cfg(target_os = "linux")]
mod stack;
#[cfg(target_os = "linux")]
mod wait;
#[cfg(target_os = "linux")]
pub use {
    linux::{
        FEATURES_CALL, INT80_WAITID, REQUEST_FEATURE, int80, syscall0, syscall1, syscall2,
        syscall3, syscall4, syscall5, syscall6,
    },
    registers::{is_under_valgrind, stack_pointer, thread_pointer},
};
#[cfg(target_os = "linux")]
pub(crate) use {
    stack::{call_on, write_below},
    wait::{SignalContext, gate, other_gate, sleep_stretch},
};
