//! The memory calls that can take away a page of a stack or its lock, or fail
//! because of a lock of ours.
//!
//! They are hot in allocators: [`reach::misses`], a few loads, rejects calls
//! that touch no held page. `posix_madvise` is not hooked: neither libc passes
//! on the one advice that could do harm (a test checks that).

use core::ffi::{c_int, c_uint, c_void};

use libc::{off_t, size_t};
use sigward_core::altstack::disturb::{self, Commit};
use sigward_core::altstack::{self, origin, reach};
use sigward_core::sys::{call, page, signals};

// The effect of each call, made by its name or through syscall(2). Hot
// functions take the original by value, and store it only if they need to.

#[inline]
pub fn advise(
    start: usize,
    length: usize,
    advice: c_int,
    commit: impl Fn(usize, usize) -> isize + Copy,
) -> isize {
    if reach::misses(start, length) && !(disturb::flags_a_fork(advice) && altstack::on_duty()) {
        return commit(start, length);
    }
    let stored = commit;
    disturb::advise(start, length, advice, &stored)
}

/// Whether the kernel refuses at once to map or unmap, whatever is there.
fn is_refused(start: usize, length: usize) -> bool {
    !start.is_multiple_of(page::SIZE) || length == 0
}

#[inline]
pub fn unmap(start: usize, length: usize, commit: impl Fn() -> isize + Copy) -> isize {
    if altstack::on_duty() {
        origin::unmapped(start, length);
    }
    if reach::misses(start, length) || is_refused(start, length) {
        return commit();
    }
    let stored = commit;
    disturb::replacing(&[(start, length)], &stored)
}

#[expect(clippy::inline_always, reason = "it is hot")]
#[inline(always)]
pub fn map(start: usize, length: usize, flags: c_int, commit: impl Fn() -> isize + Copy) -> isize {
    if !altstack::on_duty() {
        return commit();
    }
    let fixed = flags & libc::MAP_FIXED != 0;
    if fixed {
        origin::unmapped(start, length);
        if !reach::misses(start, length) {
            let stored = commit;
            return map_over(start, length, flags, &stored);
        }
    }
    let result = disturb::mapping(length, &[], commit);
    if result != -1 {
        made(result as usize, length, flags);
        if !fixed {
            appeared(result as usize, length);
        }
    }
    result
}

/// The new mapping may replace a stack.
#[inline(never)] // keeps the hot path small
fn map_over(start: usize, length: usize, flags: c_int, commit: Commit<'_>) -> isize {
    if is_refused(start, length) {
        return commit();
    }
    let result = disturb::mapping(length, &[(start, length)], commit);
    if result != -1 {
        made(result as usize, length, flags);
    }
    result
}

/// Records a mapping that the program made.
#[inline]
fn made(start: usize, length: usize, flags: c_int) {
    const PRIVATE: c_int = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
    if flags & (PRIVATE | libc::MAP_GROWSDOWN) == PRIVATE {
        origin::mapped(start, length);
    } else {
        origin::forget(start);
    }
}

/// Memory appeared where nothing was, or where the program did not ask for it.
/// A stack whose memory had disappeared may have been there.
#[inline]
fn appeared(start: usize, length: usize) {
    if !reach::misses(start, length) {
        disturb::appeared(start, length);
    }
}

/// `from` and `to` are start and length; `to` counts only with `MREMAP_FIXED`.
pub fn remap(from: (usize, usize), to: (usize, usize), flags: c_int, commit: Commit<'_>) -> isize {
    let fixed = flags & libc::MREMAP_FIXED != 0;
    let refused = is_refused(from.0, to.1) || fixed && is_refused(to.0, to.1);
    if refused || !altstack::on_duty() {
        return commit();
    }
    origin::unmapped(from.0, from.1);
    let more = to.1.saturating_sub(from.1);
    if fixed {
        origin::unmapped(to.0, to.1);
        return disturb::mapping(more, hit(&[from, to]), commit);
    }
    let result = disturb::mapping(more, hit(&[from]), commit);
    if result != -1 {
        appeared(result as usize, to.1);
    }
    result
}

/// Moves the end of the heap to `end`.
pub fn end_heap(end: usize, commit: Commit<'_>) -> isize {
    if !altstack::on_duty() {
        return commit();
    }
    let now = call::current_break();
    let replaced = [(end, now.saturating_sub(end))];
    let hit = hit(&replaced);
    for &(start, length) in hit {
        origin::unmapped(start, length);
    }
    let result = disturb::ending_heap(now, end, hit, commit);
    appeared(now, end.saturating_sub(now));
    result
}

/// `ranges` if one of them may touch a stack; otherwise none.
fn hit(ranges: &[(usize, usize)]) -> &[(usize, usize)] {
    if ranges.iter().all(|&(start, length)| reach::misses(start, length)) { &[] } else { ranges }
}

/// mprotect(2) and other calls that may make a page read-only or remove it.
#[inline]
pub fn weaken(start: usize, length: usize, commit: impl Fn() -> isize + Copy) -> isize {
    if reach::misses(start, length) {
        return commit();
    }
    let stored = commit;
    disturb::weakening(start, length, &stored)
}

