//! sigaltstack(2), sigaction(2), their aliases, and functions that bypass them.
//!
//! `signal`, `sigset`, `siginterrupt` and the like do not reach libc's
//! sigaction through the symbol. None of them can set `SA_ONSTACK` (`sigvec`
//! could, but is gone since glibc 2.21), so their handlers run on ordinary
//! stacks.

use core::ffi::{c_int, c_void};
use core::ptr;
use core::sync::atomic::{AtomicPtr, Ordering};

use libc::{sigaction as sigaction_t, sighandler_t, stack_t};
use sigward_core::events::{handlers, registration};
use sigward_core::os::errno;
use sigward_core::residency::{self, ordinary_stacks};
use sigward_core::small_stacks::{self, every_thread, onstack, overflow};
use sigward_core::standdown;
use sigward_core::state::published_block;
use sigward_core::wait::gate;

use super::thread;
use crate::originals::{self, Id};

/// sigaltstack(2): makes the new stack resident before the kernel knows it.
/// Where there is no duty, libc comes first, and only the size is compared
/// afterwards. Async-signal-safe.
///
/// # Safety
/// The same as for libc's function.
#[cfg(target_arch = "x86_64")]
#[unsafe(naked)]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sigaltstack() {
    crate::arch::call_and_compare!(
        route = ROUTE,
        offset = core::mem::offset_of!(stack_t, ss_size),
        least = small_stacks::LOOK,
        rest = finish,
        without = query,
    )
}

/// The same where that is not written in assembly.
///
/// # Safety
/// The same as for libc's function.
#[cfg(not(target_arch = "x86_64"))]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sigaltstack(new: *const stack_t, old: *mut stack_t) -> c_int {
    // SAFETY: the caller's own arguments; a function of this type.
    unsafe {
        if new.is_null() {
            return query(new, old);
        }
        let route = core::mem::transmute::<*mut (), Sigaltstack>(ROUTE.load(Ordering::Relaxed));
        let result = route(new, old);
        if small_stacks::is_enough(result, new) { result } else { finish(new, old, result) }
    }
}

type Sigaltstack = unsafe extern "C" fn(*const stack_t, *mut stack_t) -> c_int;
const _: Sigaltstack = libc::sigaltstack;

/// Where a call with a new stack goes: to libc, once it is certain that there
/// will never be a duty.
static ROUTE: AtomicPtr<()> = AtomicPtr::new((set as *const ()).cast_mut());

fn original() -> Option<Sigaltstack> {
    let Some(address) = originals::get(Id::sigaltstack) else {
        errno::set(libc::ENOSYS);
        return None;
    };
    // SAFETY: found under this name, which has this type.
    Some(unsafe { core::mem::transmute::<usize, Sigaltstack>(address) })
}

/// A call with a new stack, while there is a duty or may be one.
unsafe extern "C" fn set(new: *const stack_t, old: *mut stack_t) -> c_int {
    let Some(original) = original() else { return -1 };
    if residency::on_duty() {
        let result = registration::set(new, old, |actual| {
            // SAFETY: the caller's own arguments, or a larger stack of ours.
            let behind = |new| unsafe { original(new, old) };
            every_thread::set(actual, actual != new, old, behind)
        });
        every_thread::hold_again();
        return result;
    }
    if published_block::is_inert_for_good() {
        // Helgrind and drd would report a plain store as a race of the program.
        ROUTE.swap(original as *mut (), Ordering::Relaxed);
    }
    // SAFETY: the caller's own arguments.
    every_thread::set(new, false, old, |new| unsafe { original(new, old) })
}

/// A call that only asks.
unsafe extern "C" fn query(new: *const stack_t, old: *mut stack_t) -> c_int {
    let Some(original) = original() else { return -1 };
    // SAFETY: the caller's own arguments.
    let commit = |new| unsafe { original(new, old) };
    registration::query(old, || every_thread::set(new, false, old, commit))
}

/// What is left to be done after a call with a new stack that failed or may be
/// too small.
#[cold]
unsafe extern "C" fn finish(new: *const stack_t, old: *mut stack_t, result: c_int) -> c_int {
    if residency::on_duty() {
        return result;
    }
    let Some(original) = original() else { return -1 };
    // SAFETY: the caller's own arguments, or a larger stack of ours.
    let commit = |new, old| unsafe { original(new, old) };
    small_stacks::finish(new, old, result, &FirstLook, &commit)
}

/// The call by number, where there is no duty. `commit` makes it.
pub fn set_by_number(
    new: *const stack_t,
    old: *mut stack_t,
    commit: &dyn Fn(*const stack_t, *mut stack_t) -> c_int,
) -> c_int {
    if new.is_null() {
        return registration::query(old, || commit(new, old));
    }
    let result = commit(new, old);
    // SAFETY: what the call was given.
    if unsafe { small_stacks::is_enough(result, new) } {
        return result;
    }
    small_stacks::finish(new, old, result, &FirstLook, commit)
}

