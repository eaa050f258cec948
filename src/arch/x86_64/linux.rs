//! Linux's two ways into the kernel, by number of arguments: registers for
//! arguments that a call does not have are not loaded.

use core::arch::asm;
use core::ffi::c_long;

/// The system call, and its first argument, by which a program asks for a
/// processor feature with a large state: `ARCH_REQ_XCOMP_PERM`.
pub const FEATURES_CALL: c_long = libc::SYS_arch_prctl;
/// See [`FEATURES_CALL`].
pub const REQUEST_FEATURE: usize = 0x1023;

/// Defines a function that enters by SYSCALL, which overwrites RCX and R11.
macro_rules! enter {
    ($name:ident $($argument:ident in $register:tt)*) => {
        /// Enters the kernel by SYSCALL; returns RAX.
        ///
        /// # Safety
        /// The same as for the system call `number` and these arguments.
        #[inline]
        pub unsafe fn $name(number: c_long, $($argument: usize),*) -> isize {
            let result: isize;
            // SAFETY: the caller vouches for the call; overwritten registers
            // are declared.
            unsafe {
                asm!(
                    "syscall",
                    inlateout("rax") number as isize => result,
                    $(in($register) $argument,)*
                    lateout("rcx") _,
                    lateout("r11") _,
                    options(nostack),
                );
            }
            result
        }
    };
}

enter!(syscall0);
enter!(syscall1 a in "rdi");
enter!(syscall2 a in "rdi" b in "rsi");
enter!(syscall3 a in "rdi" b in "rsi" c in "rdx");
enter!(syscall4 a in "rdi" b in "rsi" c in "rdx" d in "r10");
enter!(syscall5 a in "rdi" b in "rsi" c in "rdx" d in "r10" e in "r8");
enter!(syscall6 a in "rdi" b in "rsi" c in "rdx" d in "r10" e in "r8" f in "r9");

/// waitid(2) in the 32-bit table, for [`int80`].
pub const INT80_WAITID: i32 = 284;

/// Enters the kernel by INT 0x80. `number` is from the 32-bit table; 32 bits of
/// each argument are used. Returns EAX.
///
/// # Safety
/// The same as for that call and these arguments. If the kernel has no such
/// entry, this raises SIGSEGV.
#[must_use]
pub unsafe fn int80(number: i32, [a, b, c, d, e]: [u32; 5]) -> i32 {
    let result: i32;
    // SAFETY: the caller vouches for the call. RBX belongs to the compiler, so
    // it is restored; nothing unwinds here. R8 to R11 may be lost
    // (entry_64_compat.S cleared them before Linux 6.7).
    unsafe {
        asm!(
            "xchg rbx, {a}",
            "int 0x80",
            "xchg rbx, {a}",
            a = inout(reg) a as usize => _,
            inlateout("eax") number => result,
            in("ecx") b,
            in("edx") c,
            in("esi") d,
            in("edi") e,
            lateout("r8") _, lateout("r9") _, lateout("r10") _, lateout("r11") _,
        );
    }
    result
}
