//! `FreeBSD`'s two ways into the kernel. Both take six arguments, as any call
//! may be sent through them. The carry flag means an error.

use core::arch::asm;

/// Enters by SYSCALL. Returns RAX, and whether it is an error. On an affected
/// kernel a restart loses R8 to R10, ours too.
///
/// # Safety
/// The same as for the system call `number` and these arguments.
#[inline]
pub unsafe fn syscall6(number: usize, [a, b, c, d, e, f]: [usize; 6]) -> (usize, bool) {
    let (value, failed): (usize, u8);
    // SAFETY: the caller vouches for the call. The registers that the kernel
    // may lose, or use for a second return value, are declared.
    unsafe {
        asm!(
            "syscall",
            "setc cl",
            inlateout("rax") number => value,
            in("rdi") a,
            in("rsi") b,
            inlateout("rdx") c => _,
            inlateout("r10") d => _,
            inlateout("r8") e => _,
            inlateout("r9") f => _,
            lateout("cl") failed,
            lateout("r11") _,
            options(nostack),
        );
    }
    (value, failed != 0)
}

/// Enters by INT 0x80, with native numbers and 64-bit arguments, the fourth in
/// RCX. A restart preserves the arguments.
///
/// # Safety
/// As for [`syscall6`]; and the kernel has that entry (`COMPAT_FREEBSD32`).
#[inline]
pub unsafe fn int80(number: usize, [a, b, c, d, e, f]: [usize; 6]) -> (usize, bool) {
    let (value, failed): (usize, u8);
    // SAFETY: as above.
    unsafe {
        asm!(
            "int 0x80",
            "setc r11b",
            inlateout("rax") number => value,
            in("rdi") a,
            in("rsi") b,
            inlateout("rdx") c => _,
            inlateout("rcx") d => _,
            inlateout("r8") e => _,
            inlateout("r9") f => _,
            lateout("r10") _,
            lateout("r11b") failed,
            options(nostack),
        );
    }
    (value, failed != 0)
}
