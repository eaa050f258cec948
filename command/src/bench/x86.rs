//! The ways into the kernel that only x86 has.

mod child32;

use std::arch::asm;
use std::ffi::c_int;

use super::child::{Effort, Outcome, time};
pub use child32::{sysenter, vdso as vdso32};

/// Times getppid, which returns `here`, by INT 0x80.
pub fn int80(effort: Effort, here: c_int) -> Outcome {
    time(effort, here, enter)
}

/// Times gettimeofday by the vsyscall page.
pub fn vsyscall(effort: Effort) -> Outcome {
    time(effort, 0, gettimeofday)
}

/// By the 32-bit table, where getppid is number 64.
fn enter() -> c_int {
    let result;
    // SAFETY: getppid takes nothing. The kernel may clear R8 to R11.
    unsafe { asm!("int 0x80", inlateout("eax") 64 => result, clobber_abi("C"), options(nostack)) };
    result
}

fn gettimeofday() -> c_int {
    let mut now = libc::timeval { tv_sec: 0, tv_usec: 0 };
    let result;
    // SAFETY: where this address is mapped, the kernel's ABI has gettimeofday there, which
    // takes a live timeval and no time zone. Without a vsyscall, only the child dies.
    unsafe {
        asm!("call {}", in(reg) 0xffff_ffff_ff60_0000_usize, in("rdi") &raw mut now, in("rsi") 0,
             lateout("eax") result, clobber_abi("C"));
    }
    result
}
