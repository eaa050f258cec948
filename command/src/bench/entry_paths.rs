//! The ways into the kernel, measured one after the other.

use std::arch::asm;
use std::ffi::{c_int, c_void};

use nix::sys::resource::{Resource, setrlimit};
use nix::unistd::{getpid, getppid};
use sigward::os::call;

use super::child::{Effort, time};
use super::child32;
use super::report::{REFERENCE, Row};

/// Measures all of them, in the order of the table.
pub fn measure(effort: Effort) -> [Row; 7] {
    // For the children: no core files, and an end after ten minutes.
    let _ = setrlimit(Resource::RLIMIT_CORE, 0, 0);
    let _ = setrlimit(Resource::RLIMIT_CPU, 600, 601);
    // What getppid returns in a child.
    let here = getpid().as_raw();
    // SAFETY: a plain query.
    let vdso = match unsafe { libc::getauxval(libc::AT_SYSINFO_EHDR) } {
        0 => Err("the kernel maps no vDSO".to_owned()),
        _ => time(effort, 0, clock),
    };
    let rows = [
        Row::new(["libc", "getppid"], [f64::NAN; 2], time(effort, here, || getppid().as_raw())),
        Row::new([REFERENCE, "getppid"], [278.0, 103.0], time(effort, here, syscall)),
        Row::new(["int 0x80", "getppid"], [498.0, 317.0], time(effort, here, int80)),
        Row::new(["vDSO", "clock_gettime"], [37.0, 37.0], vdso),
        // The figures for an emulated vsyscall. A native one, which old kernels have, is as
        // fast as `syscall`.
        Row::new(["vsyscall", "gettimeofday"], [692.0, 496.0], time(effort, 0, vsyscall)),
        Row::new(["sysenter (32-bit)", "getppid"], [338.0, 150.0], child32::sysenter(effort)),
        Row::new(["vDSO (32-bit)", "clock_gettime"], [51.0, 51.0], child32::vdso(effort)),
    ];
    let reference = rows[1].times();
    rows.map(|row| row.relative_to(reference))
}

fn syscall() -> c_int {
    // SAFETY: getppid takes nothing and never fails.
    unsafe { call::raw(libc::SYS_getppid, []) }.unwrap_or(0) as c_int
}

/// By the 32-bit table, where getppid is number 64.
fn int80() -> c_int {
    let result;
    // SAFETY: getppid takes nothing. The kernel may clear R8 to R11.
    unsafe { asm!("int 0x80", inlateout("eax") 64 => result, clobber_abi("C"), options(nostack)) };
    result
}

/// By libc, which looks for the function in the vDSO.
fn clock() -> c_int {
    let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: a live timespec.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &raw mut now) }
}

fn vsyscall() -> c_int {
    type Gettimeofday = unsafe extern "C" fn(*mut libc::timeval, *mut c_void) -> c_int;
    let mut now = libc::timeval { tv_sec: 0, tv_usec: 0 };
    // SAFETY: where this address is mapped, the kernel's ABI has gettimeofday there, which
    // takes a live timeval and no time zone. Without a vsyscall, only the child dies.
    unsafe {
        let gettimeofday: Gettimeofday = std::mem::transmute(0xffff_ffff_ff60_0000_usize);
        gettimeofday(&raw mut now, std::ptr::null_mut())
    }
}
