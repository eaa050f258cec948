//! Fallbacks for functions that a libc may lack and the kernel may have: the
//! bare system calls. Async-signal-safe.

use core::ffi::{c_int, c_uint, c_void};

use libc::{iovec, size_t, ssize_t};
use sigward_core::os::{call, errno};

/// process_madvise(2): not in musl; in glibc since 2.36.
pub unsafe extern "C" fn process_madvise(
    process: c_int,
    ranges: *const iovec,
    count: size_t,
    advice: c_int,
    flags: c_uint,
) -> ssize_t {
    let arguments = [process as usize, ranges as usize, count, advice as usize, flags as usize];
    // SAFETY: the caller's own arguments.
    unsafe { system_call(libc::SYS_process_madvise, arguments) }
}

/// pkey_mprotect(2): not in musl; in glibc since 2.27.
pub unsafe extern "C" fn pkey_mprotect(
    start: *mut c_void,
    length: size_t,
    protection: c_int,
    key: c_int,
) -> c_int {
    let arguments = [start as usize, length, protection as usize, key as usize];
    // SAFETY: the caller's own arguments.
    unsafe { system_call(libc::SYS_pkey_mprotect, arguments) as c_int }
}

/// mlock2(2): in glibc since 2.27.
pub unsafe extern "C" fn mlock2(start: *const c_void, length: size_t, flags: c_uint) -> c_int {
    // SAFETY: the caller's own arguments.
    unsafe { system_call(libc::SYS_mlock2, [start as usize, length, flags as usize]) as c_int }
}

/// Makes a system call the way libc does.
///
/// # Safety
/// The same as for the call.
unsafe fn system_call(number: libc::c_long, arguments: impl call::Arguments) -> isize {
    // SAFETY: the caller's contract.
    match unsafe { call::raw(number, arguments) } {
        Ok(value) => value as isize,
        Err(error) => {
            errno::set(error.0);
            -1
        }
    }
}
