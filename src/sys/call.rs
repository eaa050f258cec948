//! Raw system calls: the one place from which the shipped library enters the
//! kernel on its own account.
//!
//! None of these writes `errno`, is a cancellation point, or goes through a
//! libc function that could be one of our own hooks. All are
//! async-signal-safe. Names and argument order are the kernel's (see the man
//! page of the same name, section 2).

use core::ffi::{c_int, c_long};
use core::mem::MaybeUninit;
use core::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use super::errno::Errno;
use super::page;
use crate::arch;

/// A system call's outcome: what it returned, or the error it gave.
pub type Outcome = Result<usize, Errno>;

/// The arguments of a system call: an array of as many as it has.
pub trait Arguments {
    /// Enters the kernel; returns its bare answer.
    ///
    /// # Safety
    /// As the system call `number` demands of its arguments.
    unsafe fn enter(self, number: c_long) -> isize;
}

macro_rules! arguments {
    ($($count:literal by $enter:ident $($argument:ident)*;)*) => {$(
        impl Arguments for [usize; $count] {
            #[inline]
            unsafe fn enter(self, number: c_long) -> isize {
                let [$($argument),*] = self;
                // SAFETY: the caller vouches for the call.
                unsafe { arch::$enter(number, $($argument),*) }
            }
        }
    )*};
}

arguments! {
    0 by syscall0;
    1 by syscall1 a;
    2 by syscall2 a b;
    3 by syscall3 a b c;
    4 by syscall4 a b c d;
    5 by syscall5 a b c d e;
    6 by syscall6 a b c d e f;
}

/// Enters the kernel with these arguments.
///
/// # Errors
/// As the system call.
///
/// # Safety
/// As the system call `number` demands of its arguments.
#[inline]
pub unsafe fn raw(number: c_long, arguments: impl Arguments) -> Outcome {
    // SAFETY: the caller vouches for the call.
    Errno::judge(unsafe { arguments.enter(number) })
}

/// Calls whose arguments are plain numbers, or addresses that the kernel only
/// looks up in its own tables: they cannot harm memory safety.
#[inline]
fn harmless(number: c_long, arguments: impl Arguments) -> Outcome {
    // SAFETY: see above; each caller below is such a call.
    unsafe { raw(number, arguments) }
}

/// The process id as the kernel sees it now, not as libc cached it.
#[must_use]
pub fn getpid() -> c_int {
    harmless(libc::SYS_getpid, []).unwrap_or(0) as c_int
}

/// The calling thread's id.
#[must_use]
pub fn gettid() -> c_int {
    harmless(libc::SYS_gettid, []).unwrap_or(0) as c_int
}

/// The calling process's group; 0 if it has no number in our pid namespace.
#[must_use]
pub fn getpgrp() -> c_int {
    harmless(libc::SYS_getpgrp, []).unwrap_or(0) as c_int
}

/// The status flags of descriptor `fd` (`F_GETFL`).
///
/// # Errors
/// EBADF.
pub fn file_flags(fd: c_int) -> Outcome {
    harmless(libc::SYS_fcntl, [fd as usize, libc::F_GETFL as usize, 0])
}

/// Whether thread `tid` of process `pid` is still there (signal 0).
#[must_use]
pub fn thread_exists(pid: c_int, tid: c_int) -> bool {
    harmless(libc::SYS_tgkill, [pid as usize, tid as usize, 0]) != Err(Errno::ESRCH)
}

/// Locks the pages that hold `[start, start + length)` and faults them in.
///
/// # Errors
/// As mlock(2): ENOMEM also where part of the range is not mapped or may not
/// be accessed. *Part of the range may be left locked by a failed call.*
pub fn mlock(start: usize, length: usize) -> Outcome {
    harmless(libc::SYS_mlock, [start, length])
}

/// Unlocks the pages that hold `[start, start + length)`.
///
/// # Errors
/// As munlock(2).
pub fn munlock(start: usize, length: usize) -> Outcome {
    harmless(libc::SYS_munlock, [start, length])
}

/// msync(2) with nothing but `MS_INVALIDATE`: writes nothing, and fails with
/// EBUSY where a memory lock exists in the range, with ENOMEM where part of it
/// is not mapped and nothing is locked.
///
/// # Errors
/// As above.
pub fn msync_invalidate(start: usize, length: usize) -> Outcome {
    harmless(libc::SYS_msync, [start, length, libc::MS_INVALIDATE as usize])
}

