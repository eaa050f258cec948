//! Raw system calls: the only place where the shipped library enters the kernel
//! on its own account.
//!
//! None of these writes `errno`, is a cancellation point, or goes through a
//! libc function that could be one of our own hooks. All are async-signal-safe.
//! Names and argument order are the kernel's (see the man page of the same
//! name, section 2).

use core::ffi::{c_int, c_long};
use core::mem::MaybeUninit;
use core::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use super::errno::Errno;
use super::page::{self, Pages};
use crate::arch::{self, numbers};

/// The outcome of a system call: its return value, or its error.
pub type Outcome = Result<usize, Errno>;

/// The arguments of a system call, as an array of the right length.
pub trait Arguments {
    /// Enters the kernel and returns its raw result.
    ///
    /// # Safety
    /// The same as for the system call `number` and these arguments.
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
/// Those of the system call.
///
/// # Safety
/// The same as for the system call `number` and these arguments.
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

/// The status flags of descriptor `fd` (`F_GETFL`).
///
/// # Errors
/// EBADF.
pub fn file_flags(fd: c_int) -> Outcome {
    harmless(libc::SYS_fcntl, [fd as usize, libc::F_GETFL as usize, 0])
}

/// Whether thread `tid` of process `pid` still exists (signal 0).
#[must_use]
pub fn thread_exists(pid: c_int, tid: c_int) -> bool {
    harmless(libc::SYS_tgkill, [pid as usize, tid as usize, 0]) != Err(Errno::ESRCH)
}

/// Locks the pages that hold `[start, start + length)` and faults them in.
///
/// # Errors
/// Those of mlock(2): ENOMEM also if part of the range is not mapped or not
/// accessible. *A failed call may leave part of the range locked.*
pub fn mlock(start: usize, length: usize) -> Outcome {
    harmless(libc::SYS_mlock, [start, length])
}

/// Unlocks the pages that hold `[start, start + length)`.
///
/// # Errors
/// Those of munlock(2).
pub fn munlock(start: usize, length: usize) -> Outcome {
    harmless(libc::SYS_munlock, [start, length])
}

/// msync(2) with only `MS_INVALIDATE`, which writes nothing.
///
/// # Errors
/// EBUSY if any of the range is locked; ENOMEM if nothing is locked and part of
/// the range is not mapped.
pub fn msync_invalidate(start: usize, length: usize) -> Outcome {
    harmless(libc::SYS_msync, [start, length, libc::MS_INVALIDATE as usize])
}

/// Whether all of `[start, start + length)` is mapped, by msync(2) with
/// `MS_ASYNC`, which has no other effect.
#[must_use]
pub fn is_mapped(start: usize, length: usize) -> bool {
    let first = start / page::size() * page::size();
    let bytes = length.saturating_add(start.wrapping_sub(first));
    harmless(libc::SYS_msync, [first, bytes, libc::MS_ASYNC as usize]).is_ok()
}

/// Whether another `length` bytes could be locked now. Maps a locked
/// `PROT_NONE` range, which holds no page, and unmaps it again.
///
/// # Errors
/// EAGAIN if the limit forbids it, EPERM if the limit is 0. Any other error of
/// mmap(2) says nothing about the limit.
pub fn room_for_lock(length: usize) -> Result<(), Errno> {
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE | libc::MAP_LOCKED;
    let protection = libc::PROT_NONE as usize;
    let start = harmless(numbers::MMAP, [0, length, protection, flags as usize, usize::MAX, 0])?;
    // SAFETY: nobody else knows the mapping.
    let _ = unsafe { unmap_memory(start, length) };
    Ok(())
}

/// Fills `name` by uname(2).
///
/// # Errors
/// Never EFAULT, as the reference is valid; anything under a seccomp filter.
pub fn uname(name: &mut MaybeUninit<libc::utsname>) -> Result<&libc::utsname, Errno> {
    // SAFETY: `name` is a live, exclusive utsname, which the call fills.
    unsafe {
        raw(libc::SYS_uname, [name.as_mut_ptr() as usize])?;
        Ok(name.assume_init_ref())
    }
}

/// The soft and hard limit of `resource`, in the resource's own unit.
///
/// # Errors
/// EINVAL for an unknown resource.
pub fn getrlimit(resource: u32) -> Result<libc::rlimit64, Errno> {
    let mut limit = libc::rlimit64 { rlim_cur: 0, rlim_max: 0 };
    let target = core::ptr::from_mut(&mut limit) as usize;
    // SAFETY: a null new limit, and a live destination for the old one.
    unsafe { raw(libc::SYS_prlimit64, [0, resource as usize, 0, target]) }?;
    Ok(limit)
}

/// The calling thread's alternate signal stack, as the kernel knows it.
///
/// # Errors
/// Anything under a seccomp filter.
pub fn current_altstack() -> Result<libc::stack_t, Errno> {
    let mut stack = libc::stack_t { ss_sp: core::ptr::null_mut(), ss_flags: 0, ss_size: 0 };
    let target = core::ptr::from_mut(&mut stack) as usize;
    // SAFETY: a null new stack, and a live destination for the old one.
    unsafe { raw(libc::SYS_sigaltstack, [0, target]) }?;
    Ok(stack)
}

/// Takes the calling thread's alternate signal stack away.
///
/// # Errors
/// EPERM while the thread runs on it.
pub fn disable_altstack() -> Outcome {
    let none = libc::stack_t {
        ss_sp: core::ptr::null_mut(),
        ss_flags: libc::SS_DISABLE,
        // Some kernels check it all the same.
        ss_size: 64 << 10,
    };
    // SAFETY: no stack at all.
    unsafe { set_altstack(&none) }
}

/// Registers `stack` as the calling thread's alternate signal stack.
///
/// # Errors
/// EPERM if the thread is running on the present one.
///
/// # Safety
/// Handlers may use that memory.
pub unsafe fn set_altstack(stack: &libc::stack_t) -> Outcome {
    let from = core::ptr::from_ref(stack) as usize;
    // SAFETY: a live new stack, which the caller vouches for; a null old one.
    unsafe { raw(libc::SYS_sigaltstack, [from, 0]) }
}

/// Writes `bytes` to the open descriptor `fd`.
///
/// # Errors
/// Those of write(2).
pub fn write(fd: c_int, bytes: &[u8]) -> Outcome {
    // SAFETY: the slice is live and readable.
    unsafe { raw(libc::SYS_write, [fd as usize, bytes.as_ptr() as usize, bytes.len()]) }
}

/// Like [`write()`], with `RWF_NOWAIT`: fails instead of sleeping for room.
///
/// # Errors
/// Those of pwritev2(2): EAGAIN if there is no room; EOPNOTSUPP, EINVAL or
/// ENOSYS if the kernel or the file does not support such a write.
pub fn write_at_once(fd: c_int, bytes: &[u8]) -> Outcome {
    let vector = [bytes.as_ptr() as usize, bytes.len()];
    let from = core::ptr::from_ref(&vector) as usize;
    // Offset -1 means the file's own position. A 32-bit program passes it in two
    // halves; a 64-bit kernel ignores the second.
    let upper = if cfg!(target_pointer_width = "32") { usize::MAX } else { 0 };
    let arguments = [fd as usize, from, 1, usize::MAX, upper, libc::RWF_NOWAIT as usize];
    // SAFETY: a live vector of one live, readable slice.
    unsafe { raw(libc::SYS_pwritev2, arguments) }
}

/// Like [`write_at_once`], for a socket and without SIGPIPE.
///
/// # Errors
/// Those of send(2): EAGAIN if there is no room.
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
    // SAFETY: one live record; the timeout is zero.
    let ready = unsafe { raw(numbers::POLL, numbers::poll_at_once(place)) };
    ready == Ok(1) && asked.revents == libc::POLLOUT
}

