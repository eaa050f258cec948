//! The memory calls that can take away a page of a stack or its lock, or fail
//! because of a lock of ours. What they mean is in [`crate::memory_calls`].
//!
//! `posix_madvise` is not hooked: neither libc passes on the one advice that
//! could do harm (a test checks that).

use core::ffi::{c_int, c_uint, c_void};

use libc::size_t;
use sigward_core::os::call;
#[cfg(target_arch = "x86")]
use sigward_core::os::errno;
use sigward_core::residency;

use crate::memory_calls::{
    advise, advise_by_vector, attach, detach, lock, locked_by_all, map, passes_advice, remap,
    set_break, unlock, unmap, weaken,
};
#[cfg(target_arch = "x86")]
use crate::originals::{self, Id};

#[cfg(not(target_arch = "x86"))]
hook! {
    /// madvise(2).
    fn madvise(start: *mut c_void, length: size_t, advice: c_int) -> c_int, as libc::madvise;
    failing -1;
    |original| {
        if passes_advice(start as usize, length, advice) {
            // SAFETY: the caller's own arguments.
            return unsafe { original(start, length, advice) };
        }
        advise(start as usize, length, advice, move |start, length| {
            // SAFETY: the caller's own range, or a part of it.
            unsafe { original(start as *mut _, length, advice) as isize }
        }) as c_int
    }
}

/// madvise(2). Written in assembly, as nothing of ours may be on the stack where
/// a call only passes: see [`passes_advice`].
///
/// # Safety
/// The same as for libc's function.
#[cfg(target_arch = "x86")]
#[unsafe(naked)]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn madvise() {
    crate::arch::choose_and_jump!(way_of_advice)
}

#[cfg(target_arch = "x86")]
extern "C" fn way_of_advice(start: usize, length: usize, advice: c_int) -> usize {
    match originals::get(Id::madvise) {
        Some(original) if passes_advice(start, length, advice) => original,
        _ => watched_advice as *const () as usize,
    }
}

#[cfg(target_arch = "x86")]
unsafe extern "C" fn watched_advice(start: usize, length: usize, advice: c_int) -> c_int {
    type Original = unsafe extern "C" fn(usize, usize, c_int) -> c_int;
    let Some(address) = originals::get(Id::madvise) else {
        errno::set(libc::ENOSYS);
        return -1;
    };
    // SAFETY: found under this name, which has this type.
    let original = unsafe { core::mem::transmute::<usize, Original>(address) };
    advise(start, length, advice, move |start, length| {
        // SAFETY: the caller's own range, or a part of it.
        unsafe { original(start, length, advice) as isize }
    }) as c_int
}

hook! {
    /// munmap(2).
    fn munmap(start: *mut c_void, length: size_t) -> c_int, as libc::munmap;
    failing -1;
    // SAFETY: the caller's own arguments.
    |original| unmap(start as usize, length, move || unsafe { original(start, length) as isize }) as c_int
}

#[cfg(target_pointer_width = "32")]
hook! {
    /// mmap(2), also under its name for 64-bit offsets. An offset is one word or
    /// two, by the name in glibc, always two in musl: two are passed on, and a
    /// function that takes one does not look at the other.
    fn mmap, mmap64 (
        start: *mut c_void,
        length: size_t,
        protection: c_int,
        flags: c_int,
        fd: c_int,
        low: usize,
        high: usize
    ) -> *mut c_void;
    failing libc::MAP_FAILED;
    |original| map(start as usize, length, flags, move || {
        // SAFETY: the caller's own arguments.
        unsafe { original(start, length, protection, flags, fd, low, high) as isize }
    }) as *mut c_void
}

#[cfg(target_pointer_width = "64")]
hook! {
    /// mmap(2), also under its name for 64-bit offsets: both are the same.
    fn mmap, mmap64 (
        start: *mut c_void,
        length: size_t,
        protection: c_int,
        flags: c_int,
        fd: c_int,
        offset: libc::off_t
    ) -> *mut c_void, as libc::mmap;
    failing libc::MAP_FAILED;
    |original| map(start as usize, length, flags, move || {
        // SAFETY: the caller's own arguments.
        unsafe { original(start, length, protection, flags, fd, offset) as isize }
    }) as *mut c_void
}

hook! {
    /// mremap(2). The last argument is variadic: its register is passed whether
    /// or not the argument was given, and means nothing without `MREMAP_FIXED`.
    fn mremap(
        old: *mut c_void,
        old_length: size_t,
        new_length: size_t,
        flags: c_int,
        new: *mut c_void
    ) -> *mut c_void;
    failing libc::MAP_FAILED;
    |original| remap((old as usize, old_length), (new as usize, new_length), flags, &|| {
        // SAFETY: the caller's own arguments.
        unsafe { original(old, old_length, new_length, flags, new) as isize }
    }) as *mut c_void
}

