//! The wait family.
//!
//! Each export is one jump, to the original or, while a strategy is in force,
//! to the function of the same name in `replacement`. In libc `wait`, `waitpid`
//! and `wait3` enter the kernel independently, so each is hooked. The waits inside
//! `system` and `pclose` cannot be hooked.

use core::ffi::{c_int, c_long, c_void};
use core::sync::atomic::{AtomicBool, AtomicPtr, AtomicUsize, Ordering};

use libc::{id_t, idtype_t, pid_t, rusage, siginfo_t};
use sigward_core::os::errno::{self, Errno};
use sigward_core::wait::cancel::Cancellation;
use sigward_core::wait::request::{Other, Request};
use sigward_core::wait::{self, Strategy};

use super::Arguments;
use crate::originals::{self, Id};
use crate::{arch, weak_symbols};

/// Whether the policy is final, so that exports need not find out where to jump to.
// Each process writes this, so it is on a page that is written anyway; see
// `block`.
#[unsafe(link_section = ".data")]
static DECIDED: AtomicBool = AtomicBool::new(false);

/// Where the export of this name jumps to: to `replacement` until the policy is
/// final.
fn resolve_target(slot: &AtomicPtr<()>, id: Id, replacement: usize) -> usize {
    if !DECIDED.load(Ordering::Relaxed) {
        return replacement;
    }
    let original = if wait::acts() { None } else { originals::get(id) };
    let target = original.unwrap_or(replacement);
    // Helgrind and drd would report a plain store as a data race of the
    // program.
    let (from, to) = (slot.load(Ordering::Relaxed), target as *mut ());
    let _ = slot.compare_exchange(from, to, Ordering::Relaxed, Ordering::Relaxed);
    target
}

