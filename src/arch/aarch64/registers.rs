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
        asm!("mrs {}, tpidr_el0", out(reg) pointer,
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
    // SAFETY: X12 is rotated by 128 bits in all, X10 stays what it is.
    // valgrind reads the request and answers in X3.
    unsafe {
        asm!(
            "ror x12, x12, 3",
            "ror x12, x12, 13",
            "ror x12, x12, 51",
            "ror x12, x12, 61",
            "orr x10, x10, x10",
            in("x4") request.as_ptr(),
            inlateout("x3") 0_usize => answer,
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
        asm!("mov {}, sp", out(reg) pointer,
            options(nomem, nostack, preserves_flags));
    }
    pointer
}
