//! The cure for the second defect, id `freebsd-restart-r10`, on the system that
//! has it.
//!
//! `int80`: the whole call goes through INT 0x80, with all its arguments, as in
//! Go's cure. The affected kernels restart such a call correctly, so this *is*
//! the call, and nothing has to be imitated. `two-phase`, for kernels without
//! that entry: reap with `WNOHANG`, which never sleeps, and sleep in
//! nanosleep(2), which has two arguments. `docs/wait.md` has the details.

use core::ffi::{c_int, c_void};

use super::strategy::{Strategy, put_in_force, strategy};
use crate::os::errno::Errno;
use crate::os::freebsd::{self, Outcome, SYS_WAIT4, SYS_WAIT6};

/// In milliseconds.
const LONGEST_NAP: u32 = 16;

/// Puts the strategy of the [plan](crate::plan::freebsd) in force; called at
/// load.
pub fn take_charge(strategy: Strategy) {
    put_in_force(strategy);
}

/// Makes a restartable call with up to six arguments: by INT 0x80 if that is
/// the strategy.
///
/// # Errors
/// Those of the call.
///
/// # Safety
/// The same as for the call.
pub unsafe fn run(number: usize, arguments: [usize; 6]) -> Outcome {
    // SAFETY: the caller's contract.
    unsafe {
        match strategy() {
            Strategy::Int80 => freebsd::by_int80(number, arguments),
            Strategy::TwoPhase | Strategy::Off => freebsd::by_syscall(number, arguments),
        }
    }
}

/// wait4(2). Async-signal-safe.
///
/// # Errors
/// Those of the call.
///
/// # Safety
/// The same as for the call.
pub unsafe fn wait4(pid: c_int, status: *mut c_int, options: c_int, usage: *mut c_void) -> Outcome {
    let call =
        |options: c_int| [pid as usize, status as usize, options as usize, usage as usize, 0, 0];
    // SAFETY: the caller's contract.
    unsafe { wait(SYS_WAIT4, call, options) }
}

/// wait6(2). Async-signal-safe.
///
/// # Errors
/// Those of the call.
///
/// # Safety
/// The same as for the call.
pub unsafe fn wait6(
    kind: c_int,
    id: i64,
    status: *mut c_int,
    options: c_int,
    usage: *mut c_void,
    info: *mut c_void,
) -> Outcome {
    let call = |options: c_int| {
        [
            kind as usize,
            id as usize,
            status as usize,
            options as usize,
            usage as usize,
            info as usize,
        ]
    };
    // SAFETY: the caller's contract.
    unsafe { wait(SYS_WAIT6, call, options) }
}

unsafe fn wait(number: usize, call: impl Fn(c_int) -> [usize; 6], options: c_int) -> Outcome {
    if strategy() != Strategy::TwoPhase || options & libc::WNOHANG != 0 {
        // SAFETY: the caller's contract.
        return unsafe { run(number, call(options)) };
    }
    let mut milliseconds = 1_u32;
    let mut interrupted = false;
    loop {
        // SAFETY: the caller's contract.
        let outcome = unsafe { freebsd::by_syscall(number, call(options | libc::WNOHANG)) };
        if outcome != Ok(0) {
            return outcome;
        }
        // After the reap: if a child and a signal come together, the kernel
        // reports the child.
        if interrupted {
            return Err(Errno::EINTR);
        }
        // nanosleep returns EINTR for a handler with SA_RESTART too. Which
        // handler ran is not known: if any of them interrupts, it may have been
        // that one.
        interrupted =
            freebsd::nap(milliseconds) == Err(Errno::EINTR) && freebsd::some_handler_interrupts();
        milliseconds = milliseconds.saturating_mul(2).min(LONGEST_NAP);
    }
}