/// Defines the exports, and what they do while a strategy is in force.
macro_rules! waits {
    ($(
        $(#[$meta:meta])*
        fn $name:ident($($argument:ident: $type:ty),*) -> $result:ty $(, as $declared:path)?;
        $cancellation:expr, $body:expr, reaped by $via:ident as $kind:ident;
    )*) => {
        /// Where each export jumps to; initially to `resolving`.
        #[allow(non_upper_case_globals, reason = "named as the function")]
        mod targets {
            use super::*;
            $(pub static $name: AtomicPtr<()> =
                AtomicPtr::new((super::resolving::$name as *const ()).cast_mut());)*
        }

        /// Finds out where to jump to, and jumps there.
        mod resolving {
            use super::*;
            $(#[unsafe(naked)]
            pub unsafe extern "C" fn $name() {
                arch::resolve_and_jump!(super::resolve::$name)
            })*
        }

        mod resolve {
            use super::*;
            $(pub extern "C" fn $name() -> usize {
                resolve_target(&targets::$name, Id::$name, replacement::$name as *const () as usize)
            })*
        }

        /// The function that follows each export in search order, if that is
        /// not libc's own; otherwise 0.
        #[allow(non_upper_case_globals, reason = "named as the function")]
        mod interposers {
            use super::*;
            $(pub static $name: AtomicUsize = AtomicUsize::new(0);)*
        }

        #[allow(clippy::missing_transmute_annotations, reason = "the variant says the type")]
        mod replacement {
            use super::*;
            $(pub unsafe extern "C" fn $name($($argument: $type),*) -> $result {
                type Original = unsafe extern "C" fn($($type),*) -> $result;
                $(const _: Original = $declared;)?
                let Some(address) = originals::get(Id::$name) else {
                    errno::set(libc::ENOSYS);
                    return -1;
                };
                let other = match interposers::$via.load(Ordering::Relaxed) {
                    0 => None,
                    // SAFETY: found under that name, which has this type,
                    // except for the targets of its pointers.
                    address => Some(Other::$kind(unsafe { core::mem::transmute(address) })),
                };
                if let Some(result) = by_strategy($body, other, $cancellation) {
                    return result;
                }
                // SAFETY: found under this name, which has this type.
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
            /// The same as for libc's function.
            #[unsafe(naked)]
            #[unsafe(no_mangle)]
            pub unsafe extern "C" fn $name($($argument: $type),*) -> $result {
                arch::jump!(targets::$name)
            }
        )*

        /// Sets the target of each export. Call this at load.
        pub fn find_all() {
            $(resolve::$name();)*
        }

        fn find_interposers() {
            $(if !originals::behind_is_libc(Id::$name)
                && let Some(original) = originals::get(Id::$name)
            {
                interposers::$name.store(original, Ordering::Relaxed);
            })*
        }
    };
}

waits! {
    /// wait(2), which takes no options: another library's waitpid sees its
    /// reap.
    fn wait(status: *mut c_int) -> pid_t, as libc::wait;
    Cancellation::Point, Request::wait4(-1, status, 0, NO_USAGE),
    reaped by waitpid as Waitpid;

    /// glibc's other name for wait(2).
    fn __wait(status: *mut c_int) -> pid_t, as libc::wait;
    Cancellation::Point, Request::wait4(-1, status, 0, NO_USAGE),
    reaped by waitpid as Waitpid;

    /// waitpid(2).
    fn waitpid(pid: pid_t, status: *mut c_int, options: c_int) -> pid_t, as libc::waitpid;
    Cancellation::Point, Request::wait4(pid, status, options, NO_USAGE),
    reaped by waitpid as Waitpid;

    /// glibc's other name for waitpid(2).
    fn __waitpid(pid: pid_t, status: *mut c_int, options: c_int) -> pid_t, as libc::waitpid;
    Cancellation::Point, Request::wait4(pid, status, options, NO_USAGE),
    reaped by __waitpid as Waitpid;

    /// wait3(2), which is missing from the `libc` crate.
    fn wait3(status: *mut c_int, options: c_int, usage: *mut rusage) -> pid_t;
    wait4_cancellation(), Request::wait4(-1, status, options, usage.cast()),
    reaped by wait3 as Wait3;

    /// wait4(2).
    fn wait4(pid: pid_t, status: *mut c_int, options: c_int, usage: *mut rusage) -> pid_t,
        as libc::wait4;
    wait4_cancellation(), Request::wait4(pid, status, options, usage.cast()),
    reaped by wait4 as Wait4;

    /// waitid(2).
    fn waitid(kind: idtype_t, id: id_t, info: *mut siginfo_t, options: c_int) -> c_int,
        as libc::waitid;
    Cancellation::Point,
    Request::waitid(kind as c_int, id as c_int, info.cast(), options, NO_USAGE),
    reaped by waitid as Waitid;
}

const NO_USAGE: *mut c_void = core::ptr::null_mut();

/// wait3 and wait4 are cancellation points in glibc, but not in musl.
fn wait4_cancellation() -> Cancellation {
    match weak_symbols::libc_stack_end() {
        Some(_) => Cancellation::Point,
        None => Cancellation::None,
    }
}

/// Makes the exports jump where the policy says. Call this once, at load.
pub fn ready() {
    if wait::acts() {
        // SAFETY: found under those names, or 0.
        unsafe {
            wait::cancel::locate(
                originals::get(Id::pthread_setcanceltype).unwrap_or(0),
                originals::get(Id::pthread_setcancelstate).unwrap_or(0),
            );
        }
    }
    if weak_symbols::libc_stack_end().is_none() {
        wait::gate::reserve_for_musl();
    }
    if wait::strategy() != Strategy::Off {
        find_interposers();
    }
    DECIDED.store(true, Ordering::Relaxed);
}

/// Waits as the policy says; `None` if libc's function should make the wait.
#[inline(never)] // for size
fn by_strategy(
    request: Option<Request>,
    other: Option<Other>,
    cancellation: Cancellation,
) -> Option<c_int> {
    let request = request.filter(|_| wait::strategy() != Strategy::Off)?.through(other);
    // SAFETY: the caller's own pointers.
    Some(as_libc_returns(unsafe { wait::run(&request, cancellation) }))
}

/// Whether libc's function was only interrupted, and the policy hides that.
#[inline(never)] // for size
fn is_to_be_retried(result: c_int) -> bool {
    result == -1 && wait::retries() && errno::get() == libc::EINTR
}

/// Returns a raw outcome the way libc does.
fn as_libc_returns(outcome: Result<usize, Errno>) -> c_int {
    match outcome {
        Ok(value) => value as c_int,
        Err(error) => {
            errno::set(error.0);
            -1
        }
    }
}

/// The calls that are watched in syscall(2) while a strategy is in force.
pub const NUMBERS: &[c_long] = &[libc::SYS_wait4, libc::SYS_waitid];

/// One of [`NUMBERS`] through syscall(2), which is not a cancellation point.
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
        Some(request) => as_libc_returns(unsafe { wait::run(&request, Cancellation::None) }).into(),
        None => commit(),
    }
}
