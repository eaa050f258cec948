//! The registers that identify a thread and its stack, and valgrind's request.

use core::arch::asm;

/// The calling thread's thread pointer. A forked child's copy of the thread has
/// the same one, and so has a vfork child. Async-signal-safe.
#[inline]
#[must_use]
pub fn thread_pointer() -> usize {
    let pointer: usize;
    // SAFETY: reads a register.
    unsafe {
        asm!("mv {}, tp", out(reg) pointer,
            options(nomem, nostack, preserves_flags));
    }
    pointer
}

/// Whether valgrind runs this process. Uses the instructions that valgrind
/// answers, which do nothing elsewhere (valgrind.h, `RUNNING_ON_VALGRIND`).
#[must_use]
pub fn is_under_valgrind() -> bool {
    const RUNNING_ON_VALGRIND: usize = 0x1001;
    let request = [RUNNING_ON_VALGRIND, 0, 0, 0, 0, 0];
    let answer: usize;
    // SAFETY: writes to the register that is always zero, and A0 stays what it
    // is. valgrind reads the request and answers in A3.
    unsafe {
        asm!(
            ".option push",
            ".option norvc",
            "srli zero, zero, 3",
            "srli zero, zero, 13",
            "srli zero, zero, 51",
            "srli zero, zero, 61",
            "or a0, a0, a0",
            ".option pop",
            in("a4") request.as_ptr(),
            inlateout("a3") 0_usize => answer,
            options(readonly, nostack, preserves_flags),
        );
    }
    answer != 0
}

/// The stack pointer. Async-signal-safe.
#[inline]
#[must_use]
pub fn stack_pointer() -> usize {
    let pointer: usize;
    // SAFETY: reads a register.
    unsafe {
        asm!("mv {}, sp", out(reg) pointer,
            options(nomem, nostack, preserves_flags));
    }
    pointer
}
