//! The hooks: thin edges. A new one begins in [`list`]. Each checks whether there
//! is anything to do, calls the crate `sigward` with the original as a closure,
//! and returns.

/// Defines an exported function in front of libc's of the same name.
///
/// `as PATH` checks the signature at compile time against the declaration in
/// the `libc` crate. The body gets the original as `$original`; if there is
/// none, the hook fails with ENOSYS and returns `failing`. `found by` names the
/// function that finds the original; the default is [`crate::originals::get`].
macro_rules! hook {
    (
        $(#[$meta:meta])*
        fn $name:ident($($argument:ident: $type:ty),*) -> $result:ty $(, as $declared:path)?;
        found by $find:ident;
        failing $failure:expr;
        |$original:ident| $body:expr
    ) => {
        $(#[$meta])*
        ///
        /// # Safety
        /// The same as for libc's function.
        #[unsafe(no_mangle)]
        pub unsafe extern "C" fn $name($($argument: $type),*) -> $result {
            type Original = unsafe extern "C" fn($($type),*) -> $result;
            $(const _: Original = $declared;)?
            let Some(address) = $crate::originals::$find($crate::originals::Id::$name) else {
                sigward_core::os::errno::set(libc::ENOSYS);
                return $failure;
            };
            // SAFETY: found under this name, which has this type.
            let $original = unsafe { core::mem::transmute::<usize, Original>(address) };
            $body
        }
    };
    (
        $(#[$meta:meta])*
        fn $name:ident($($argument:ident: $type:ty),*) -> $result:ty $(, as $declared:path)?;
        failing $failure:expr;
        |$original:ident| $body:expr
    ) => {
        hook! {
            $(#[$meta])*
            fn $name($($argument: $type),*) -> $result $(, as $declared)?;
            found by get;
            failing $failure;
            |$original| $body
        }
    };
    // Two names for one function.
    (
        $(#[$meta:meta])*
        fn $name:ident, $other:ident $signature:tt -> $result:ty $(, as $declared:path)?;
        failing $failure:expr;
        |$original:ident| $body:expr
    ) => {
        hook! {
            $(#[$meta])*
            fn $name $signature -> $result $(, as $declared)?;
            failing $failure;
            |$original| $body
        }
        hook! {
            $(#[$meta])*
            fn $other $signature -> $result $(, as $declared)?;
            failing $failure;
            |$original| $body
        }
    };
}

pub mod fork;
pub mod list;
mod memory;
#[cfg(target_arch = "x86")]
mod old_calls;
pub mod seccomp;
pub mod signal;
pub mod syscall;
pub mod thread;
#[cfg_attr(not(target_arch = "x86_64"), path = "wait_unaffected.rs")]
pub mod wait;

/// The arguments of any system call, as register values.
type Arguments = [usize; 6];
