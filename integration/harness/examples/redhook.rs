//! `sigaction` and `sigaltstack` hooked by redhook's macro, each only calling the
//! original: for comparison with `libsigward.so`. Not shipped.
#![allow(missing_docs, reason = "redhook's macro makes public items without documentation")]

use std::ffi::c_int;

redhook::hook! {
    unsafe fn sigaction(
        signal: c_int,
        new: *const libc::sigaction,
        old: *mut libc::sigaction
    ) -> c_int => pass_sigaction {
        // SAFETY: the caller's arguments, unchanged, to the function that the caller meant.
        unsafe { redhook::real!(sigaction)(signal, new, old) }
    }
}

redhook::hook! {
    unsafe fn sigaltstack(new: *const libc::stack_t, old: *mut libc::stack_t) -> c_int => pass_sigaltstack {
        // SAFETY: as above.
        unsafe { redhook::real!(sigaltstack)(new, old) }
    }
}
