//! The memory calls that can take away a page of a stack or its lock, or be
//! refused because of a lock of ours.
//!
//! They are hot in allocators: what touches no held page is turned away by
//! [`reach::misses`], two loads. `posix_madvise` is not hooked: neither libc
//! passes the one advice on that could do harm (a test watches that).

use core::ffi::{c_int, c_uint, c_void};

use libc::{off_t, size_t};
use sigward_core::altstack::{self, disturb, origin, reach};
use sigward_core::sys::call;

hook! {
    /// madvise(2).
    fn madvise(start: *mut c_void, length: size_t, advice: c_int) -> c_int, as libc::madvise;
    failing -1;
    |original| {
        // SAFETY: the caller's own range, or a part of it.
        let commit = |start: usize, length| unsafe { original(start as *mut _, length, advice) };
        let flags_a_fork = matches!(advice, libc::MADV_WIPEONFORK | libc::MADV_DONTFORK);
        if reach::misses(start as usize, length) && !(flags_a_fork && altstack::on_duty()) {
            commit(start as usize, length)
        } else {
            disturb::advise(start as usize, length, advice, commit)
        }
    }
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
        if reach::misses(0, usize::MAX) { commit() } else { disturb::advising_by_vector(commit) }
    }
}

hook! {
    /// munmap(2).
    fn munmap(start: *mut c_void, length: size_t) -> c_int, as libc::munmap;
    failing -1;
    |original| {
        // SAFETY: the caller's own arguments.
        let commit = || unsafe { original(start, length) };
        if altstack::on_duty() {
            origin::forget(start as usize);
        }
        if reach::misses(start as usize, length) {
            commit()
        } else {
            disturb::replacing(&[(start as usize, length)], commit)
        }
    }
}

hook! {
    /// mmap(2).
    fn mmap(
        start: *mut c_void,
        length: size_t,
        protection: c_int,
        flags: c_int,
        fd: c_int,
        offset: off_t
    ) -> *mut c_void, as libc::mmap;
    failing libc::MAP_FAILED;
    |original| {
        // SAFETY: the caller's own arguments.
        let commit = || unsafe { original(start, length, protection, flags, fd, offset) };
        map(start, length, flags, commit)
    }
}

hook! {
    /// mmap(2) by its name for 64-bit offsets: the same on x86-64.
    fn mmap64(
        start: *mut c_void,
        length: size_t,
        protection: c_int,
        flags: c_int,
        fd: c_int,
        offset: off_t
    ) -> *mut c_void, as libc::mmap;
    failing libc::MAP_FAILED;
    |original| {
        // SAFETY: the caller's own arguments.
        let commit = || unsafe { original(start, length, protection, flags, fd, offset) };
        map(start, length, flags, commit)
    }
}

fn map(
    start: *mut c_void,
    length: size_t,
    flags: c_int,
    commit: impl Fn() -> *mut c_void,
) -> *mut c_void {
    const PRIVATE: c_int = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
    if !altstack::on_duty() {
        return commit();
    }
    let result = if flags & libc::MAP_FIXED != 0 && !reach::misses(start as usize, length) {
        disturb::replacing(&[(start as usize, length)], commit)
    } else if flags & libc::MAP_LOCKED != 0 {
        disturb::locking(None, |result| *result == libc::MAP_FAILED, commit)
    } else {
        commit()
    };
    if result != libc::MAP_FAILED {
        if flags & (PRIVATE | libc::MAP_GROWSDOWN) == PRIVATE {
            origin::mapped(result as usize, length);
        } else {
            origin::forget(result as usize);
        }
    }
    result
}

hook! {
    /// mremap(2). Declared with a variable argument; it travels in a register
    /// whether or not it was given, and means nothing without `MREMAP_FIXED`.
    fn mremap(
        old: *mut c_void,
        old_length: size_t,
        new_length: size_t,
        flags: c_int,
        new: *mut c_void
    ) -> *mut c_void;
    failing libc::MAP_FAILED;
    |original| {
        // SAFETY: the caller's own arguments.
        let commit = || unsafe { original(old, old_length, new_length, flags, new) };
        let target = if flags & libc::MREMAP_FIXED == 0 { 0 } else { new_length };
        if altstack::on_duty() {
            origin::forget(old as usize);
        }
        if reach::misses(old as usize, old_length) && reach::misses(new as usize, target) {
            commit()
        } else {
            disturb::replacing(&[(old as usize, old_length), (new as usize, target)], commit)
        }
    }
}

hook! {
    /// brk(2): only a break that comes down takes memory away.
    fn brk(end: *mut c_void) -> c_int, as libc::brk;
    failing -1;
    |original| {
        // SAFETY: the caller's own argument.
        let commit = || unsafe { original(end) };
        shrinking(end as usize, commit)
    }
}

