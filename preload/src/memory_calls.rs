//! What each memory call means, made by its name or through syscall(2): which
//! of them can take away a page of a stack or its lock, or fail because of a
//! lock of ours.
//!
//! They are hot in allocators: [`watched::misses`], a few loads, rejects calls
//! that touch no held page. Hot functions take the original by value, and store
//! it only if they need to.

use core::ffi::{c_int, c_uint};

use sigward_core::events::memory_calls::{self, Commit};
use sigward_core::os::{call, errno, page, signals, user_memory};
use sigward_core::residency::{self, origin, watched};
use sigward_core::small_stacks;

/// Whether a call of madvise(2) is to be passed on as it is, and nothing done
/// afterwards. No frame of ours may be in what the program gives up: it may be
/// all that is below its own.
#[inline]
pub fn passes_advice(start: usize, length: usize, advice: c_int) -> bool {
    if !residency::on_duty() {
        return true;
    }
    watched::misses(start, length)
        && !memory_calls::flags_a_fork(advice)
        && signals::stand_on(start, length)
}

/// Any other call of madvise(2).
#[inline]
pub fn advise(
    start: usize,
    length: usize,
    advice: c_int,
    commit: impl Fn(usize, usize) -> isize + Copy,
) -> isize {
    let passes = watched::misses(start, length) && !memory_calls::flags_a_fork(advice);
    let outcome = passes.then(|| (errno::known(), commit(start, length)));
    match outcome {
        Some((_, 0)) if watched::misses(start, length) => 0,
        _ => {
            let stored = commit;
            memory_calls::advise(start, length, advice, outcome, &stored)
        }
    }
}

/// Whether the kernel refuses at once to map or unmap, whatever is there.
fn is_refused(start: usize, length: usize) -> bool {
    !start.is_multiple_of(page::size()) || length == 0
}

#[inline]
pub fn unmap(start: usize, length: usize, commit: impl Fn() -> isize + Copy) -> isize {
    if residency::on_duty() {
        origin::unmapped(start, length);
    }
    if watched::misses(start, length) || is_refused(start, length) {
        return commit();
    }
    let stored = commit;
    memory_calls::unmapping(start, length, &stored)
}

