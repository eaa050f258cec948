//! The way into the kernel, by number of arguments: registers for arguments
//! that a call does not have are not loaded.

use core::arch::asm;
use core::ffi::c_long;

/// Defines a function that enters by SVC, which preserves all registers but the
/// result's, and what SVE adds to the vector registers.
macro_rules! enter {
    ($name:ident $($argument:ident in $register:tt)*) => {
        /// Enters the kernel by SVC; returns X0.
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
            asm!("svc 0", in("x8") $number, lateout("x0") result, options(nostack));
        }
        result
    }};
    (@ $number:ident, $first:ident in $x0:tt $(, $argument:ident in $register:tt)*) => {{
        let result: isize;
        // SAFETY: as above.
        unsafe {
            asm!(
                "svc 0",
                in("x8") $number,
                inlateout($x0) $first as isize => result,
                $(in($register) $argument,)*
                options(nostack),
            );
        }
        result
    }};
}

enter!(syscall0);
enter!(syscall1 a in "x0");
enter!(syscall2 a in "x0" b in "x1");
enter!(syscall3 a in "x0" b in "x1" c in "x2");
enter!(syscall4 a in "x0" b in "x1" c in "x2" d in "x3");
enter!(syscall5 a in "x0" b in "x1" c in "x2" d in "x3" e in "x4");
enter!(syscall6 a in "x0" b in "x1" c in "x2" d in "x3" e in "x4" f in "x5");
