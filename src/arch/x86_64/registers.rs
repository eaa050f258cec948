//! The registers that identify a thread and its stack, and valgrind's request.

use core::arch::asm;

/// The calling thread's thread pointer. A forked child's copy of the thread has
/// the same one, and so has a vfork child. Async-signal-safe in a process with
/// a libc.
#[inline]
#[must_use]
pub fn thread_pointer() -> usize {
    let pointer: usize;
    // SAFETY: in the x86-64 ABI the thread pointer points at itself.
    unsafe {
        asm!("mov {}, qword ptr fs:[0]", out(reg) pointer,
            options(pure, readonly, nostack, preserves_flags));
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
    // SAFETY: RDI is rotated by 128 bits in all, RBX is exchanged with itself.
    // valgrind reads the request and answers in RDX.
    unsafe {
        asm!(
            "rol rdi, 3",
            "rol rdi, 13",
            "rol rdi, 61",
            "rol rdi, 51",
            "xchg rbx, rbx",
            in("rax") request.as_ptr(),
            inlateout("rdx") 0_usize => answer,
            options(readonly, nostack),
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
        asm!("mov {}, rsp", out(reg) pointer,
            options(nomem, nostack, preserves_flags));
    }
    pointer
}
