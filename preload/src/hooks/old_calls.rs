//! The calls through syscall(2) that only 32-bit x86 still has, beside the ones
//! that replaced them.

use core::ffi::{c_int, c_long};

use sigward_core::events::handlers;
use sigward_core::os::signals::OldAction;
use sigward_core::os::user_memory;
use sigward_core::residency::{self, ordinary};

use super::Arguments;
use crate::memory_calls;

/// One of the calls here; `None` for any other.
#[inline(never)] // for depth
pub fn dispatch(
    arguments: &Arguments,
    number: c_long,
    commit: &dyn Fn(&Arguments) -> c_long,
) -> Option<c_long> {
    let &[first, second, ..] = arguments;
    match number {
        libc::SYS_sigaction if residency::on_duty() => {
            handlers::before_old_handler(second as *const OldAction);
        }
        libc::SYS_signal => ordinary::handler(second, 0),
        libc::SYS_mmap if residency::on_duty() => {
            // It takes one argument: the address of its six.
            let words = user_memory::read(first as *const Arguments);
            if let Some([start, length, _, flags, ..]) = words {
                let whole = || commit(arguments) as isize;
                return Some(memory_calls::map(start, length, flags as c_int, whole) as c_long);
            }
        }
        libc::SYS_sigaction | libc::SYS_mmap => {}
        _ => return None,
    }
    Some(commit(arguments))
}