/// mlock(2) and mlock2(2) lock a range. mlockall(2) locks all that is mapped
/// now or, with `None`, all that will be.
pub fn lock(range: Option<(usize, usize)>, commit: Commit<'_>) -> isize {
    if altstack::on_duty() { disturb::locking(range, commit) } else { commit() }
}

/// The range that mlockall(2) with `flags` locks at once.
pub fn locked_by_all(flags: c_int) -> Option<(usize, usize)> {
    (flags & libc::MCL_CURRENT != 0).then_some((0, usize::MAX))
}

/// munlock(2) unlocks a range; `None` means munlockall(2).
pub fn unlock(range: Option<(usize, usize)>, commit: Commit<'_>) -> isize {
    if altstack::on_duty() { disturb::unlocking(range, commit) } else { commit() }
}

/// process_madvise(2). Calls that the kernel refuses at once are passed on.
pub fn advise_by_vector(
    [pidfd, vectors, count, advice, flags]: [usize; 5],
    commit: Commit<'_>,
) -> isize {
    /// The kernel's `UIO_MAXIOV`.
    const MOST: usize = 1024;
    /// Numbers from here down mean the caller itself (Linux 6.14).
    const PIDFD_SELF: c_int = -10_000;
    let (pidfd, advice) = (pidfd as c_int, advice as c_int);
    let bad = flags as c_uint != 0 || count > MOST || (PIDFD_SELF + 1..0).contains(&pidfd);
    if bad || !altstack::on_duty() {
        return commit();
    }
    let vectors = vectors as *const libc::iovec;
    if !signals::readable(vectors as usize, count * size_of::<libc::iovec>()) {
        return commit();
    }
    let mut found = Ranges::new();
    for index in 0..count {
        // SAFETY: readable a moment ago; the kernel accepts any alignment.
        let vector = unsafe { vectors.add(index).read_unaligned() };
        let (start, length) = (vector.iov_base as usize, vector.iov_len);
        if disturb::flags_a_fork(advice) || !reach::misses(start, length) {
            found.add(start, length);
        }
    }
    match found.ranges() {
        [] => commit(),
        ranges => disturb::advising_ranges(ranges, advice, commit),
    }
}

/// Ranges, as start and length in bytes. If there are too many, the last one
/// covers all the others and what lies between them.
struct Ranges {
    all: [(usize, usize); 8],
    count: usize,
}

impl Ranges {
    const fn new() -> Self {
        Ranges { all: [(0, 0); 8], count: 0 }
    }

    fn add(&mut self, start: usize, length: usize) {
        if let Some(free) = self.all.get_mut(self.count) {
            *free = (start, length);
            self.count += 1;
        } else if let Some(last) = self.all.last_mut() {
            let end = start.saturating_add(length).max(last.0.saturating_add(last.1));
            last.0 = last.0.min(start);
            last.1 = end.saturating_sub(last.0);
        }
    }

    fn ranges(&self) -> &[(usize, usize)] {
        self.all.get(..self.count).unwrap_or_default()
    }
}

/// shmat(2): with `SHM_REMAP` it replaces what is mapped. The segment's size is
/// not known here, so this checks everything above its start.
pub fn attach(start: usize, flags: c_int, commit: Commit<'_>) -> isize {
    if flags & libc::SHM_REMAP != 0 {
        origin::unmapped(start, usize::MAX - start);
        return weaken(start, usize::MAX - start, commit);
    }
    let result = commit();
    if result != -1 {
        appeared(result as usize, usize::MAX - result as usize);
    }
    result
}

/// shmdt(2): removes a stack in the segment; has no other effect on stacks.
pub fn detach(start: usize, commit: Commit<'_>) -> isize {
    weaken(start, usize::MAX - start, commit)
}

hook! {
    /// madvise(2).
    fn madvise(start: *mut c_void, length: size_t, advice: c_int) -> c_int, as libc::madvise;
    failing -1;
    |original| advise(start as usize, length, advice, move |start, length| {
        // SAFETY: the caller's own range, or a part of it.
        unsafe { original(start as *mut _, length, advice) as isize }
    }) as c_int
}

hook! {
    /// munmap(2).
    fn munmap(start: *mut c_void, length: size_t) -> c_int, as libc::munmap;
    failing -1;
    // SAFETY: the caller's own arguments.
    |original| unmap(start as usize, length, move || unsafe { original(start, length) as isize }) as c_int
}

hook! {
    /// mmap(2), also under its name for 64-bit offsets: on x86-64 both are the
    /// same.
    fn mmap, mmap64 (
        start: *mut c_void,
        length: size_t,
        protection: c_int,
        flags: c_int,
        fd: c_int,
        offset: off_t
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
    |original| end_heap(end as usize, &|| unsafe { original(end) as isize }) as c_int
}

hook! {
    /// sbrk(2).
    fn sbrk(increment: libc::intptr_t) -> *mut c_void, as libc::sbrk;
    failing usize::MAX as *mut c_void;
    |original| {
        // SAFETY: the caller's own argument.
        let commit = || unsafe { original(increment) as isize };
        let result = if increment != 0 && altstack::on_duty() {
            end_heap(call::current_break().saturating_add_signed(increment), &commit)
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