/// Whether all of `[start, start + length)` is mapped: msync(2) with
/// `MS_ASYNC`, which does nothing else.
#[must_use]
pub fn is_mapped(start: usize, length: usize) -> bool {
    let first = start / page::SIZE * page::SIZE;
    let bytes = length.saturating_add(start.wrapping_sub(first));
    harmless(libc::SYS_msync, [first, bytes, libc::MS_ASYNC as usize]).is_ok()
}

/// Whether `length` bytes more could be locked now. Asks for a locked mapping
/// that nobody can access, which so holds no page, and gives it back.
///
/// # Errors
/// EAGAIN where the limit forbids it, EPERM where that is 0; others, as of
/// mmap(2), say nothing of it.
pub fn room_for_lock(length: usize) -> Result<(), Errno> {
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE | libc::MAP_LOCKED;
    let protection = libc::PROT_NONE as usize;
    let start = harmless(libc::SYS_mmap, [0, length, protection, flags as usize, usize::MAX, 0])?;
    // SAFETY: nobody knows of it.
    let _ = unsafe { unmap_memory(start, length) };
    Ok(())
}

/// What uname(2) says, in `name`.
///
/// # Errors
/// EFAULT never, as the reference is good; under a seccomp filter anything.
pub fn uname(name: &mut MaybeUninit<libc::utsname>) -> Result<&libc::utsname, Errno> {
    // SAFETY: `name` is a live, exclusive utsname, which the call fills.
    unsafe {
        raw(libc::SYS_uname, [name.as_mut_ptr() as usize])?;
        Ok(name.assume_init_ref())
    }
}

/// The soft and hard limit of `resource`, in its unit.
///
/// # Errors
/// EINVAL for an unknown resource.
pub fn getrlimit(resource: u32) -> Result<libc::rlimit, Errno> {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    let target = core::ptr::from_mut(&mut limit) as usize;
    // SAFETY: a null new limit and a live place for the old one.
    unsafe { raw(libc::SYS_prlimit64, [0, resource as usize, 0, target]) }?;
    Ok(limit)
}

/// The alternate signal stack of the calling thread, as the kernel has it.
///
/// # Errors
/// Under a seccomp filter anything.
pub fn current_altstack() -> Result<libc::stack_t, Errno> {
    let mut stack = libc::stack_t { ss_sp: core::ptr::null_mut(), ss_flags: 0, ss_size: 0 };
    let target = core::ptr::from_mut(&mut stack) as usize;
    // SAFETY: a null new stack and a live place for the old one.
    unsafe { raw(libc::SYS_sigaltstack, [0, target]) }?;
    Ok(stack)
}

/// Writes `bytes` to the open descriptor `fd`.
///
/// # Errors
/// As write(2).
pub fn write(fd: c_int, bytes: &[u8]) -> Outcome {
    // SAFETY: the slice is live and readable.
    unsafe { raw(libc::SYS_write, [fd as usize, bytes.as_ptr() as usize, bytes.len()]) }
}

/// The same by `RWF_NOWAIT`: fails rather than sleep for room.
///
/// # Errors
/// As pwritev2(2): EAGAIN where there is no room; EOPNOTSUPP, EINVAL or ENOSYS
/// where the kernel, or the file, has no such write.
pub fn write_at_once(fd: c_int, bytes: &[u8]) -> Outcome {
    let vector = [bytes.as_ptr() as usize, bytes.len()];
    let from = core::ptr::from_ref(&vector) as usize;
    // Offset -1 stands for the file's own position.
    let arguments = [fd as usize, from, 1, usize::MAX, 0, libc::RWF_NOWAIT as usize];
    // SAFETY: a live vector of one live, readable slice.
    unsafe { raw(libc::SYS_pwritev2, arguments) }
}

/// The same for a socket, and without SIGPIPE.
///
/// # Errors
/// As send(2): EAGAIN where there is no room.
pub fn send_at_once(fd: c_int, bytes: &[u8]) -> Outcome {
    let flags = (libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL) as usize;
    let arguments = [fd as usize, bytes.as_ptr() as usize, bytes.len(), flags, 0, 0];
    // SAFETY: the slice is live and readable; no address is given.
    unsafe { raw(libc::SYS_sendto, arguments) }
}

/// Whether a write to `fd` finds room and a reader now (poll(2)).
#[must_use]
pub fn has_room(fd: c_int) -> bool {
    let mut asked = libc::pollfd { fd, events: libc::POLLOUT, revents: 0 };
    let place = core::ptr::from_mut(&mut asked) as usize;
    // SAFETY: one live record; a timeout of zero.
    let ready = unsafe { raw(libc::SYS_poll, [place, 1, 0]) };
    ready == Ok(1) && asked.revents == libc::POLLOUT
}