/// What is asked at the first small stack.
struct FirstLook;

impl small_stacks::FirstLook for FirstLook {
    fn is_in_the_way(&self) -> bool {
        originals::is_known(&standdown::SANITIZERS, true)
            || originals::is_known(&standdown::COLLECTORS, true)
            || originals::is_known(&standdown::OVERRIDES, false)
            || standdown::finds_data_by_stack(originals::executed())
    }

    fn request_exit_notice(&self) {
        thread::request_late_exit_notice();
    }
}

/// `struct sigstack`, which is missing from the `libc` crate.
#[repr(C)]
pub struct Sigstack {
    top: *mut c_void,
    on_stack: c_int,
}

hook! {
    /// sigstack(3), glibc's legacy interface. It takes no size, so the stack is
    /// adopted as the kernel reports it afterwards. Async-signal-safe.
    fn sigstack(new: *mut Sigstack, old: *mut Sigstack) -> c_int;
    failing -1;
    |original| {
        // SAFETY: the caller's own arguments.
        let result = unsafe { original(new, old) };
        if residency::on_duty() {
            residency::adopt_current();
        }
        result
    }
}

hook! {
    /// sigaction(2), also under glibc's other name. With `SA_ONSTACK` it first
    /// adopts the thread's stack if that is not known. Async-signal-safe.
    fn sigaction, __sigaction
        (signal: c_int, new: *const sigaction_t, old: *mut sigaction_t) -> c_int,
        as libc::sigaction;
    failing -1;
    |original| {
        if residency::on_duty() {
            handlers::before_handler(new);
        }
        // SAFETY: the caller's own arguments; libc writes `old` if it succeeds.
        let result = unsafe {
            let commit = |new: *const sigaction_t| {
                gate::action(signal, new, old, &|new, old| original(signal, new, old)) as isize
            };
            let result = onstack::action(signal, new, old, &commit) as c_int;
            if result == 0 {
                overflow::hide(signal, old);
            }
            result
        };
        if !residency::on_duty() && result == 0 && !new.is_null() {
            // SAFETY: libc has just read it. We may not be on duty yet.
            let action = unsafe { new.read_unaligned() };
            ordinary_stacks::handler(action.sa_sigaction, action.sa_flags);
        }
        result
    }
}

/// signal(2) and others of the same type, which return the old handler.
macro_rules! signals {
    ($($(#[$meta:meta])* fn $name:ident $(, as $declared:path)?;)*) => { $(
        hook! {
            $(#[$meta])*
            /// Async-signal-safe.
            fn $name(signal: c_int, handler: sighandler_t) -> sighandler_t $(, as $declared)?;
            failing libc::SIG_ERR;
            |original| old_handler(signal, handler, original)
        }
    )* };
}

signals! {
    /// signal(2).
    fn signal, as libc::signal;
    /// signal(2) under an older name. Not in musl.
    fn ssignal;
    /// signal(2) with BSD semantics.
    fn bsd_signal;
    /// signal(2) with System V semantics. Not in musl.
    fn sysv_signal;
    /// The same: programs that ask for System V semantics call this as
    /// `signal`.
    fn __sysv_signal;
    /// sigset(3).
    fn sigset;
}

/// Out of line, as there are many such hooks.
#[inline(never)]
fn old_handler(
    signal: c_int,
    handler: sighandler_t,
    original: unsafe extern "C" fn(c_int, sighandler_t) -> sighandler_t,
) -> sighandler_t {
    ordinary_stacks::handler(handler, 0);
    // SAFETY: the caller's own arguments, none of which points to an old
    // handler.
    unsafe {
        let change = || original(signal, handler) as isize;
        let before = gate::around(signal, ptr::null_mut(), &change);
        if before != -1 {
            onstack::after_signal(signal, handler);
        }
        overflow::shown(before as usize)
    }
}

hook! {
    /// siginterrupt(3), which changes `SA_RESTART`. Async-signal-safe.
    fn siginterrupt(signal: c_int, interrupts: c_int) -> c_int;
    failing -1;
    |original| {
        // SAFETY: as above.
        unsafe {
            let change = || original(signal, interrupts) as isize;
            gate::around(signal, ptr::null_mut(), &change) as c_int
        }
    }
}

/// Has a line written before the program dies of a handler's stack overflow.
/// `program` is its path. Call this once, at load.
pub fn watch_overflows(program: &'static [u8]) {
    type Set = unsafe extern "C" fn(c_int, *const sigaction_t, *mut sigaction_t) -> c_int;
    let Some(set) = originals::get(Id::sigaction) else { return };
    overflow::watch(program, |signal, action| {
        // SAFETY: found under that name.
        let set = unsafe { core::mem::transmute::<usize, Set>(set) };
        // SAFETY: a live action, whose handler is async-signal-safe.
        unsafe { set(signal, action, ptr::null_mut()) }
    });
}
