//! Linux's two ways into the kernel, by the number of a call's arguments: what
//! a call does not have is not loaded.

use core::arch::asm;
use core::ffi::c_long;

/// Defines a function that enters by SYSCALL. RCX and R11 are lost by it.
macro_rules! enter {
    ($name:ident $($argument:ident in $register:tt)*) => {
        /// Enters the kernel by SYSCALL; returns what it left in RAX.
        ///
        /// # Safety
        /// As the system call `number` demands of its arguments.
        #[inline]
        pub unsafe fn $name(number: c_long, $($argument: usize),*) -> isize {
            let result: isize;
            // SAFETY: the caller vouches for the call; what is lost is declared.
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