/// Which file `fd` is.
///
/// # Errors
/// EBADF.
pub fn fstat(fd: c_int) -> Result<libc::stat, Errno> {
    let mut file = MaybeUninit::<libc::stat>::zeroed();
    let place = file.as_mut_ptr() as usize;
    // SAFETY: a live place for the answer.
    unsafe { raw(libc::SYS_fstat, [fd as usize, place]) }?;
    // SAFETY: numbers only, of which zeroes are valid; the kernel has set them.
    Ok(unsafe { file.assume_init() })
}

/// Reads the start of the file at `path`, at most `into.len()` bytes, and
/// leaves no descriptor open. Only for use at load, where design demands the
/// file's text.
///
/// # Errors
/// As open(2) and read(2).
pub fn read_file<'b>(path: &core::ffi::CStr, into: &'b mut [u8]) -> Result<&'b [u8], Errno> {
    let flags = (libc::O_RDONLY | libc::O_CLOEXEC | libc::O_NOCTTY) as usize;
    let at = libc::AT_FDCWD as usize;
    // SAFETY: a NUL-terminated path.
    let fd = unsafe { raw(libc::SYS_openat, [at, path.as_ptr() as usize, flags, 0]) }?;
    let mut filled = 0;
    let result = loop {
        let Some(rest) = into.get_mut(filled..).filter(|rest| !rest.is_empty()) else {
            break Ok(0);
        };
        let (start, room) = (rest.as_mut_ptr() as usize, rest.len());
        // SAFETY: `rest` is live, exclusive and `room` bytes long.
        match unsafe { raw(libc::SYS_read, [fd, start, room]) } {
            Ok(0) => break Ok(0),
            Ok(count) => filled = filled.saturating_add(count),
            Err(Errno::EINTR) => {}
            Err(error) => break Err(error),
        }
    };
    let _ = harmless(libc::SYS_close, [fd]);
    result?;
    Ok(into.get(..filled).unwrap_or_default())
}

/// The end of the heap that brk(2) moves.
#[must_use]
pub fn current_break() -> usize {
    harmless(libc::SYS_brk, [0]).unwrap_or(0)
}

/// Sets, or clears, `MADV_WIPEONFORK` on `[start, start + length)`: a child
/// forked meanwhile finds zeroes there, and nothing is copied.
///
/// # Errors
/// As madvise(2).
pub fn wipe_on_fork(start: usize, length: usize, wipe: bool) -> Outcome {
    let advice = if wipe { libc::MADV_WIPEONFORK } else { libc::MADV_KEEPONFORK };
    harmless(libc::SYS_madvise, [start, length, advice as usize])
}

/// Writes zeroes over `length` bytes at `start`, by process_vm_writev(2) to
/// ourselves: what would be a signal for a store of ours is an error here.
///
/// # Safety
/// The bytes are the program's to be zeroed.
///
/// # Errors
/// EFAULT where they may not be written; EPERM or ENOSYS under a filter. A
/// part may have been written.
pub unsafe fn write_zeroes(start: usize, length: usize) -> Result<(), Errno> {
    static ZEROES: [AtomicU64; 512] = [const { AtomicU64::new(0) }; 512]; // a page, in .bss
    let mut at = start;
    while at < start.wrapping_add(length) {
        let count = size_of_val(&ZEROES).min(start.wrapping_add(length).wrapping_sub(at));
        let local = [core::ptr::from_ref(&ZEROES) as usize, count];
        let remote = [at, count];
        let (from, to) = (core::ptr::from_ref(&local), core::ptr::from_ref(&remote));
        let arguments = [getpid() as usize, from as usize, 1, to as usize, 1, 0];
        // SAFETY: live vectors of one element; the kernel checks the target.
        let written = unsafe { raw(libc::SYS_process_vm_writev, arguments) }?;
        if written == 0 {
            return Err(Errno::EFAULT);
        }
        at = at.wrapping_add(written);
    }
    Ok(())
}

/// Has the kernel try to write `length` bytes at `start` of process `pid`, by
/// process_vm_writev(2) from `nowhere`, which cannot be read: it makes the
/// pages ready for the write, up to one that may not be written, and then
/// finds nothing to write.
///
/// # Errors
/// EFAULT: always, where the call is to be had; ESRCH for a process that is
/// not there, or whose first thread has ended.
pub fn write_from_nowhere(pid: c_int, nowhere: usize, start: usize, length: usize) -> Outcome {
    let (local, remote) = ([nowhere, length], [start, length]);
    let (from, to) = (core::ptr::from_ref(&local), core::ptr::from_ref(&remote));
    let arguments = [pid as usize, from as usize, 1, to as usize, 1, 0];
    // SAFETY: live vectors of one element; no byte can be read at `nowhere`, so
    // none is written.
    unsafe { raw(libc::SYS_process_vm_writev, arguments) }
}