hook! {
    /// brk(2).
    fn brk(end: *mut c_void) -> c_int, as libc::brk;
    failing -1;
    // SAFETY: the caller's own argument.
    |original| set_break(end as usize, &|| unsafe { original(end) as isize }) as c_int
}

hook! {
    /// sbrk(2).
    fn sbrk(increment: libc::intptr_t) -> *mut c_void, as libc::sbrk;
    failing usize::MAX as *mut c_void;
    |original| {
        // SAFETY: the caller's own argument.
        let commit = || unsafe { original(increment) as isize };
        let result = if increment != 0 && residency::on_duty() {
            set_break(call::current_break().saturating_add_signed(increment), &commit)
        } else {
            commit()
        };
        result as *mut c_void
    }
}

hook! {
    /// shmat(2).
    fn shmat(id: c_int, start: *const c_void, flags: c_int) -> *mut c_void, as libc::shmat;
    failing usize::MAX as *mut c_void;
    |original| attach(start as usize, flags, &|| {
        // SAFETY: the caller's own arguments.
        unsafe { original(id, start, flags) as isize }
    }) as *mut c_void
}

hook! {
    /// shmdt(2).
    fn shmdt(start: *const c_void) -> c_int, as libc::shmdt;
    failing -1;
    // SAFETY: the caller's own argument.
    |original| detach(start as usize, &|| unsafe { original(start) as isize }) as c_int
}

hook! {
    /// mprotect(2): a page that becomes writable may still be write-protected.
    fn mprotect(start: *mut c_void, length: size_t, protection: c_int) -> c_int,
        as libc::mprotect;
    failing -1;
    |original| weaken(start as usize, length, move || {
        // SAFETY: the caller's own arguments.
        unsafe { original(start, length, protection) as isize }
    }) as c_int
}

hook! {
    /// pkey_mprotect(2).
    fn pkey_mprotect(start: *mut c_void, length: size_t, protection: c_int, key: c_int) -> c_int;
    failing -1;
    |original| weaken(start as usize, length, move || {
        // SAFETY: the caller's own arguments.
        unsafe { original(start, length, protection, key) as isize }
    }) as c_int
}

hook! {
    /// process_madvise(2).
    fn process_madvise(
        pidfd: c_int,
        vectors: *const libc::iovec,
        count: size_t,
        advice: c_int,
        flags: c_uint
    ) -> libc::ssize_t;
    failing -1;
    |original| {
        // SAFETY: the caller's own arguments.
        let commit = || unsafe { original(pidfd, vectors, count, advice, flags) };
        let words = [pidfd as usize, vectors as usize, count, advice as usize, flags as usize];
        advise_by_vector(words, &commit)
    }
}

hook! {
    /// mlock(2): the program's own lock, which takes precedence over ours.
    fn mlock(start: *const c_void, length: size_t) -> c_int, as libc::mlock;
    failing -1;
    // SAFETY: the caller's own arguments.
    |original| lock(Some((start as usize, length)), &|| unsafe { original(start, length) as isize }) as c_int
}

hook! {
    /// mlock2(2).
    fn mlock2(start: *const c_void, length: size_t, flags: c_uint) -> c_int, as libc::mlock2;
    failing -1;
    // SAFETY: the caller's own arguments.
    |original| lock(Some((start as usize, length)), &|| unsafe { original(start, length, flags) as isize }) as c_int
}

hook! {
    /// mlockall(2): for memory that is mapped later, the kernel is asked when a
    /// stack there is adopted.
    fn mlockall(flags: c_int) -> c_int, as libc::mlockall;
    failing -1;
    // SAFETY: the caller's own argument.
    |original| lock(locked_by_all(flags), &|| unsafe { original(flags) as isize }) as c_int
}

hook! {
    /// munlock(2).
    fn munlock(start: *const c_void, length: size_t) -> c_int, as libc::munlock;
    failing -1;
    // SAFETY: the caller's own arguments.
    |original| unlock(Some((start as usize, length)), &|| unsafe { original(start, length) as isize }) as c_int
}

hook! {
    /// munlockall(2).
    fn munlockall() -> c_int, as libc::munlockall;
    failing -1;
    // SAFETY: no argument.
    |original| unlock(None, &|| unsafe { original() as isize }) as c_int
}
