//! syscall(2), libc's way to any system call.
//!
//! It takes as many arguments as the call has and must not disturb them, nor
//! the stack (clone(2) with a new stack and vfork(2) return through it). So
//! the hook is a bare jump, which turns off only for the numbers in
//! [`WATCHED`], none of which is such a call.

use core::arch::naked_asm;
use core::ffi::{c_int, c_long};
use core::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use sigward_core::altstack;
use sigward_core::sys::errno;

use crate::originals::{self, Id};

/// One bit for each system call number below 512 that a hook wants to see.
static WATCHED: [AtomicU64; 8] = [const { AtomicU64::new(0) }; 8];

/// The original, or 0 before it is known.
static ORIGINAL: AtomicUsize = AtomicUsize::new(0);

/// Opens the way to the original; calls of `numbers` are seen from now on,
/// others only pass. To be called once, at load.
pub fn ready(numbers: impl Iterator<Item = &'static c_long>) {
    ORIGINAL.store(originals::peek(Id::syscall).unwrap_or(0), Ordering::Relaxed);
    for number in numbers {
        let number = *number as usize;
        if let Some(word) = WATCHED.get(number / 64) {
            word.fetch_or(1 << (number % 64), Ordering::Relaxed);
        }
    }
}

/// The calls that concern signal stacks.
pub const ALTSTACK: &[c_long] = &[libc::SYS_sigaltstack, libc::SYS_rt_sigaction];

/// syscall(2). Async-signal-safe.
///
/// # Safety
/// As the system call.
#[unsafe(naked)]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn syscall() {
    naked_asm!(
        "cmp rdi, 512",
        "jae 2f",
        "lea r11, [rip + {watched}]",
        "bt qword ptr [r11], rdi",
        "jc {hooked}",
        "2: mov r11, qword ptr [rip + {original}]",
        "test r11, r11",
        "jz {hooked}",
        "jmp r11",
        watched = sym WATCHED,
        original = sym ORIGINAL,
        hooked = sym hooked,
    )
}

/// The arguments of any system call, as registers.
pub type Arguments = [usize; 6];

/// The calls that are watched, and all calls before our constructor.
unsafe extern "C" fn hooked(
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
    let arguments: Arguments = [a, b, c, d, e, f];
    let commit = || {
        // SAFETY: libc's `syscall`, found under that name, with the caller's
        // own arguments.
        unsafe {
            let original = core::mem::transmute::<usize, Original>(address);
            original(number, a, b, c, d, e, f)
        }
    };
    act(number, arguments, commit)
}

fn act(number: c_long, arguments: Arguments, commit: impl FnOnce() -> c_long) -> c_long {
    if super::wait::NUMBERS.contains(&number) {
        return super::wait::by_number(number, arguments, commit);
    }
    if !altstack::on_duty() {
        return commit();
    }
    let [a, b, ..] = arguments;
    match number {
        libc::SYS_sigaltstack if a != 0 => {
            altstack::set(a as *const libc::stack_t, || commit() as c_int).into()
        }
        libc::SYS_rt_sigaction => {
            altstack::before_kernel_handler(b as *const altstack::KernelAction);
            commit()
        }
        _ => commit(),
    }
}
