//! The library on `FreeBSD`: the calls that an affected kernel cannot restart.
//!
//! libc has each call under three names: `NAME` and `_NAME`, which libthr
//! replaces by functions that are cancellation points, and `__sys_NAME`, which
//! both call in the end. We export all three. If the first two are libthr's, we
//! jump to those and see the call again in `__sys_NAME`; so cancellation
//! remains libthr's business.
//!
//! Nothing is hooked by number: on the kernels concerned, libc's SYSCALL(2)
//! cannot be distinguished from other uses of that instruction.

use core::ffi::{CStr, c_char, c_int, c_void};
use core::sync::atomic::{AtomicPtr, Ordering};

use sigward_core::os::errno;
use sigward_core::os::freebsd::{self, Outcome};
use sigward_core::wait::{self, Strategy};
use sigward_core::{config, plan, quirks};

use crate::{arch, weak_symbols};

/// Called by the loader: `build.rs` makes it `DT_INIT`, because loaders before
/// 9.1 do not support `DT_INIT_ARRAY`.
#[unsafe(no_mangle)]
extern "C" fn sigward_on_load() {
    // SAFETY: found under that name, or 0.
    unsafe { errno::locate(weak_symbols::error_location().unwrap_or(0)) };
    let config = config::parse(environment(), b"", |_| {});
    let release = freebsd::release_date().ok().and_then(quirks::freebsd_release_of);
    let strategy = plan::freebsd::waits(&config, release, freebsd::has_int80).value;
    wait::take_charge(strategy);
    set_targets(strategy);
}

/// The entries `NAME=VALUE`.
fn environment() -> impl Iterator<Item = &'static [u8]> {
    let mut next = weak_symbols::environ();
    core::iter::from_fn(move || {
        let pointer = next?;
        // SAFETY: inside the environment, up to the null that ends it.
        let entry = unsafe { *pointer };
        if entry.is_null() {
            return None;
        }
        // SAFETY: not at the null yet.
        next = Some(unsafe { pointer.add(1) });
        // SAFETY: the entries are NUL-terminated.
        Some(unsafe { CStr::from_ptr(entry) }.to_bytes())
    })
}

/// The next function of that name in search order.
fn original(name: &CStr) -> *mut () {
    type Dlsym = unsafe extern "C" fn(*mut c_void, *const c_char) -> *mut c_void;
    let Some(address) = weak_symbols::dlsym() else { return core::ptr::null_mut() };
    // SAFETY: the loader's `dlsym`.
    let dlsym = unsafe { core::mem::transmute::<usize, Dlsym>(address) };
    // SAFETY: a NUL-terminated name.
    unsafe { dlsym(libc::RTLD_NEXT, name.as_ptr()) }.cast()
}

/// Returns a raw outcome the way libc does.
fn as_libc_returns(outcome: Outcome) -> isize {
    match outcome {
        Ok(value) => value as isize,
        Err(error) => {
            errno::set(error.0);
            -1
        }
    }
}

/// Where an export jumps to. `own` is its original, `inner` the original of the
/// innermost name, `replacement` our replacement.
fn choose(replaces: bool, own: *mut (), inner: *mut (), replacement: *const ()) -> *mut () {
    if own.is_null() && inner.is_null() {
        // This libc, and perhaps its kernel, lacks the call: trying it could
        // raise SIGSYS.
        return missing as *const () as *mut ();
    }
    // libc's own function is the innermost one under another name; libthr's is
    // a different function.
    let wrapper = !own.is_null() && !inner.is_null() && own != inner;
    if !own.is_null() && (!replaces || wrapper) { own } else { replacement.cast_mut() }
}

extern "C" fn missing() -> isize {
    errno::set(libc::ENOSYS);
    -1
}

