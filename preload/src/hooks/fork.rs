//! Forks are handled by atfork handlers, registered at load, which serve every
//! libc function that forks (fork, forkpty, daemon). `_Fork` and forks through
//! syscall(2) run no such handlers and are hooked. vfork(2) and posix_spawn(3)
//! copy no memory, and in their child we stand down.

use core::ffi::{c_int, c_long, c_void};

use sigward_core::arch::numbers;
use sigward_core::events::fork;
use sigward_core::os::user_memory;
use sigward_core::residency;
use sigward_core::wait::{self, gate};

use super::Arguments;
use crate::originals::{self, Id};

type Handler = extern "C" fn();

extern "C" fn child() {
    fork::child();
    gate::in_child();
}

/// Registers the handlers. Call this once, at load: the handlers that are
/// registered first run last before a fork, and first after it.
pub fn register() {
    /// pthread_atfork(3): of musl, or of a program that has its own.
    type Portable = unsafe extern "C" fn(Handler, Handler, Handler) -> c_int;
    /// glibc's function, which the static part of its pthread_atfork calls.
    type Glibc = unsafe extern "C" fn(Handler, Handler, Handler, *mut c_void) -> c_int;
    if let Some(address) = originals::get(Id::__register_atfork) {
        // SAFETY: found under that name; null means the program itself.
        let register = unsafe { core::mem::transmute::<usize, Glibc>(address) };
        // SAFETY: the handlers live as long as this library, which is never
        // unloaded when it is preloaded.
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
    // SAFETY: no argument.
    |original| without_handlers(|| unsafe { original().into() }) as libc::pid_t
}

/// Forks by `commit`, which runs no handlers and returns 0 in the child.
pub fn without_handlers(commit: impl FnOnce() -> c_long) -> c_long {
    // Called by one of the program's fork handlers: the end of the fork that is
    // in progress ends this one too.
    if fork::under_way_here() {
        return commit();
    }
    fork::prepare();
    let result = commit();
    if result == 0 {
        child();
    } else {
        fork::parent();
    }
    result
}

/// The calls that may fork. vfork(2) is not one: it copies no memory.
pub const NUMBERS: &[c_long] = &[numbers::FORK, libc::SYS_clone, libc::SYS_clone3];

/// Whether one of [`NUMBERS`] is a fork whose child returns like the parent: on
/// a copy of its stack, with a copy of its thread pointer. A child on another
/// stack, or on its parent's own, must not return through a frame of ours.
pub fn child_copies_stack(number: c_long, arguments: Arguments) -> bool {
    /// The part of clone3(2)'s `struct clone_args` that is needed, in 64-bit
    /// words.
    type CloneArguments = [u64; 8];
    let copies = |flags: u64, stack: u64| {
        stack == 0 && flags & (libc::CLONE_VM | libc::CLONE_SETTLS) as u64 == 0
    };
    let [a, b, ..] = arguments;
    match number {
        numbers::FORK => true,
        libc::SYS_clone => copies(a as u64, b as u64),
        // Reading the argument takes a system call.
        libc::SYS_clone3 if residency::on_duty() || wait::acts() => {
            let read = user_memory::read(a as *const CloneArguments);
            let arguments = read.filter(|_| b >= size_of::<CloneArguments>());
            arguments.is_some_and(|[flags, _, _, _, _, stack, ..]| copies(flags, stack))
        }
        _ => false,
    }
}
