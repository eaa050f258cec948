//! Forks.
//!
//! By atfork handlers registered at load, which serve every function of libc
//! that forks (fork, forkpty, daemon); `_Fork`, which runs none, is hooked.
//! vfork(2) and posix_spawn(3) copy no memory, and their child stands down.

use core::ffi::{c_int, c_void};

use sigward_core::altstack::{self, fork};
use sigward_core::wait::gate;

use crate::originals::{self, Id};

type Handler = extern "C" fn();

extern "C" fn child() {
    fork::child();
    gate::in_child();
}

/// Registers the handlers. To be called once, at load: what is registered
/// first runs last before a fork, and first after it.
pub fn register() {
    /// pthread_atfork(3): musl's, and that of a program which has its own.
    type Portable = unsafe extern "C" fn(Handler, Handler, Handler) -> c_int;
    /// glibc's, which the static part of its pthread_atfork calls.
    type Glibc = unsafe extern "C" fn(Handler, Handler, Handler, *mut c_void) -> c_int;
    if let Some(address) = originals::get(Id::__register_atfork) {
        // SAFETY: found under that name; null stands for the program itself.
        let register = unsafe { core::mem::transmute::<usize, Glibc>(address) };
        // SAFETY: handlers that live as long as this library, which is never
        // unloaded when it was preloaded.
        unsafe { register(fork::prepare, fork::parent, child, core::ptr::null_mut()) };
    } else if let Some(address) = originals::get(Id::pthread_atfork) {
        // SAFETY: found under that name.
        let register = unsafe { core::mem::transmute::<usize, Portable>(address) };
        // SAFETY: as above.
        unsafe { register(fork::prepare, fork::parent, child) };
    }
}

hook! {
    /// _Fork(3): the fork without atfork handlers. Async-signal-safe.
    fn _Fork() -> libc::pid_t;
    failing -1;
    |original| {
        if !altstack::on_duty() {
            // SAFETY: no argument.
            return unsafe { original() };
        }
        fork::prepare();
        // SAFETY: as above.
        let result = unsafe { original() };
        if result == 0 {
            child();
        } else {
            fork::parent();
        }
        result
    }
}