#[expect(clippy::inline_always, reason = "it is hot")]
#[inline(always)]
pub fn map(start: usize, length: usize, flags: c_int, commit: impl Fn() -> isize + Copy) -> isize {
    if !residency::on_duty() {
        return commit();
    }
    let fixed = flags & libc::MAP_FIXED != 0;
    if fixed {
        origin::unmapped(start, length);
        if !watched::misses(start, length) {
            let stored = commit;
            return map_over(start, length, flags, &stored);
        }
    }
    let result = memory_calls::mapping(length, &[], commit);
    if result != -1 {
        mapped(result as usize, length, flags);
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
    let result = memory_calls::mapping(length, &[(start, length)], commit);
    if result != -1 {
        mapped(result as usize, length, flags);
    }
    result
}

/// Records a mapping that the program made.
#[inline]
fn mapped(start: usize, length: usize, flags: c_int) {
    const PRIVATE: c_int = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
    if flags & (PRIVATE | libc::MAP_GROWSDOWN) == PRIVATE {
        origin::mapped(start, length);
    } else {
        origin::forget(start);
    }
    memory_calls::returned(start, length);
}

/// Memory appeared where nothing was, or where the program did not ask for it.
/// A stack whose memory had disappeared may have been there.
#[inline]
fn appeared(start: usize, length: usize) {
    if !watched::misses(start, length) {
        memory_calls::appeared(start, length);
    }
}

/// `from` and `to` are start and length; `to` counts only with `MREMAP_FIXED`.
pub fn remap(from: (usize, usize), to: (usize, usize), flags: c_int, commit: Commit<'_>) -> isize {
    let fixed = flags & libc::MREMAP_FIXED != 0;
    let refused = is_refused(from.0, to.1) || fixed && is_refused(to.0, to.1);
    if refused || !residency::on_duty() {
        return commit();
    }
    origin::unmapped(from.0, from.1);
    let more = to.1.saturating_sub(from.1);
    if fixed {
        origin::unmapped(to.0, to.1);
        return memory_calls::mapping(more, hit(&[from, to]), commit);
    }
    let result = memory_calls::mapping(more, hit(&[from]), commit);
    if result != -1 {
        appeared(result as usize, to.1);
    }
    result
}

/// Moves the end of the heap to `end`.
pub fn set_break(end: usize, commit: Commit<'_>) -> isize {
    if !residency::on_duty() {
        return commit();
    }
    let now = call::current_break();
    let replaced = [(end, now.saturating_sub(end))];
    let hit = hit(&replaced);
    for &(start, length) in hit {
        origin::unmapped(start, length);
    }
    let result = memory_calls::ending_heap(now, end, hit, commit);
    appeared(now, end.saturating_sub(now));
    result
}

/// `ranges` if one of them may touch a stack; otherwise none.
fn hit(ranges: &[(usize, usize)]) -> &[(usize, usize)] {
    if ranges.iter().all(|&(start, length)| watched::misses(start, length)) { &[] } else { ranges }
}

/// mprotect(2) and other calls that may make a page read-only or remove it.
#[inline]
pub fn weaken(start: usize, length: usize, commit: impl Fn() -> isize + Copy) -> isize {
    if watched::misses(start, length) {
        return commit();
    }
    let stored = commit;
    memory_calls::weakening(start, length, &stored)
}

/// mlock(2) and mlock2(2) lock a range. mlockall(2) locks all that is mapped
/// now or, with `None`, all that will be.
pub fn lock(range: Option<(usize, usize)>, commit: Commit<'_>) -> isize {
    if residency::on_duty() { memory_calls::locking(range, commit) } else { commit() }
}

/// The range that mlockall(2) with `flags` locks at once. Notes if it locks what
/// is mapped later.
pub fn locked_by_all(flags: c_int) -> Option<(usize, usize)> {
    if flags & libc::MCL_FUTURE != 0 {
        small_stacks::memory_is_locked_ahead();
    }
    (flags & libc::MCL_CURRENT != 0).then_some((0, usize::MAX))
}

/// munlock(2) unlocks a range; `None` means munlockall(2).
pub fn unlock(range: Option<(usize, usize)>, commit: Commit<'_>) -> isize {
    if residency::on_duty() { memory_calls::unlocking(range, commit) } else { commit() }
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
    if bad || !residency::on_duty() {
        return commit();
    }
    let vectors = vectors as *const libc::iovec;
    if !user_memory::readable(vectors as usize, count * size_of::<libc::iovec>()) {
        return commit();
    }
    let ranges = |wanted: &dyn Fn(usize, usize) -> bool| {
        let mut found = Ranges::new();
        for index in 0..count {
            // SAFETY: readable a moment ago; the kernel accepts any alignment.
            let vector = unsafe { vectors.add(index).read_unaligned() };
            let (start, length) = (vector.iov_base as usize, vector.iov_len);
            if wanted(start, length) {
                found.add(start, length);
            }
        }
        found
    };
    let hit = |start, length| !watched::misses(start, length);
    let found = ranges(&|start, length| memory_calls::flags_a_fork(advice) || hit(start, length));
    if !found.ranges().is_empty() {
        return memory_calls::advising_ranges(found.ranges(), advice, commit);
    }
    let before = errno::known();
    let result = commit();
    if memory_calls::may_be_refused_by_a_lock(result, advice) {
        errno::set(before);
        return memory_calls::advising_ranges(ranges(&|_, _| true).ranges(), advice, commit);
    }
    for &(start, length) in ranges(&hit).ranges() {
        memory_calls::appeared(start, length);
    }
    result
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