/// The status of the open file `fd`, which identifies it.
///
/// # Errors
/// EBADF.
pub fn fstat(fd: c_int) -> Result<libc::stat64, Errno> {
    let mut file = MaybeUninit::<libc::stat64>::zeroed();
    let place = file.as_mut_ptr() as usize;
    // SAFETY: a live destination for the answer.
    unsafe { raw(numbers::FSTAT, [fd as usize, place]) }?;
    // SAFETY: plain numbers, for which zeroes are valid; the kernel has set
    // them.
    Ok(unsafe { file.assume_init() })
}

/// Reads the start of the file at `path`, at most `into.len()` bytes, and
/// leaves no descriptor open. Only for use at load, where the design requires
/// the file's text.
///
/// # Errors
/// Those of open(2) and read(2).
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

/// The end of the heap, which brk(2) moves.
#[must_use]
pub fn current_break() -> usize {
    harmless(libc::SYS_brk, [0]).unwrap_or(0)
}

/// Sets or clears `MADV_WIPEONFORK` on `[start, start + length)`. While it is
/// set, fork copies nothing there, and the child finds zeroes.
///
/// # Errors
/// Those of madvise(2).
pub fn wipe_on_fork(start: usize, length: usize, wipe: bool) -> Outcome {
    let advice = if wipe { libc::MADV_WIPEONFORK } else { libc::MADV_KEEPONFORK };
    harmless(libc::SYS_madvise, [start, length, advice as usize])
}

