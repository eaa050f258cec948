//! `FreeBSD`/amd64: the two ways into the kernel, and what the kernel reports
//! about itself.
//!
//! Numbers and structures are those of `sys/syscall.h` and the man pages,
//! section
//! 2. They have not changed since 7.0 for the calls used here.

use core::ffi::{CStr, c_int};

use super::errno::Errno;
use crate::arch;

/// The outcome of a system call: its return value, or its error.
pub type Outcome = Result<usize, Errno>;

/// wait4(2).
pub const SYS_WAIT4: usize = 7;
/// wait6(2), since 9.1.
pub const SYS_WAIT6: usize = 532;
const SYS_SYSCTL: usize = 202;
const SYS_NANOSLEEP: usize = 240;
const SYS_SIGACTION: usize = 416;

fn judge((value, failed): (usize, bool)) -> Outcome {
    if failed { Err(Errno(value as c_int)) } else { Ok(value) }
}

/// Enters by SYSCALL. On an affected kernel a restart loses the last three
/// arguments, ours too.
///
/// # Errors
/// Those of the call.
///
/// # Safety
/// The same as for the system call `number` and these arguments.
#[inline]
pub unsafe fn by_syscall(number: usize, arguments: [usize; 6]) -> Outcome {
    // SAFETY: the caller vouches for the call.
    judge(unsafe { arch::syscall6(number, arguments) })
}

/// Enters by INT 0x80. A restart preserves the arguments.
///
/// # Errors
/// Those of the call.
///
/// # Safety
/// As for [`by_syscall`]; and the kernel has that entry (`COMPAT_FREEBSD32`).
#[inline]
pub unsafe fn by_int80(number: usize, arguments: [usize; 6]) -> Outcome {
    // SAFETY: the caller vouches for the call.
    judge(unsafe { arch::int80(number, arguments) })
}

/// `struct timespec`.
#[repr(C)]
struct Timespec {
    seconds: i64,
    nanoseconds: i64,
}

/// Sleeps for at most `milliseconds`. The call has two arguments and is never
/// restarted.
///
/// # Errors
/// EINTR if any handler ran.
pub fn nap(milliseconds: u32) -> Outcome {
    let time =
        Timespec { seconds: 0, nanoseconds: i64::from(milliseconds).wrapping_mul(1_000_000) };
    // SAFETY: a live time.
    unsafe { by_syscall(SYS_NANOSLEEP, [(&raw const time) as usize, 0, 0, 0, 0, 0]) }
}

/// `struct sigaction`.
#[repr(C)]
struct Action {
    handler: usize,
    flags: c_int,
    mask: [u32; 4],
}

/// Whether any signal has a handler without `SA_RESTART`. Asks the kernel, with
/// one call per signal.
#[must_use]
pub fn some_handler_interrupts() -> bool {
    (1..=128_usize).any(|signal| {
        let mut action = Action { handler: 0, flags: 0, mask: [0; 4] };
        let old = (&raw mut action) as usize;
        // SAFETY: no new action, and a live destination for the old one.
        let asked = unsafe { by_syscall(SYS_SIGACTION, [signal, 0, old, 0, 0, 0]) };
        // SIG_DFL is 0, SIG_IGN 1.
        asked.is_ok() && action.handler > 1 && action.flags & libc::SA_RESTART == 0
    })
}

/// Reads a number by sysctl(3).
fn sysctl(name: &[c_int]) -> Result<c_int, Errno> {
    let mut value: c_int = 0;
    let mut size = size_of::<c_int>();
    let (to, length) = ((&raw mut value) as usize, (&raw mut size) as usize);
    // SAFETY: live destinations of the sizes given. The call does not sleep.
    unsafe { by_syscall(SYS_SYSCTL, [name.as_ptr() as usize, name.len(), to, length, 0, 0]) }?;
    Ok(value)
}

/// `kern.osreldate`, which identifies the release.
///
/// # Errors
/// Those of sysctl(3).
pub fn release_date() -> Result<c_int, Errno> {
    sysctl(&[libc::CTL_KERN, libc::KERN_OSRELDATE])
}

/// Whether the kernel has INT 0x80 for native programs: it comes with the
/// 32-bit compatibility. Never tested by executing it.
#[must_use]
pub fn has_int80() -> bool {
    const NAME: &CStr = c"kern.features.compat_freebsd_32bit";
    // The undocumented call that translates a name, as sysctlbyname(3) uses it.
    let ask: [c_int; 2] = [0, 3];
    let mut number: [c_int; 24] = [0; 24];
    let mut size = size_of_val(&number);
    let args = [
        ask.as_ptr() as usize,
        ask.len(),
        number.as_mut_ptr() as usize,
        (&raw mut size) as usize,
        NAME.as_ptr() as usize,
        NAME.count_bytes(),
    ];
    // SAFETY: live buffers of the sizes given.
    if unsafe { by_syscall(SYS_SYSCTL, args) }.is_err() {
        return false;
    }
    number.get(..size / size_of::<c_int>()).is_some_and(|name| sysctl(name) == Ok(1))
}
