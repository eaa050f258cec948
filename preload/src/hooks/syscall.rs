//! syscall(2), libc's interface to any system call.
//!
//! It takes as many arguments as the call has, and must not disturb them or the
//! stack (clone(2) with a new stack and vfork(2) return through it). So the
//! hook is a bare jump, which leaves its path only for the numbers in
//! [`WATCHED`], and for clone(2) only if the call copies the stack.

use core::ffi::{c_int, c_long};
use core::sync::atomic::{AtomicU64, Ordering};

use sigward_core::arch::numbers;
use sigward_core::events::{self, handlers, registration};
use sigward_core::os::errno;
use sigward_core::os::signals::KernelAction;
use sigward_core::residency;
use sigward_core::small_stacks::{every_thread, onstack, overflow, permission};
use sigward_core::wait::gate;

use super::{Arguments, fork, seccomp, signal};
use crate::arch;
use crate::memory_calls;
use crate::originals::{self, Id};

/// One bit for each system call number below 512 that a hook watches. Those that
/// small stacks need are watched from the start, as these are mended where
/// nothing is written at load.
static WATCHED: [AtomicU64; 8] = {
    let mut words = [0; 8];
    let mut rest: &[c_long] = &[libc::SYS_sigaltstack, libc::SYS_seccomp, libc::SYS_prctl];
    while let [number, more @ ..] = rest {
        words[*number as usize / 64] |= 1 << (*number as usize % 64);
        rest = more;
    }
    let mut watched = [const { AtomicU64::new(0) }; 8];
    let mut at = 0;
    while at < words.len() {
        watched[at] = AtomicU64::new(words[at]);
        at += 1;
    }
    watched
};

/// Watches the calls in `numbers` from now on; all others pass. Call this once,
/// at load.
pub fn ready(numbers: impl Iterator<Item = &'static c_long>) {
    for number in numbers {
        let number = *number as usize;
        if let Some(word) = WATCHED.get(number / 64) {
            word.fetch_or(1 << (number % 64), Ordering::Relaxed);
        }
    }
}

/// The call that sets handlers.
pub const HANDLERS: &[c_long] = &[
    libc::SYS_rt_sigaction,
    #[cfg(target_arch = "x86")]
    libc::SYS_sigaction,
    #[cfg(target_arch = "x86")]
    libc::SYS_signal,
];

/// The call that asks for a processor feature, which a small stack prevents.
pub const FEATURES: &[c_long] = &[sigward_core::arch::FEATURES_CALL];

/// The calls that affect signal stacks.
pub const ALTSTACK: &[c_long] = &[
    libc::SYS_sigaltstack,
    libc::SYS_madvise,
    libc::SYS_munmap,
    numbers::MMAP,
    #[cfg(target_arch = "x86")]
    libc::SYS_mmap,
    libc::SYS_mremap,
    libc::SYS_brk,
    libc::SYS_mprotect,
    libc::SYS_pkey_mprotect,
    libc::SYS_process_madvise,
    numbers::SHMAT,
    numbers::SHMDT,
    libc::SYS_mlock,
    libc::SYS_mlock2,
    libc::SYS_mlockall,
    libc::SYS_munlock,
    libc::SYS_munlockall,
    libc::SYS_exit,
];

/// syscall(2). Async-signal-safe.
///
/// # Safety
/// The same as for the system call.
#[unsafe(naked)]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn syscall() {
    arch::jump_by_number!(
        watched = WATCHED,
        found = originals::FOUND,
        index = Id::syscall as usize,
        original = original,
        route = route,
    )
}

/// Where a watched call jumps to: to the hook, or to the original if its child
/// must not return through a frame of ours.
extern "C" fn route(number: c_long, a: usize, b: usize) -> usize {
    if fork::NUMBERS.contains(&number) && !fork::child_copies_stack(number, [a, b, 0, 0, 0, 0]) {
        original()
    } else {
        watched_call as *const () as usize
    }
}

/// Where a call that only passes jumps to the first time.
extern "C" fn original() -> usize {
    extern "C" fn missing() -> c_long {
        errno::set(libc::ENOSYS);
        -1
    }
    originals::get(Id::syscall).unwrap_or(missing as *const () as usize)
}

/// The hook of the watched calls.
unsafe extern "C" fn watched_call(
    number: c_long,
    a: usize,
    b: usize,
    c: usize,
    d: usize,
    e: usize,
    f: usize,
) -> c_long {
    type Original = unsafe extern "C" fn(c_long, ...) -> c_long;
    let Some(address) = originals::get(Id::syscall) else {
        errno::set(libc::ENOSYS);
        return -1;
    };
    // SAFETY: libc's `syscall`, found under that name.
    let original = unsafe { core::mem::transmute::<usize, Original>(address) };
    dispatch(&[a, b, c, d, e, f], number, &|&[a, b, c, d, e, f]| {
        // SAFETY: the caller's own arguments, or a part of its range.
        unsafe { original(number, a, b, c, d, e, f) }
    })
}

