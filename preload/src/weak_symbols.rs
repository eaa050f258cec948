//! Weak symbols: the libc names that the loader binds for us. A process that
//! lacks one starts all the same, and we find a null.
//!
//! Each costs a look-up in every exec, so names that `super::originals` can
//! find are not listed here.

use core::ffi::c_char;
#[cfg(target_os = "linux")]
use core::ffi::{c_int, c_void};

use crate::arch;

/// What dl_iterate_phdr(3) calls for each object.
#[cfg(target_os = "linux")]
pub type Visit = unsafe extern "C" fn(*mut libc::dl_phdr_info, libc::size_t, *mut c_void) -> c_int;
/// dl_iterate_phdr(3).
#[cfg(target_os = "linux")]
pub type Iterate = unsafe extern "C" fn(Visit, *mut c_void) -> c_int;

/// Defines a function that returns the address to which the loader bound
/// `name`.
macro_rules! weak {
    ($(#[$meta:meta])* $name:ident as $function:ident) => {
        core::arch::global_asm!(concat!(".weak ", stringify!($name)));

        $(#[$meta])*
        pub fn $function() -> Option<usize> {
            // SAFETY: reads our own slot of the global offset table, which the
            // loader filled before it called any of our code.
            let address = unsafe { arch::bound_address!($name) };
            (address != 0).then_some(address)
        }
    };
}

#[cfg(target_os = "linux")]
weak!(
    /// `dl_iterate_phdr`, which walks the loaded objects.
    dl_iterate_phdr as iterate_address
);
#[cfg(target_os = "freebsd")]
weak!(
    /// `dlsym`.
    dlsym as dlsym
);
#[cfg(target_os = "linux")]
weak!(
    /// The address of `argc`; only glibc has it.
    __libc_stack_end as libc_stack_end
);
weak!(
    /// The variable `environ`.
    environ as environ_variable
);

#[cfg(target_os = "freebsd")]
weak!(
    /// `__error`, which returns the address of `errno`.
    __error as error_location
);

/// dl_iterate_phdr(3), if the process has one.
#[cfg(target_os = "linux")]
pub fn dl_iterate_phdr() -> Option<Iterate> {
    // SAFETY: bound under that name.
    iterate_address().map(|address| unsafe { core::mem::transmute::<usize, Iterate>(address) })
}

/// The initial environment of the process; valid while constructors run.
pub fn environ() -> Option<*const *const c_char> {
    // SAFETY: libc's variable; nobody changes it while constructors run.
    let value = unsafe { *(environ_variable()? as *const *const *const c_char) };
    (!value.is_null()).then_some(value)
}
