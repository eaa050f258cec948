//! The cure for the second defect, id `freebsd-restart-r10`, on the system that
//! has it.
//!
//! `int80`: the whole call goes through INT 0x80, with all its arguments, as in
//! Go's cure. The affected kernels restart such a call correctly, so this *is*
//! the call, and nothing has to be imitated. `two-phase`, for kernels without
//! that entry: reap with `WNOHANG`, which never sleeps, and sleep in
//! nanosleep(2), which has two arguments. `docs/wait.md` has the details.

mod strategy;

use core::ffi::{c_int, c_void};
use core::sync::atomic::AtomicU8;

use crate::config::Wait;
use crate::os::errno::Errno;
use crate::os::freebsd::{self, Outcome, SYS_WAIT4, SYS_WAIT6};
use crate::quirks::{FREEBSD_RELEASES, Int80};
use strategy::put_in_force;
pub use strategy::{Strategy, strategy};

/// The [`Strategy`] in force.
static IN_FORCE: AtomicU8 = AtomicU8::new(Strategy::Off as u8);

/// In milliseconds.
const LONGEST_NAP: u32 = 16;

/// Chooses the strategy; called at load. `auto` means off on a kernel that the
/// table calls fixed or does not list.
pub fn choose(wanted: Wait) -> Strategy {
    let row = freebsd::release_date().ok().and_then(|date| {
        FREEBSD_RELEASES.iter().rev().find(|row| i64::from(row.osreldate) <= i64::from(date))
    });
    let affected = row.is_some_and(|row| row.affected);
    let entry_is_right = row.is_some_and(|row| row.int80 == Int80::Right);
    let by_entry = || {
        if entry_is_right && freebsd::has_int80() { Strategy::Int80 } else { Strategy::TwoPhase }
    };
    let strategy = match wanted {
        Wait::Off => Strategy::Off,
        Wait::Auto if !affected => Strategy::Off,
        Wait::Auto | Wait::Int80 => by_entry(),
        Wait::TwoPhase => Strategy::TwoPhase,
    };
    put_in_force(strategy);
    strategy
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