hook! {
    /// sbrk(2).
    fn sbrk(increment: libc::intptr_t) -> *mut c_void, as libc::sbrk;
    failing usize::MAX as *mut c_void;
    |original| {
        // SAFETY: the caller's own argument.
        let commit = || unsafe { original(increment) };
        if increment < 0 && altstack::on_duty() {
            let end = call::current_break().saturating_add_signed(increment);
            shrinking(end, commit)
        } else {
            commit()
        }
    }
}

fn shrinking<R>(end: usize, commit: impl FnOnce() -> R) -> R {
    if !altstack::on_duty() {
        return commit();
    }
    let length = call::current_break().saturating_sub(end);
    if reach::misses(end, length) { commit() } else { disturb::replacing(&[(end, length)], commit) }
}

hook! {
    /// shmat(2): with `SHM_REMAP` it replaces what is mapped.
    fn shmat(id: c_int, start: *const c_void, flags: c_int) -> *mut c_void, as libc::shmat;
    failing usize::MAX as *mut c_void;
    |original| {
        // SAFETY: the caller's own arguments.
        let commit = || unsafe { original(id, start, flags) };
        let above = usize::MAX - start as usize;
        if flags & libc::SHM_REMAP == 0 || reach::misses(start as usize, above) {
            commit()
        } else {
            disturb::weakening(start as usize, above, commit)
        }
    }
}

hook! {
    /// shmdt(2): a stack in the segment goes with it; nothing else does.
    fn shmdt(start: *const c_void) -> c_int, as libc::shmdt;
    failing -1;
    |original| {
        // SAFETY: the caller's own argument.
        let commit = || unsafe { original(start) };
        let above = usize::MAX - start as usize;
        if reach::misses(start as usize, above) {
            commit()
        } else {
            disturb::weakening(start as usize, above, commit)
        }
    }
}

hook! {
    /// mprotect(2): a page made writable again may be write-protected still.
    fn mprotect(start: *mut c_void, length: size_t, protection: c_int) -> c_int,
        as libc::mprotect;
    failing -1;
    |original| {
        // SAFETY: the caller's own arguments.
        let commit = || unsafe { original(start, length, protection) };
        if reach::misses(start as usize, length) {
            commit()
        } else {
            disturb::weakening(start as usize, length, commit)
        }
    }
}

hook! {
    /// pkey_mprotect(2).
    fn pkey_mprotect(start: *mut c_void, length: size_t, protection: c_int, key: c_int) -> c_int;
    failing -1;
    |original| {
        // SAFETY: the caller's own arguments.
        let commit = || unsafe { original(start, length, protection, key) };
        if reach::misses(start as usize, length) {
            commit()
        } else {
            disturb::weakening(start as usize, length, commit)
        }
    }
}

fn failed(result: &c_int) -> bool {
    *result != 0
}

hook! {
    /// mlock(2): the program's own lock, which wins over ours.
    fn mlock(start: *const c_void, length: size_t) -> c_int, as libc::mlock;
    failing -1;
    |original| {
        // SAFETY: the caller's own arguments.
        let commit = || unsafe { original(start, length) };
        if altstack::on_duty() {
            disturb::locking(Some((start as usize, length)), failed, commit)
        } else {
            commit()
        }
    }
}

hook! {
    /// mlock2(2).
    fn mlock2(start: *const c_void, length: size_t, flags: c_uint) -> c_int, as libc::mlock2;
    failing -1;
    |original| {
        // SAFETY: the caller's own arguments.
        let commit = || unsafe { original(start, length, flags) };
        if altstack::on_duty() {
            disturb::locking(Some((start as usize, length)), failed, commit)
        } else {
            commit()
        }
    }
}

hook! {
    /// mlockall(2): what is mapped later is asked of the kernel when a stack
    /// is adopted on it.
    fn mlockall(flags: c_int) -> c_int, as libc::mlockall;
    failing -1;
    |original| {
        // SAFETY: the caller's own argument.
        let commit = || unsafe { original(flags) };
        let present = (flags & libc::MCL_CURRENT != 0).then_some((0, usize::MAX));
        if altstack::on_duty() { disturb::locking(present, failed, commit) } else { commit() }
    }
}

hook! {
    /// munlock(2).
    fn munlock(start: *const c_void, length: size_t) -> c_int, as libc::munlock;
    failing -1;
    |original| {
        // SAFETY: the caller's own arguments.
        let commit = || unsafe { original(start, length) };
        if altstack::on_duty() {
            disturb::unlocking(Some((start as usize, length)), commit)
        } else {
            commit()
        }
    }
}

hook! {
    /// munlockall(2).
    fn munlockall() -> c_int, as libc::munlockall;
    failing -1;
    |original| {
        // SAFETY: no argument.
        let commit = || unsafe { original() };
        if altstack::on_duty() { disturb::unlocking(None, commit) } else { commit() }
    }
}
