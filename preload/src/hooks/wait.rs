//! The wait family, and the way in of the filter that forbids `int 0x80`.
//!
//! Each export is one jump, to the original or, while a strategy is in force,
//! to the function of the same name in `acting`. In libc `wait`, `waitpid` and
//! `wait3` reach the kernel on their own, so each is hooked; the waits inside
//! `system` and `pclose` cannot be.

use core::ffi::{c_int, c_long, c_void};
use core::sync::atomic::{AtomicBool, AtomicPtr, AtomicUsize, Ordering};

use libc::{id_t, idtype_t, pid_t, rusage, siginfo_t};
use sigward_core::sys::errno::{self, Errno};
use sigward_core::wait::cancel::Cancellation;
use sigward_core::wait::request::{Other, Request};
use sigward_core::wait::{self, Strategy};

use super::Arguments;
use crate::originals::{self, Id};
use crate::{arch, weak};

/// Whether the policy stands, and exports need not ask any more where to jump to.
// Each process writes it: on a page that is written to anyway, see `block`.
#[unsafe(link_section = ".data")]
static DECIDED: AtomicBool = AtomicBool::new(false);

/// Where the export of this name jumps to: to `acting` before the policy stands.
fn target(place: &AtomicPtr<()>, id: Id, acting: usize) -> usize {
    if !DECIDED.load(Ordering::Relaxed) {
        return acting;
    }
    let original = if wait::acts() { None } else { originals::get(id) };
    let target = original.unwrap_or(acting);
    // To helgrind and drd a plain store would be the program's data race.
    let (from, to) = (place.load(Ordering::Relaxed), target as *mut ());
    let _ = place.compare_exchange(from, to, Ordering::Relaxed, Ordering::Relaxed);
    target
}

/// Defines the exports, and what they do while a strategy is in force.
macro_rules! waits {
    ($(
        $(#[$meta:meta])*
        fn $name:ident($($argument:ident: $type:ty),*) -> $result:ty $(, as $declared:path)?;
        $cancellation:expr, $body:expr, reaped by $via:ident as $kind:ident;
    )*) => {
        /// Where each export jumps to: at first to `asking`.
        #[allow(non_upper_case_globals, reason = "named as the function")]
        mod known {
            use super::*;
            $(pub static $name: AtomicPtr<()> =
                AtomicPtr::new((super::asking::$name as *const ()).cast_mut());)*
        }

        /// Asks where to jump to, and does.
        mod asking {
            use super::*;
            $(#[unsafe(naked)]
            pub unsafe extern "C" fn $name() {
                arch::ask_and_jump!(super::asked::$name)
            })*
        }

        mod asked {
            use super::*;
            $(pub extern "C" fn $name() -> usize {
                target(&known::$name, Id::$name, acting::$name as *const () as usize)
            })*
        }

        /// The function behind each export where that is not libc's own, or 0.
        #[allow(non_upper_case_globals, reason = "named as the function")]
        mod others {
            use super::*;
            $(pub static $name: AtomicUsize = AtomicUsize::new(0);)*
        }

        #[allow(clippy::missing_transmute_annotations, reason = "the variant says the type")]
        mod acting {
            use super::*;
            $(pub unsafe extern "C" fn $name($($argument: $type),*) -> $result {
                type Original = unsafe extern "C" fn($($type),*) -> $result;
                $(const _: Original = $declared;)?
                let Some(address) = originals::get(Id::$name) else {
                    errno::set(libc::ENOSYS);
                    return -1;
                };
                let other = match others::$via.load(Ordering::Relaxed) {
                    0 => None,
                    // SAFETY: found under that name, whose type this is but
                    // for what its pointers point at.
                    address => Some(Other::$kind(unsafe { core::mem::transmute(address) })),
                };
                if let Some(result) = by_strategy($body, other, $cancellation) {
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
                arch::jump!(known::$name)
            }
        )*

        /// Has each export know where to jump to. To be called at load.
        pub fn find_all() {
            $(asked::$name();)*
        }

        fn look_behind() {
            $(if !originals::behind_is_libc(Id::$name)
                && let Some(original) = originals::get(Id::$name)
            {
                others::$name.store(original, Ordering::Relaxed);
            })*
        }
    };
}

waits! {
    /// wait(2), which knows no options: another library's waitpid sees its reap.
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

    /// wait3(2), which the `libc` crate does not declare.
    fn wait3(status: *mut c_int, options: c_int, usage: *mut rusage) -> pid_t;
    of_bsd(), Request::wait4(-1, status, options, usage.cast()),
    reaped by wait3 as Wait3;

    /// wait4(2).
    fn wait4(pid: pid_t, status: *mut c_int, options: c_int, usage: *mut rusage) -> pid_t,
        as libc::wait4;
    of_bsd(), Request::wait4(pid, status, options, usage.cast()),
    reaped by wait4 as Wait4;

    /// waitid(2).
    fn waitid(kind: idtype_t, id: id_t, info: *mut siginfo_t, options: c_int) -> c_int,
        as libc::waitid;
    Cancellation::Point,
    Request::waitid(kind as c_int, id as c_int, info.cast(), options, NO_USAGE),
    reaped by waitid as Waitid;
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
    if wait::acts() {
        // SAFETY: found under those names, or 0.
        unsafe {
            wait::cancel::locate(
                originals::get(Id::pthread_setcanceltype).unwrap_or(0),
                originals::get(Id::pthread_setcancelstate).unwrap_or(0),
            );
        }
    }
    if weak::libc_stack_end().is_none() {
        wait::gate::keep_musls();
    }
    if wait::strategy() != Strategy::Off {
        look_behind();
    }
    DECIDED.store(true, Ordering::Relaxed);
}

/// A wait as the policy says; `None` where libc's function is to make it.
#[inline(never)] // for size
fn by_strategy(
    request: Option<Request>,
    other: Option<Other>,
    cancellation: Cancellation,
) -> Option<c_int> {
    let request = request.filter(|_| wait::strategy() != Strategy::Off)?.through(other);
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
