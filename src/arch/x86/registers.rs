//! The registers that identify a thread and its stack, and valgrind's request.

use core::arch::asm;

/// The calling thread's thread pointer. A forked child's copy of the thread has
/// the same one, and so has a vfork child. Async-signal-safe in a process with
/// a libc.
#[inline]
#[must_use]
pub fn thread_pointer() -> usize {
    let pointer: usize;
    // SAFETY: in the i386 ABI the thread pointer points at itself.
    unsafe {
        asm!("mov {}, dword ptr gs:[0]", out(reg) pointer,
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
    // SAFETY: EDI is rotated by 64 bits in all, EBX is exchanged with itself.
    // valgrind reads the request and answers in EDX.
    unsafe {
        asm!(
            "rol edi, 3",
            "rol edi, 13",
            "rol edi, 29",
            "rol edi, 19",
            "xchg ebx, ebx",
            in("eax") request.as_ptr(),
            inlateout("edx") 0_usize => answer,
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
        asm!("mov {}, esp", out(reg) pointer,
            options(nomem, nostack, preserves_flags));
    }
    pointer
}
