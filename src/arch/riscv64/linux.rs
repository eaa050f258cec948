//! The way into the kernel, by number of arguments: registers for arguments
//! that a call does not have are not loaded.

use core::arch::asm;
use core::ffi::c_long;

/// Defines a function that enters by ECALL, which preserves all registers but
/// the result's and the vector registers. Those the compiler does not use here:
/// this target does not have them.
macro_rules! enter {
    ($name:ident $($argument:ident in $register:tt)*) => {
        /// Enters the kernel by ECALL; returns A0.
        ///
        /// # Safety
        /// The same as for the system call `number` and these arguments.
        #[inline]
        pub unsafe fn $name(number: c_long, $($argument: usize),*) -> isize {
            enter!(@ number, $($argument in $register),*)
        }
    };
    (@ $number:ident,) => {{
        let result: isize;
        // SAFETY: the caller vouches for the call.
        unsafe {
            asm!("ecall", in("a7") $number, lateout("a0") result, options(nostack));
        }
        result
    }};
    (@ $number:ident, $first:ident in $a0:tt $(, $argument:ident in $register:tt)*) => {{
        let result: isize;
        // SAFETY: as above.
        unsafe {
            asm!(
                "ecall",
                in("a7") $number,
                inlateout($a0) $first as isize => result,
                $(in($register) $argument,)*
                options(nostack),
            );
        }
        result
    }};
}

enter!(syscall0);
enter!(syscall1 a in "a0");
enter!(syscall2 a in "a0" b in "a1");
enter!(syscall3 a in "a0" b in "a1" c in "a2");
enter!(syscall4 a in "a0" b in "a1" c in "a2" d in "a3");
enter!(syscall5 a in "a0" b in "a1" c in "a2" d in "a3" e in "a4");
enter!(syscall6 a in "a0" b in "a1" c in "a2" d in "a3" e in "a4" f in "a5");
