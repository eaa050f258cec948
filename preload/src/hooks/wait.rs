//! The wait family, and the way in of the filter that forbids `int 0x80`.
//!
//! Each export is one jump, to the original or, while a strategy is in force,
//! to the function of the same name in `acting`. In libc `wait`, `waitpid` and
//! `wait3` reach the kernel on their own, so each is hooked; the waits inside
//! `system` and `pclose` cannot be.

use core::arch::naked_asm;
use core::ffi::{c_int, c_long, c_void};
use core::sync::atomic::{AtomicPtr, Ordering};

use libc::{id_t, idtype_t, pid_t, rusage, siginfo_t};
use sigward_core::sys::errno::{self, Errno};
use sigward_core::wait::cancel::Cancellation;
use sigward_core::wait::request::Request;
use sigward_core::wait::{self, Strategy};

use super::syscall::Arguments;
use crate::originals::{self, Id};
use crate::weak;

/// Defines the exports, what they do while a strategy is in force, and
/// `direct`, which decides where each jumps to.
macro_rules! waits {
    ($(
        $(#[$meta:meta])*
        fn $name:ident($($argument:ident: $type:ty),*) -> $result:ty $(, as $declared:path)?;
        $cancellation:expr, $body:expr;
    )*) => {
        /// Where each export jumps to: at first to `acting`, as a hook may be
        /// called before the constructor.
        #[allow(non_upper_case_globals, reason = "named as the function")]
        mod target {
            use super::*;
            $(pub static $name: AtomicPtr<()> =
                AtomicPtr::new((super::acting::$name as *const ()).cast_mut());)*
        }

        mod acting {
            use super::*;
            $(pub unsafe extern "C" fn $name($($argument: $type),*) -> $result {
                type Original = unsafe extern "C" fn($($type),*) -> $result;
                $(const _: Original = $declared;)?
                let Some(address) = originals::get(Id::$name) else {
                    errno::set(libc::ENOSYS);
                    return -1;
                };
                if let Some(result) = by_strategy($body, $cancellation) {
                    return result;
                }
                // SAFETY: found under this name, whose type this is.
                let original = unsafe { core::mem::transmute::<usize, Original>(address) };
                loop {
                    // SAFETY: the caller's own arguments.
                    let result = unsafe { original($($argument),*) };
                    if !is_to_be_retried(result) {
                        return result;
                    }
                }
            })*
        }

        $(
            $(#[$meta])*
            ///
            /// # Safety
            /// As the function of libc.
            #[unsafe(naked)]
            #[unsafe(no_mangle)]
            pub unsafe extern "C" fn $name($($argument: $type),*) -> $result {
                naked_asm!("jmp qword ptr [rip + {}]", sym target::$name)
            }
        )*

        fn direct(acts: bool) {
            $(if !acts && let Some(original) = originals::peek(Id::$name) {
                target::$name.store(original as *mut (), Ordering::Relaxed);
            })*
        }
    };
}

waits! {
    /// wait(2).
    fn wait(status: *mut c_int) -> pid_t, as libc::wait;
    Cancellation::Point, Request::wait4(-1, status, 0, NO_USAGE);

    /// glibc's other name for wait(2).
    fn __wait(status: *mut c_int) -> pid_t, as libc::wait;
    Cancellation::Point, Request::wait4(-1, status, 0, NO_USAGE);

    /// waitpid(2).
    fn waitpid(pid: pid_t, status: *mut c_int, options: c_int) -> pid_t, as libc::waitpid;
    Cancellation::Point, Request::wait4(pid, status, options, NO_USAGE);

    /// glibc's other name for waitpid(2).
    fn __waitpid(pid: pid_t, status: *mut c_int, options: c_int) -> pid_t, as libc::waitpid;
    Cancellation::Point, Request::wait4(pid, status, options, NO_USAGE);

    /// wait3(2), which the `libc` crate does not declare.
    fn wait3(status: *mut c_int, options: c_int, usage: *mut rusage) -> pid_t;
    of_bsd(), Request::wait4(-1, status, options, usage.cast());

    /// wait4(2).
    fn wait4(pid: pid_t, status: *mut c_int, options: c_int, usage: *mut rusage) -> pid_t,
        as libc::wait4;
    of_bsd(), Request::wait4(pid, status, options, usage.cast());

    /// waitid(2).
    fn waitid(kind: idtype_t, id: id_t, info: *mut siginfo_t, options: c_int) -> c_int,
        as libc::waitid;
    Cancellation::Point,
    Request::waitid(kind as c_int, id as c_int, info.cast(), options, NO_USAGE);
}

const NO_USAGE: *mut c_void = core::ptr::null_mut();

/// wait3 and wait4 are cancellation points in glibc, and not in musl.
fn of_bsd() -> Cancellation {
    match weak::libc_stack_end() {
        Some(_) => Cancellation::Point,
        None => Cancellation::None,
    }
}

/// Makes the exports jump where the policy says. To be called once, at load.
pub fn ready() {
    // SAFETY: found under that name, or 0.
    unsafe {
        wait::cancel::locate(originals::peek(Id::pthread_setcanceltype).unwrap_or(0));
    }
    direct(wait::acts());
}

/// A wait as the policy says; `None` where libc's function is to make it.
#[inline(never)] // for size
fn by_strategy(request: Option<Request>, cancellation: Cancellation) -> Option<c_int> {
    let request = request.filter(|_| wait::strategy() != Strategy::Off)?;
    // SAFETY: the caller's own pointers.
    Some(give(unsafe { wait::run(&request, cancellation) }))
}

/// Whether what libc's function gave is only that it was interrupted, and the
/// policy hides that.
#[inline(never)] // for size
fn is_to_be_retried(result: c_int) -> bool {
    result == -1 && wait::retries() && errno::get() == libc::EINTR
}

/// A raw outcome as libc gives it.
fn give(outcome: Result<usize, Errno>) -> c_int {
    match outcome {
        Ok(value) => value as c_int,
        Err(error) => {
            errno::set(error.0);
            -1
        }
    }
}

/// The calls that syscall(2) shows us while a strategy is in force.
pub const NUMBERS: &[c_long] = &[libc::SYS_wait4, libc::SYS_waitid];

/// One of [`NUMBERS`] through syscall(2), which is no cancellation point.
#[inline(never)] // for depth
pub fn by_number(number: c_long, arguments: &Arguments, commit: impl FnOnce() -> c_long) -> c_long {
    let &[a, b, c, d, e, _] = arguments;
    let request = match number {
        _ if wait::strategy() == Strategy::Off => None,
        libc::SYS_wait4 => {
            Request::wait4(a as c_int, b as *mut c_int, c as c_int, d as *mut c_void)
        }
        libc::SYS_waitid => {
            Request::waitid(a as c_int, b as c_int, c as *mut c_void, d as c_int, e as *mut c_void)
        }
        _ => None,
    };
    match request {
        // SAFETY: the caller's own pointers.
        Some(request) => give(unsafe { wait::run(&request, Cancellation::None) }).into(),
        None => commit(),
    }
}
