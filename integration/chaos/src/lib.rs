//! `libchaos.so`: a second interposer, for tests. It makes functions of libc fail on a schedule,
//! before or behind `libsigward.so` in `LD_PRELOAD`. Without a schedule it passes all calls
//! through.
//!
//! `CHAOS=RULE,RULE…` where a rule is `CALL[@ADVICE]:EFFECT[:WHEN]`:
//!
//! | part | values |
//! |---|---|
//! | CALL | a name in [`CALLS`] |
//! | ADVICE | for `madvise`: only with this advice (`DONTNEED`, `FREE`, …) |
//! | EFFECT | `ENOMEM` and the like: it fails with that error and is not made |
//! | | `after-EFAULT` and the like: it is made, then fails with that error (a lost child) |
//! | | `garbled`: it is made, and its output is corrupted |
//! | | `late`: it is made a tenth of a second later |
//! | WHEN | `always` (the default), `N`, `N-M`, `N-`, `everyN`, counted from 1 in this process |
//!
//! For example `waitpid:after-EFAULT:every50`, `madvise@DONTNEED:EINVAL`, `sigaction:garbled:2`.

mod schedule;

use std::ffi::c_void;

use libc::{c_int, c_uint, c_ulong, off_t, pid_t, size_t};
use schedule::Effect;

#[used]
#[link_section = ".init_array"]
static ON_LOAD: extern "C" fn() = on_load;

extern "C" fn on_load() {
    resolve();
    if let Err(error) = schedule::read(&std::env::var("CHAOS").unwrap_or_default()) {
        eprintln!("{error}");
        std::process::exit(125);
    }
}

fn set_errno(error: c_int) {
    // SAFETY: libc's own errno of this thread.
    unsafe { *libc::__errno_location() = error };
}

/// Writes hooks that first ask the schedule. `failing` is the return value of a failed
/// call; `corrupting` corrupts a call's output.
macro_rules! hooks {
    ($(
        fn $name:ident as $hook:ident ($($argument:ident: $type:ty),*) -> $result:ty;
        failing $failure:expr;
        $(advice $advice:expr;)?
        $(corrupting $corrupt:expr;)?
    )*) => {
        /// The functions that can be made to fail.
        const CALLS: &[&str] = &[$(stringify!($name)),*];

        /// Looks up every original now. redhook would do so at the first call, which may be in
        /// a signal handler.
        fn resolve() {
            $(let _ = redhook::real!($name);)*
        }

        $(redhook::hook! {
            unsafe fn $name($($argument: $type),*) -> $result => $hook {
                let advice: Option<c_int> = [$($advice,)?].first().copied();
                let effect = crate::schedule::effect(stringify!($name), advice);
                if let Some(Effect::Refused(error)) = effect {
                    set_errno(error);
                    return $failure;
                }
                if let Some(Effect::Late) = effect {
                    std::thread::sleep(std::time::Duration::from_millis(100));
                }
                let result = redhook::real!($name)($($argument),*);
                match effect {
                    Some(Effect::Denied(error)) => {
                        set_errno(error);
                        $failure
                    }
                    Some(Effect::Garbled) => {
                        $($corrupt;)?
                        result
                    }
                    _ => result,
                }
            }
        })*
    };
}

/// Inverts the bits of what `output` points to, unless it is null.
unsafe fn corrupt<T>(output: *mut T) {
    if !output.is_null() {
        let bytes = std::slice::from_raw_parts_mut(output.cast::<u8>(), size_of::<T>());
        bytes.iter_mut().for_each(|byte| *byte = !*byte);
    }
}

type Start = extern "C" fn(*mut c_void) -> *mut c_void;

hooks! {
    fn sigaltstack as chaotic_sigaltstack(
        new: *const libc::stack_t, old: *mut libc::stack_t) -> c_int;
    failing -1;
    corrupting corrupt(old);

    fn sigaction as chaotic_sigaction(
        signal: c_int, new: *const libc::sigaction, old: *mut libc::sigaction) -> c_int;
    failing -1;
    corrupting corrupt(old);

    fn madvise as chaotic_madvise(start: *mut c_void, length: size_t, how: c_int) -> c_int;
    failing -1;
    advice how;

    fn munmap as chaotic_munmap(start: *mut c_void, length: size_t) -> c_int;
    failing -1;

    fn mmap as chaotic_mmap(
        start: *mut c_void, length: size_t, protection: c_int, flags: c_int, fd: c_int,
        offset: off_t) -> *mut c_void;
    failing libc::MAP_FAILED;

    fn mmap64 as chaotic_mmap64(
        start: *mut c_void, length: size_t, protection: c_int, flags: c_int, fd: c_int,
        offset: off_t) -> *mut c_void;
    failing libc::MAP_FAILED;

    fn mremap as chaotic_mremap(
        old: *mut c_void, old_length: size_t, new_length: size_t, flags: c_int,
        new: *mut c_void) -> *mut c_void;
    failing libc::MAP_FAILED;

    fn mprotect as chaotic_mprotect(
        start: *mut c_void, length: size_t, protection: c_int) -> c_int;
    failing -1;

    fn mlock as chaotic_mlock(start: *const c_void, length: size_t) -> c_int;
    failing -1;

    fn mlock2 as chaotic_mlock2(start: *const c_void, length: size_t, flags: c_uint) -> c_int;
    failing -1;

    fn mlockall as chaotic_mlockall(flags: c_int) -> c_int;
    failing -1;

    fn munlock as chaotic_munlock(start: *const c_void, length: size_t) -> c_int;
    failing -1;

    fn munlockall as chaotic_munlockall() -> c_int;
    failing -1;

    fn prctl as chaotic_prctl(
        option: c_int, a: c_ulong, b: c_ulong, c: c_ulong, d: c_ulong) -> c_int;
    failing -1;

    fn fork as chaotic_fork() -> pid_t;
    failing -1;

    fn pthread_create as chaotic_pthread_create(
        thread: *mut libc::pthread_t, attributes: *const libc::pthread_attr_t, start: Start,
        argument: *mut c_void) -> c_int;
    failing *libc::__errno_location();

    fn wait as chaotic_wait(status: *mut c_int) -> pid_t;
    failing -1;
    corrupting corrupt(status);

    fn waitpid as chaotic_waitpid(pid: pid_t, status: *mut c_int, options: c_int) -> pid_t;
    failing -1;
    corrupting corrupt(status);

    fn wait3 as chaotic_wait3(
        status: *mut c_int, options: c_int, usage: *mut libc::rusage) -> pid_t;
    failing -1;
    corrupting corrupt(status);

    fn wait4 as chaotic_wait4(
        pid: pid_t, status: *mut c_int, options: c_int, usage: *mut libc::rusage) -> pid_t;
    failing -1;
    corrupting corrupt(status);

    fn waitid as chaotic_waitid(
        kind: libc::idtype_t, id: libc::id_t, info: *mut libc::siginfo_t,
        options: c_int) -> c_int;
    failing -1;
    corrupting corrupt(info);
}