/// Writes zeroes over `length` bytes at `start`, by process_vm_writev(2) to
/// ourselves: where a store of ours would raise a signal, this returns an
/// error.
///
/// # Safety
/// The program allows these bytes to be zeroed.
///
/// # Errors
/// EFAULT if the bytes are not writable; EPERM or ENOSYS under a filter. Part
/// of them may have been written.
pub unsafe fn write_zeroes(start: usize, length: usize) -> Result<(), Errno> {
    static ZEROES: [AtomicU64; 512] = [const { AtomicU64::new(0) }; 512]; // one page, in .bss
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

/// Makes the kernel try to write `length` bytes at `start` of process `pid`, by
/// process_vm_writev(2) from `nowhere`, which is not readable. The kernel makes
/// the pages ready for the write, up to the first page that is not writable,
/// and then finds nothing to write.
///
/// # Errors
/// Always EFAULT if the call is available; ESRCH if the process does not exist
/// or its first thread has ended.
pub fn write_from_nowhere(pid: c_int, nowhere: usize, start: usize, length: usize) -> Outcome {
    let (local, remote) = ([nowhere, length], [start, length]);
    let (from, to) = (core::ptr::from_ref(&local), core::ptr::from_ref(&remote));
    let arguments = [pid as usize, from as usize, 1, to as usize, 1, 0];
    // SAFETY: live vectors of one element; no byte at `nowhere` is readable, so
    // none is written.
    unsafe { raw(libc::SYS_process_vm_writev, arguments) }
}

/// Reserves `length` bytes of addresses at which nothing can be written, and
/// read only if `protection` is `PROT_READ`.
///
/// # Errors
/// Those of mmap(2).
pub fn reserve(length: usize, protection: c_int) -> Outcome {
    let flags = (libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE) as usize;
    harmless(numbers::MMAP, [far_away(length), length, protection as usize, flags, usize::MAX, 0])
}

/// Where the kernel should put a mapping of ours: far below everything that it
/// maps on its own. Right below a stack of the program that has no guard, our
/// mapping would take an overflow that then goes unnoticed. If the address is
/// taken, the kernel chooses another.
#[cfg(target_pointer_width = "64")]
fn far_away(length: usize) -> usize {
    /// Far enough away, and not near any address where mappings usually are.
    const FAR: usize = 1 << 44;
    /// The gap above each mapping.
    const APART: usize = 1 << 20;
    /// How far down the last mapping begins. Addresses that were unmapped are
    /// not used again.
    static DOWN: AtomicUsize = AtomicUsize::new(0);
    let step = length.next_multiple_of(page::size()).saturating_add(APART);
    let down = DOWN.fetch_add(step, Ordering::Relaxed).saturating_add(step).saturating_add(FAR);
    // As random as the address of this library.
    let here = core::ptr::from_ref(&DOWN) as usize / page::size() * page::size();
    here.saturating_sub(down)
}

/// Where the kernel should put a mapping of ours: between the lowest addresses
/// and a program that is linked to its usual place. So nothing of ours splits
/// the room that a 32-bit program has for large mappings. If the address is
/// taken, the kernel chooses another.
#[cfg(target_pointer_width = "32")]
fn far_away(length: usize) -> usize {
    /// Where such a program begins.
    const PROGRAM: usize = 0x0804_8000;
    /// What some programs want for themselves, from address 0.
    const LOWEST: usize = 32 << 20;
    /// The gap above each mapping.
    const APART: usize = 1 << 20;
    /// How far down the last mapping begins. Addresses that were unmapped are
    /// not used again.
    static DOWN: AtomicUsize = AtomicUsize::new(0);
    let step = length.next_multiple_of(page::size()).saturating_add(APART);
    let down = DOWN.fetch_add(step, Ordering::Relaxed).saturating_add(step);
    let start = PROGRAM.saturating_sub(down);
    if start < LOWEST { 0 } else { start }
}

/// Maps `length` bytes of fresh, zeroed memory and returns its address.
///
/// # Errors
/// Those of mmap(2).
pub fn map_memory(length: usize) -> Outcome {
    let protection = (libc::PROT_READ | libc::PROT_WRITE) as usize;
    let flags = (libc::MAP_PRIVATE | libc::MAP_ANONYMOUS) as usize;
    harmless(numbers::MMAP, [far_away(length), length, protection, flags, usize::MAX, 0])
}

/// Whether nothing is mapped in `[start, start + length)`, or at the top of a
/// longer range; false in doubt. Changes nothing: mprotect(2) fails with ENOMEM
/// where nothing is mapped, and with EINVAL where something is that does not
/// grow upwards, as nothing does on this architecture.
#[must_use]
pub fn is_free(start: usize, length: usize) -> bool {
    /// More are not worth so many calls.
    const MOST: usize = 32;
    const PROT_GROWSUP: c_int = 0x0200_0000;
    let pages = Pages::around(start, start.saturating_add(length));
    let protection = libc::PROT_READ | libc::PROT_WRITE | PROT_GROWSUP;
    let free = |page: usize| {
        protect(page.wrapping_mul(page::size()), page::size(), protection) == Err(Errno::ENOMEM)
    };
    !pages.is_empty() && pages.numbers().rev().take(MOST).all(free)
}

/// Copies `buffer.len()` bytes from `start` by process_vm_readv(2) from
/// ourselves, process `pid`: where a load of ours would raise a signal, this
/// returns an error.
///
/// # Errors
/// EFAULT if not even the first byte can be read; those of that call.
pub fn read_own(pid: c_int, start: usize, buffer: &mut [u8]) -> Outcome {
    let to = [buffer.as_mut_ptr() as usize, buffer.len()];
    let from = [start, buffer.len()];
    let [to, from] = [&to, &from].map(|range| core::ptr::from_ref(range) as usize);
    harmless(libc::SYS_process_vm_readv, [pid as usize, to, 1, from, 1, 0])
}

/// Gives `[start, start + length)` of our own memory a name in
/// `/proc/PID/maps`, where the kernel can (Linux 5.17, and only if configured).
pub fn name_memory(start: usize, length: usize, name: &core::ffi::CStr) {
    const PR_SET_VMA: usize = 0x5356_4d41;
    const PR_SET_VMA_ANON_NAME: usize = 0;
    let arguments = [PR_SET_VMA, PR_SET_VMA_ANON_NAME, start, length, name.as_ptr() as usize];
    // SAFETY: a NUL-terminated name, which the kernel copies.
    let _ = unsafe { raw(libc::SYS_prctl, arguments) };
}

/// Gives back the contents of our own memory, which reads as zeroes afterwards.
///
/// # Errors
/// EINVAL if it is locked.
pub fn empty(start: usize, length: usize) -> Outcome {
    harmless(libc::SYS_madvise, [start, length, libc::MADV_DONTNEED as usize])
}

/// Gives `[start, start + length)` of our own memory this protection: a guard
/// has none.
///
/// # Errors
/// Those of mprotect(2).
pub fn protect(start: usize, length: usize, protection: c_int) -> Outcome {
    harmless(libc::SYS_mprotect, [start, length, protection as usize])
}

/// Maps fresh memory that is shared with forked children.
///
/// # Errors
/// Those of mmap(2).
pub fn map_shared(length: usize) -> Outcome {
    let protection = (libc::PROT_READ | libc::PROT_WRITE) as usize;
    let flags = (libc::MAP_SHARED | libc::MAP_ANONYMOUS) as usize;
    harmless(numbers::MMAP, [0, length, protection, flags, usize::MAX, 0])
}

/// Unmaps memory from [`map_memory`].
///
/// # Safety
/// Nothing refers to `[start, start + length)` any more.
///
/// # Errors
/// Those of munmap(2).
pub unsafe fn unmap_memory(start: usize, length: usize) -> Outcome {
    harmless(libc::SYS_munmap, [start, length])
}

/// Makes a child that is a copy of this process and thread. The program gets no
/// signal when the child ends. Returns 0 in the child, which must end by
/// [`exit`].
///
/// # Errors
/// Those of fork(2).
pub fn clone_process() -> Outcome {
    harmless(libc::SYS_clone, [0; 5])
}

/// Waits until a child of [`clone_process`] ends, and returns its status in the
/// format of wait(2).
///
/// # Errors
/// Those of wait4(2), except EINTR.
pub fn wait_for_clone(child: usize) -> Result<c_int, Errno> {
    let mut status = 0;
    let place = core::ptr::from_mut(&mut status) as usize;
    loop {
        // SAFETY: a live destination for the status.
        match unsafe { raw(libc::SYS_wait4, [child, place, libc::__WALL as usize, 0]) } {
            Ok(_) => return Ok(status),
            Err(Errno::EINTR) => {}
            Err(error) => return Err(error),
        }
    }
}

/// Prevents a core dump of this process, whatever kills it.
pub fn forbid_core_dump() {
    let _ = harmless(libc::SYS_prctl, [libc::PR_SET_DUMPABLE as usize, 0, 0, 0, 0]);
}

/// Ends the process, without libc's exit handlers.
pub fn exit(code: usize) -> ! {
    loop {
        let _ = harmless(libc::SYS_exit_group, [code]);
    }
}
