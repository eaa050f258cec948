//! The ways into the kernel, measured one after the other.

use std::arch::asm;
use std::ffi::{c_int, c_void};
use std::process;

use nix::sys::resource::{Resource, setrlimit};
use sigward::os::call;

use super::super::progress::Progress;
use super::child::{Effort, Outcome, time};
use super::child32;
use super::report::Row;

/// Measures all of them, in the order of the table.
pub fn measure(effort: Effort) -> Vec<Row> {
    // For the children: no core files, and an end after ten minutes.
    let _ = setrlimit(Resource::RLIMIT_CORE, 0, 0);
    let _ = setrlimit(Resource::RLIMIT_CPU, 600, 601);
    let progress = Progress::of(7);
    let mut rows = Vec::new();
    let mut path = |name, call, published, measure: fn(Effort) -> Outcome| {
        progress.name(name);
        rows.push(Row::new(name, call, published, measure(effort)));
        progress.reach(rows.len() as u64);
    };
    path("libc", "getppid", [f64::NAN; 2], libc);
    path("syscall", "getppid", [278.0, 103.0], syscall);
    path("int 0x80", "getppid", [498.0, 317.0], int80);
    path("vDSO", "clock_gettime", [37.0, 37.0], vdso);
    // The figures for an emulated vsyscall. A native one, which old kernels have, is as
    // fast as `syscall`.
    path("vsyscall", "gettimeofday", [692.0, 496.0], vsyscall);
    path("sysenter (32-bit)", "getppid", [338.0, 150.0], child32::sysenter);
    path("vDSO (32-bit)", "clock_gettime", [51.0, 51.0], child32::vdso);
    rows
}

/// What getppid returns in a child.
fn parent() -> c_int {
    process::id() as c_int
}

fn libc(effort: Effort) -> Outcome {
    // SAFETY: getppid takes nothing and never fails.
    time(effort, parent(), || unsafe { libc::getppid() })
}

fn syscall(effort: Effort) -> Outcome {
    // SAFETY: as above.
    time(effort, parent(), || unsafe { call::raw(libc::SYS_getppid, []) }.unwrap_or(0) as c_int)
}

/// By the 32-bit table, where getppid is number 64.
fn int80(effort: Effort) -> Outcome {
    time(effort, parent(), || {
        let mut result: c_int = 64;
        // SAFETY: getppid takes nothing. The kernel may clear R8 to R11.
        unsafe {
            asm!(
                "int 0x80",
                inlateout("eax") result,
                lateout("r8") _, lateout("r9") _, lateout("r10") _, lateout("r11") _,
                options(nostack),
            );
        }
        result
    })
}

/// By libc, which looks for the function in the vDSO.
fn vdso(effort: Effort) -> Outcome {
    // SAFETY: a plain query.
    if unsafe { libc::getauxval(libc::AT_SYSINFO_EHDR) } == 0 {
        return Err("the kernel maps no vDSO".to_owned());
    }
    time(effort, 0, || {
        let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
        // SAFETY: a live timespec.
        unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &raw mut now) }
    })
}

fn vsyscall(effort: Effort) -> Outcome {
    type Gettimeofday = unsafe extern "C" fn(*mut libc::timeval, *mut c_void) -> c_int;
    // SAFETY: where this address is mapped, the kernel's ABI has gettimeofday there.
    let gettimeofday: Gettimeofday = unsafe { std::mem::transmute(0xffff_ffff_ff60_0000_usize) };
    time(effort, 0, move || {
        let mut now = libc::timeval { tv_sec: 0, tv_usec: 0 };
        // SAFETY: a live timeval and no time zone. Without a vsyscall, only the child dies.
        unsafe { gettimeofday(&raw mut now, std::ptr::null_mut()) }
    })
}
