//! The calls through syscall(2) that only 32-bit x86 still has, beside the ones
//! that replaced them.

use core::ffi::{c_int, c_long};

use sigward_core::events::handlers;
use sigward_core::os::signals::OldAction;
use sigward_core::os::user_memory;
use sigward_core::residency::{self, ordinary_stacks};
use sigward_core::small_stacks::{onstack, overflow};

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
        libc::SYS_sigaction => return Some(set_handler(arguments, commit)),
        libc::SYS_signal => {
            let signal = first as c_int;
            ordinary_stacks::handler(second, 0);
            let before = commit(arguments);
            if before == -1 {
                return Some(before);
            }
            onstack::after_signal(signal, second);
            return Some(overflow::shown(before as usize) as c_long);
        }
        libc::SYS_mmap if residency::on_duty() => {
            // It takes one argument: the address of its six.
            let words = user_memory::read(first as *const Arguments);
            if let Some([start, length, _, flags, ..]) = words {
                let whole = || commit(arguments) as isize;
                return Some(memory_calls::map(start, length, flags as c_int, whole) as c_long);
            }
        }
        libc::SYS_mmap => {}
        _ => return None,
    }
    Some(commit(arguments))
}

#[inline(never)]
fn set_handler(arguments: &Arguments, commit: &dyn Fn(&Arguments) -> c_long) -> c_long {
    let &[signal, new, old, ..] = arguments;
    let (signal, asked, old) = (signal as c_int, new as *const OldAction, old as *mut OldAction);
    if residency::on_duty() {
        handlers::before_old_handler(asked);
    }
    let set = |new: *const OldAction| {
        let mut arguments = *arguments;
        let [_, place, ..] = &mut arguments;
        *place = new as usize;
        commit(&arguments) as isize
    };
    // SAFETY: the kernel checks the pointers, and writes the old action.
    unsafe {
        let result = onstack::action(signal, asked, old, &set);
        if result == 0 {
            overflow::hide(signal, old);
        }
        result as c_long
    }
}
