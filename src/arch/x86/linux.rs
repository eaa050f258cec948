//! The way into the kernel: INT 0x80, which every kernel has for 32-bit
//! programs. The vDSO's entry would be faster, but libc alone knows where it
//! is.

use core::arch::naked_asm;
use core::ffi::c_long;

/// The system call, and its first argument, by which a program asks for a
/// processor feature with a large state: `ARCH_REQ_XCOMP_PERM` of
/// arch_prctl(2).
pub const FEATURES_CALL: c_long = 384;
/// See [`FEATURES_CALL`].
pub const REQUEST_FEATURE: usize = 0x1023;

/// Enters the kernel by INT 0x80; returns EAX. A function, as a block of
/// assembly cannot have ESI and EBP.
///
/// # Safety
/// The same as for the system call `number` and these arguments.
#[must_use]
#[unsafe(naked)]
pub unsafe extern "C" fn syscall6(
    number: c_long,
    a: usize,
    b: usize,
    c: usize,
    d: usize,
    e: usize,
    f: usize,
) -> isize {
    naked_asm!(
        ".cfi_startproc",
        "push ebp",
        ".cfi_adjust_cfa_offset 4",
        ".cfi_rel_offset ebp, 0",
        "push edi",
        ".cfi_adjust_cfa_offset 4",
        ".cfi_rel_offset edi, 0",
        "push esi",
        ".cfi_adjust_cfa_offset 4",
        ".cfi_rel_offset esi, 0",
        "push ebx",
        ".cfi_adjust_cfa_offset 4",
        ".cfi_rel_offset ebx, 0",
        "mov eax, [esp + 20]",
        "mov ebx, [esp + 24]",
        "mov ecx, [esp + 28]",
        "mov edx, [esp + 32]",
        "mov esi, [esp + 36]",
        "mov edi, [esp + 40]",
        "mov ebp, [esp + 44]",
        "int 0x80",
        "pop ebx",
        ".cfi_adjust_cfa_offset -4",
        ".cfi_restore ebx",
        "pop esi",
        ".cfi_adjust_cfa_offset -4",
        ".cfi_restore esi",
        "pop edi",
        ".cfi_adjust_cfa_offset -4",
        ".cfi_restore edi",
        "pop ebp",
        ".cfi_adjust_cfa_offset -4",
        ".cfi_restore ebp",
        "ret",
        ".cfi_endproc",
    )
}

/// Defines the functions for fewer arguments.
macro_rules! fewer {
    ($($name:ident $($argument:ident)*, $($zero:literal)*;)*) => { $(
        /// Enters the kernel by INT 0x80; returns EAX.
        ///
        /// # Safety
        /// The same as for the system call `number` and these arguments.
        #[inline]
        pub unsafe fn $name(number: c_long, $($argument: usize),*) -> isize {
            // SAFETY: the caller's contract.
            unsafe { syscall6(number, $($argument,)* $($zero),*) }
        }
    )* };
}

fewer! {
    syscall0, 0 0 0 0 0 0;
    syscall1 a, 0 0 0 0 0;
    syscall2 a b, 0 0 0 0;
    syscall3 a b c, 0 0 0;
    syscall4 a b c d, 0 0;
    syscall5 a b c d e, 0;
}
