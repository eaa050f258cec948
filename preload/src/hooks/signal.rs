//! sigaltstack(2), sigaction(2) and their aliases.
//!
//! `signal`, `sysv_signal`, `bsd_signal`, `sigset`, `sigvec` and
//! `siginterrupt` are not hooked: none but `sigvec` (gone since glibc 2.21)
//! can set `SA_ONSTACK`, and a stack is adopted when it is registered; a test
//! watches that.

use core::ffi::{c_int, c_void};

use libc::{sigaction as sigaction_t, stack_t};
use sigward_core::altstack::{self, size};
use sigward_core::wait::gate;

hook! {
    /// sigaltstack(2): the new stack is made resident before the kernel
    /// learns of it. Async-signal-safe.
    fn sigaltstack(new: *const stack_t, old: *mut stack_t) -> c_int, as libc::sigaltstack;
    failing -1;
    |original| {
        // SAFETY: the caller's own arguments, or a larger stack of ours.
        let commit = |new| unsafe { original(new, old) };
        if altstack::on_duty() && !new.is_null() {
            altstack::set(new, old, commit)
        } else if size::fixing() {
            size::query(old, || commit(new))
        } else {
            commit(new)
        }
    }
}

/// `struct sigstack`, which the `libc` crate does not declare.
#[repr(C)]
pub struct Sigstack {
    top: *mut c_void,
    on_stack: c_int,
}

hook! {
    /// sigstack(3), glibc's legacy way in. It gives no size, so the stack is
    /// adopted as the kernel then describes it. Async-signal-safe.
    fn sigstack(new: *mut Sigstack, old: *mut Sigstack) -> c_int;
    failing -1;
    |original| {
        // SAFETY: the caller's own arguments.
        let result = unsafe { original(new, old) };
        if altstack::on_duty() {
            altstack::adopt_current();
        }
        result
    }
}

hook! {
    /// sigaction(2), also by glibc's other name for it: with `SA_ONSTACK`, the
    /// thread's stack is adopted first if it is not known. Async-signal-safe.
    fn sigaction, __sigaction
        (signal: c_int, new: *const sigaction_t, old: *mut sigaction_t) -> c_int,
        as libc::sigaction;
    failing -1;
    |original| {
        if altstack::on_duty() {
            altstack::before_handler(new);
        }
        // SAFETY: the caller's own arguments; libc writes `old` where it succeeds.
        unsafe { gate::action(signal, new, old, |new| original(signal, new, old)) }
    }
}