/// The name of a function as a C string.
macro_rules! name {
    ($name:ident) => {
        // SAFETY: one NUL, at the end.
        unsafe { CStr::from_bytes_with_nul_unchecked(concat!(stringify!($name), "\0").as_bytes()) }
    };
}
/// Defines the three exports of each call, what they do while a strategy is in
/// force, and `set_targets`, which decides where each jumps to.
macro_rules! calls {
    ($(
        $(#[$meta:meta])*
        fn $name:ident $wrapper:ident $inner:ident
            ($($argument:ident: $type:ty),*) -> $result:ty, $replacing:pat => $body:expr;
    )*) => {
        $(
            mod $name {
                use super::*;
                /// The targets of the outer two names, and of the innermost.
                pub static OUTER: [AtomicPtr<()>; 2] =
                    [const { AtomicPtr::new(replacement as *const () as *mut ()) }; 2];
                pub static INNER: AtomicPtr<()> =
                    AtomicPtr::new(replacement as *const () as *mut ());

                pub unsafe extern "C" fn replacement($($argument: $type),*) -> $result {
                    as_libc_returns($body) as $result
                }
            }
            calls!(@export $(#[$meta])* $name jumps to $name::OUTER, 0);
            calls!(@export $(#[$meta])* $wrapper jumps to $name::OUTER, 8);
            calls!(@export $(#[$meta])* $inner jumps to $name::INNER, 0);
        )*

        fn set_targets(strategy: Strategy) {
            $(
                let names = [name!($name), name!($wrapper)];
                let inner = original(name!($inner));
                let replaces = matches!(strategy, $replacing);
                let replacement = $name::replacement as *const ();
                let next = choose(replaces, inner, inner, replacement);
                $name::INNER.store(next, Ordering::Relaxed);
                for (name, target) in names.into_iter().zip(&$name::OUTER) {
                    let next = choose(replaces, original(name), inner, replacement);
                    target.store(next, Ordering::Relaxed);
                }
            )*
        }
    };
    (@export $(#[$meta:meta])* $name:ident jumps to $target:path, $offset:literal) => {
        $(#[$meta])*
        ///
        /// # Safety
        /// The same as for libc's function.
        #[unsafe(naked)]
        #[unsafe(no_mangle)]
        pub unsafe extern "C" fn $name() {
            arch::jump!($target, $offset)
        }
    };
}

calls! {
    /// wait4(2), which waitpid, wait, wait3, system and pclose also end in.
    fn wait4 _wait4 __sys_wait4(
        pid: c_int, status: *mut c_int, options: c_int, usage: *mut c_void
    ) -> c_int, Strategy::Int80 | Strategy::TwoPhase =>
        // SAFETY: the caller's own arguments.
        unsafe { wait::wait4(pid, status, options, usage) };

    /// wait6(2), which waitid also ends in.
    fn wait6 _wait6 __sys_wait6(
        kind: c_int, id: i64, status: *mut c_int, options: c_int, usage: *mut c_void,
        info: *mut c_void
    ) -> c_int, Strategy::Int80 | Strategy::TwoPhase =>
        // SAFETY: the caller's own arguments.
        unsafe { wait::wait6(kind, id, status, options, usage, info) };

    /// recvfrom(2).
    fn recvfrom _recvfrom __sys_recvfrom(
        socket: usize, bytes: usize, length: usize, flags: usize, from: usize, from_length: usize
    ) -> isize, Strategy::Int80 =>
        // SAFETY: the caller's own arguments.
        unsafe { wait::run(29, [socket, bytes, length, flags, from, from_length]) };

    /// sendto(2).
    fn sendto _sendto __sys_sendto(
        socket: usize, bytes: usize, length: usize, flags: usize, to: usize, to_length: usize
    ) -> isize, Strategy::Int80 =>
        // SAFETY: the caller's own arguments.
        unsafe { wait::run(133, [socket, bytes, length, flags, to, to_length]) };

    /// openat(2), which sleeps when it opens a FIFO. The fourth argument may be
    /// missing; then the kernel ignores it.
    fn openat _openat __sys_openat(
        folder: usize, path: usize, flags: usize, mode: usize
    ) -> c_int, Strategy::Int80 =>
        // SAFETY: the caller's own arguments.
        unsafe { wait::run(499, [folder, path, flags, mode, 0, 0]) };
}
