//! The ways into the kernel, measured one after the other.

use std::ffi::c_int;

use nix::sys::resource::{Resource, setrlimit};
use nix::time::{ClockId, clock_gettime};
use nix::unistd::{getpid, getppid};
use serde_json::Value;
use sigward::os::call;

use super::child::{Effort, time};
use super::report::{PUBLISHED_REFERENCE, REFERENCE, row};
use super::x86;

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
        row(["int 0x80", "getppid"], [498.0, 317.0], least, x86::int80(effort, here)),
        row(["vDSO", "clock_gettime"], [37.0, 37.0], least, vdso),
        row(["vsyscall", "gettimeofday"], [692.0, 496.0], least, x86::vsyscall(effort)),
        row(["sysenter (32-bit)", "getppid"], [338.0, 150.0], least, x86::sysenter(effort)),
        row(["vDSO (32-bit)", "clock_gettime"], [51.0, 51.0], least, x86::vdso32(effort)),
    ]
}