/// The original, which may also get a part of the caller's range.
type Commit<'a> = &'a dyn Fn(&Arguments) -> c_long;

/// Does what the hook under the call's own name would do. Each kind of call has
/// its own function, as their frames together would be deep.
fn dispatch(arguments: &Arguments, number: c_long, commit: Commit<'_>) -> c_long {
    #[cfg(target_arch = "x86")]
    if let Some(result) = super::old_calls::dispatch(arguments, number, commit) {
        return result;
    }
    let &[first, second, third, ..] = arguments;
    if super::wait::NUMBERS.contains(&number) {
        super::wait::by_number(number, arguments, || commit(arguments))
    } else if seccomp::NUMBERS.contains(&number) {
        let commit = || commit(arguments) as isize;
        seccomp::by_number(number, [first, second, third], &commit) as c_long
    } else if fork::NUMBERS.contains(&number) {
        fork::without_handlers(|| commit(arguments))
    } else if HANDLERS.contains(&number) {
        set_handler(arguments, commit)
    } else if FEATURES.contains(&number) {
        permission::ask(first, || commit(arguments))
    } else if number == libc::SYS_sigaltstack {
        set_stack(arguments, commit)
    } else if !residency::on_duty() {
        commit(arguments)
    } else {
        change_memory(arguments, number, commit)
    }
}

#[inline(never)]
fn set_handler(arguments: &Arguments, commit: Commit<'_>) -> c_long {
    let &[signal, new, old, ..] = arguments;
    if residency::on_duty() {
        handlers::before_kernel_handler(new as *const KernelAction);
    }
    let (signal, asked) = (signal as c_int, new as *const KernelAction);
    let set = |new: *const KernelAction| {
        let mut arguments = *arguments;
        let [_, place, ..] = &mut arguments;
        *place = new as usize;
        let change = || commit(&arguments) as isize;
        // SAFETY: the kernel checks the pointers, and writes the old action.
        unsafe { gate::around(signal, old as *mut usize, &change) }
    };
    // SAFETY: as above.
    unsafe {
        let old = old as *mut KernelAction;
        let result = onstack::action(signal, asked, old, &set);
        if result == 0 {
            overflow::hide(signal, old);
        }
        result as c_long
    }
}

#[inline(never)]
fn set_stack(&[new, old, c, d, e, f]: &Arguments, commit: Commit<'_>) -> c_long {
    let behind = |new: *const libc::stack_t| commit(&[new as usize, old, c, d, e, f]) as c_int;
    let (asked, old) = (new as *const libc::stack_t, old as *mut libc::stack_t);
    if !residency::on_duty() {
        let commit = |new, old: *mut libc::stack_t| {
            let behind = |new: *const _| commit(&[new as usize, old as usize, c, d, e, f]) as c_int;
            every_thread::set(new, false, old, behind)
        };
        return signal::set_by_number(asked, old, &commit).into();
    }
    let set = |actual| every_thread::set(actual, actual != asked, old, behind);
    let result = if new == 0 {
        registration::query(old, || set(core::ptr::null()))
    } else {
        registration::set(asked, old, set)
    };
    every_thread::hold_again();
    result.into()
}

#[inline(never)]
fn change_memory(arguments: &Arguments, number: c_long, commit: Commit<'_>) -> c_long {
    let &[a, b, c, d, e, _] = arguments;
    let whole = || commit(arguments) as isize;
    let result = match number {
        libc::SYS_madvise => {
            let part = |start, length| commit(&[start, length, c, 0, 0, 0]) as isize;
            let passes = memory_calls::passes_advice(a, b, c as c_int);
            if passes { part(a, b) } else { memory_calls::advise(a, b, c as c_int, part) }
        }
        libc::SYS_munmap => memory_calls::unmap(a, b, whole),
        numbers::MMAP => memory_calls::map(a, b, d as c_int, whole),
        libc::SYS_mremap => memory_calls::remap((a, b), (e, c), d as c_int, &whole),
        libc::SYS_brk => memory_calls::set_break(a, &whole),
        libc::SYS_mprotect | libc::SYS_pkey_mprotect => memory_calls::weaken(a, b, whole),
        libc::SYS_process_madvise => memory_calls::advise_by_vector([a, b, c, d, e], &whole),
        numbers::SHMAT => memory_calls::attach(b, c as c_int, &whole),
        numbers::SHMDT => memory_calls::detach(a, &whole),
        libc::SYS_mlock | libc::SYS_mlock2 => memory_calls::lock(Some((a, b)), &whole),
        libc::SYS_mlockall => memory_calls::lock(memory_calls::locked_by_all(a as c_int), &whole),
        libc::SYS_munlock => memory_calls::unlock(Some((a, b)), &whole),
        libc::SYS_munlockall => memory_calls::unlock(None, &whole),
        libc::SYS_exit => {
            // This bypasses libc, whose destructors would have released the
            // stacks.
            events::thread_end();
            whole()
        }
        _ => whole(),
    };
    result as c_long
}
