//! The ways into the kernel, measured one after the other.

use std::arch::asm;
use std::ffi::c_int;

use nix::sys::resource::{Resource, setrlimit};
use nix::time::{ClockId, clock_gettime};
use nix::unistd::{getpid, getppid};
use serde_json::Value;
use sigward::os::call;

use super::child::{Effort, time};
use super::child32;
use super::report::{PUBLISHED_REFERENCE, REFERENCE, row};

/// Measures all of them, in the order of the table.
pub fn measure(effort: Effort) -> [Value; 7] {
    // The children that die leave no core files.
    let _ = setrlimit(Resource::RLIMIT_CORE, 0, 0);
    // What getppid returns in a child.
    let here = getpid().as_raw();
    // SAFETY: a plain query.
    let vdso = match unsafe { libc::getauxval(libc::AT_SYSINFO_EHDR) } {
        0 => Err("the kernel maps no vDSO".to_owned()),
        // libc looks for the function in the vDSO.
        _ => time(effort, 0, || clock_gettime(ClockId::CLOCK_MONOTONIC).is_err().into()),
    };
    // SAFETY: getppid takes nothing and never fails.
    let syscall = || unsafe { call::raw(libc::SYS_getppid, []) }.unwrap_or(0) as c_int;
    let reference = time(effort, here, syscall);
    let least = reference.iter().flatten().copied().fold(f64::NAN, f64::min);
    [
        row(["libc", "getppid"], [f64::NAN; 2], least, time(effort, here, || getppid().as_raw())),
        row([REFERENCE, "getppid"], PUBLISHED_REFERENCE, least, reference),
        row(["int 0x80", "getppid"], [498.0, 317.0], least, time(effort, here, int80)),
        row(["vDSO", "clock_gettime"], [37.0, 37.0], least, vdso),
        row(["vsyscall", "gettimeofday"], [692.0, 496.0], least, time(effort, 0, vsyscall)),
        row(["sysenter (32-bit)", "getppid"], [338.0, 150.0], least, child32::sysenter(effort)),
        row(["vDSO (32-bit)", "clock_gettime"], [51.0, 51.0], least, child32::vdso(effort)),
    ]
}

/// By the 32-bit table, where getppid is number 64.
fn int80() -> c_int {
    let result;
    // SAFETY: getppid takes nothing. The kernel may clear R8 to R11.
    unsafe { asm!("int 0x80", inlateout("eax") 64 => result, clobber_abi("C"), options(nostack)) };
    result
}

fn vsyscall() -> c_int {
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