/// Addresses, `length` bytes of them, at which nothing can be read or written.
///
/// # Errors
/// As mmap(2).
pub fn reserve(length: usize) -> Outcome {
    let flags = (libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE) as usize;
    let protection = libc::PROT_NONE as usize;
    harmless(libc::SYS_mmap, [far_away(length), length, protection, flags, usize::MAX, 0])
}

/// Where the kernel is to put a mapping of our own: far below all that it maps
/// by itself. Right below a stack of the program's that has no guard, an
/// overflow would run into it, and not be seen. If the place is taken, the
/// kernel chooses another.
fn far_away(length: usize) -> usize {
    /// Far enough, and nowhere near what is usual at a place of its own.
    const FAR: usize = 1 << 44;
    /// What is left free above each mapping.
    const APART: usize = 1 << 20;
    /// How far down the last one begins; what is given back is not used again.
    static DOWN: AtomicUsize = AtomicUsize::new(0);
    let step = length.next_multiple_of(page::SIZE).saturating_add(APART);
    let down = DOWN.fetch_add(step, Ordering::Relaxed).saturating_add(step).saturating_add(FAR);
    // As random as the place of this library.
    let here = core::ptr::from_ref(&DOWN) as usize / page::SIZE * page::SIZE;
    here.saturating_sub(down)
}

/// Fresh zeroed memory of our own, `length` bytes, as an address.
///
/// # Errors
/// As mmap(2).
pub fn map_memory(length: usize) -> Outcome {
    let protection = (libc::PROT_READ | libc::PROT_WRITE) as usize;
    let flags = (libc::MAP_PRIVATE | libc::MAP_ANONYMOUS) as usize;
    harmless(libc::SYS_mmap, [far_away(length), length, protection, flags, usize::MAX, 0])
}

/// Makes `[start, start + length)` of our own memory inaccessible: a guard.
///
/// # Errors
/// As mprotect(2).
pub fn forbid(start: usize, length: usize) -> Outcome {
    harmless(libc::SYS_mprotect, [start, length, libc::PROT_NONE as usize])
}

/// Fresh memory that is shared with children that are copies.
///
/// # Errors
/// As mmap(2).
pub fn map_shared(length: usize) -> Outcome {
    let protection = (libc::PROT_READ | libc::PROT_WRITE) as usize;
    let flags = (libc::MAP_SHARED | libc::MAP_ANONYMOUS) as usize;
    harmless(libc::SYS_mmap, [0, length, protection, flags, usize::MAX, 0])
}

/// Gives memory from [`map_memory`] back.
///
/// # Safety
/// Nothing refers to `[start, start + length)` any more.
///
/// # Errors
/// As munmap(2).
pub unsafe fn unmap_memory(start: usize, length: usize) -> Outcome {
    harmless(libc::SYS_munmap, [start, length])
}

/// A child that is a copy of this process and thread, and of whose end the
/// program gets no signal: 0 in the child, which must end by [`exit`].
///
/// # Errors
/// As fork(2).
pub fn clone_process() -> Outcome {
    harmless(libc::SYS_clone, [0; 5])
}

/// Waits for the end of a child of [`clone_process`]; returns its status as
/// wait(2) gives it.
///
/// # Errors
/// As wait4(2), but EINTR.
pub fn wait_for_clone(child: usize) -> Result<c_int, Errno> {
    let mut status = 0;
    let place = core::ptr::from_mut(&mut status) as usize;
    loop {
        // SAFETY: a live place for the status.
        match unsafe { raw(libc::SYS_wait4, [child, place, libc::__WALL as usize, 0]) } {
            Ok(_) => return Ok(status),
            Err(Errno::EINTR) => {}
            Err(error) => return Err(error),
        }
    }
}

/// No core dump is made of this process, by whatever it dies.
pub fn forbid_core_dump() {
    let _ = harmless(libc::SYS_prctl, [libc::PR_SET_DUMPABLE as usize, 0, 0, 0, 0]);
}

/// Ends the process, without libc's exit handlers.
pub fn exit(code: usize) -> ! {
    loop {
        let _ = harmless(libc::SYS_exit_group, [code]);
    }
}
