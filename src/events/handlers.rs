//! sigaction(2): a new handler may need stacks that nothing needed before.

use core::ffi::c_int;

use crate::os::signals::KernelAction;
#[cfg(target_arch = "x86")]
use crate::os::signals::OldAction;
use crate::os::user_memory;
use crate::residency::{adopt_current, ordinary_stacks};

/// sigaction(2) is about to install `new`: first makes the stacks resident that
/// its handler may run on. Async-signal-safe.
pub fn before_handler(new: *const libc::sigaction) {
    if let Some(action) = user_memory::read(new) {
        hold_for(action.sa_sigaction, action.sa_flags);
    }
}

/// Like [`before_handler`], for the structure of rt_sigaction(2).
pub fn before_kernel_handler(new: *const KernelAction) {
    if let Some(action) = user_memory::read(new) {
        hold_for(action.handler, action.flags as c_int);
    }
}

/// The same for the structure of the old sigaction(2).
#[cfg(target_arch = "x86")]
pub fn before_old_handler(new: *const OldAction) {
    if let Some(action) = user_memory::read(new) {
        hold_for(action.handler, action.flags as c_int);
    }
}

fn hold_for(handler: usize, flags: c_int) {
    if flags & libc::SA_ONSTACK != 0 {
        adopt_current();
    }
    ordinary_stacks::handler(handler, flags);
}
