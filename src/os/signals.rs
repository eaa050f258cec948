//! Signals, by raw calls: blocking all of them for a short time, and
//! dispositions.

use core::ffi::c_int;

use super::errno::Errno;
use super::{call, futex, page};
use crate::arch;

/// The kernel's signal set: one bit for each of the 64 signals.
pub type Mask = u64;

/// All signals, including libc's private ones (32, 33), which sigfillset(3)
/// leaves out: a cancellation handler must not run under our lock either.
const ALL: Mask = !0;

/// The set of one signal.
#[must_use]
pub const fn bit(signal: c_int) -> Mask {
    1 << (signal - 1)
}

/// Size of the kernel's set in bytes.
pub(super) const SET_SIZE: usize = size_of::<Mask>();

/// How many bytes of stack code with signals blocked may use, below the frame
/// that blocks them, so that a hook takes at most 1 KiB in all. Work that needs
/// more runs on the stack of a [`Lock`](super::lock::Lock). libc's functions
/// for the memory calls need next to nothing.
const ROOM: usize = 384;
/// The same for a wait while it is awake.
const ROOM_OF_WAIT: usize = 256;
/// The same while a line is written.
const ROOM_OF_LINE: usize = 768;
/// The same from a fork's prepare on: libc's part of the fork runs in between.
const ROOM_OF_FORK: usize = 1536;

/// While this lives, no handler runs on this thread (except for SIGKILL and
/// SIGSTOP).
///
/// Code that runs meanwhile must not raise a synchronous signal: the kernel
/// would kill the process, whatever its handlers. So the stack is proven first:
/// a program that recovers from an overflow, or write-protects its stack to see
/// which pages change, gets its SIGSEGV while it can still handle it. There is
/// no other way to block signals, and none to hold a
/// [`Lock`](super::lock::Lock) without blocking them. Do not nest: the inner
/// guard would ask for room below the outer one's.
#[must_use = "signals are unblocked when this is dropped"]
pub struct Blocked(Mask);

impl Blocked {
    /// Blocks all signals on the calling thread. If the stack has too little
    /// room, this raises SIGSEGV, like any store to the stack.
    /// Async-signal-safe.
    #[inline(never)] // for size, and for a known depth
    pub fn all() -> Self {
        arch::write_below::<ROOM>();
        Self::now()
    }

    /// Like [`Blocked::all`], while a line is written.
    #[inline(never)]
    pub fn over_line() -> Self {
        arch::write_below::<ROOM_OF_LINE>();
        Self::now()
    }

    /// Like [`Blocked::all`], from before a fork until after it.
    #[inline(never)]
    pub fn over_fork() -> Self {
        arch::write_below::<ROOM_OF_FORK>();
        Self::now()
    }

    #[inline(never)]
    fn now() -> Self {
        let (new, mut old): (Mask, Mask) = (ALL, 0);
        let how = libc::SIG_SETMASK as usize;
        let (from, to) = (core::ptr::from_ref(&new), core::ptr::from_mut(&mut old));
        // SAFETY: both sets are live locals of the size given.
        let _ = unsafe {
            call::raw(libc::SYS_rt_sigprocmask, [how, from as usize, to as usize, SET_SIZE])
        };
        Blocked(old)
    }

    /// Leaves signals blocked. Returns the mask that [`Blocked::left`] takes.
    #[must_use]
    pub fn leave(self) -> Mask {
        let mask = self.0;
        core::mem::forget(self);
        mask
    }

    /// Restores a guard from the mask that [`Blocked::leave`] returned.
    pub fn left(before: Mask) -> Self {
        Blocked(before)
    }
}

const _: () = assert!(ROOM_OF_FORK <= page::LEAST, "a page is left out");

/// Proves the stack, as [`Blocked::all`] does, for a wait, which blocks signals
/// by an instruction of its own. Async-signal-safe.
#[inline(never)]
pub fn prove_for_wait() {
    arch::write_below::<ROOM_OF_WAIT>();
}

/// Whether [`Blocked::all`] would find enough stack, found out without a
/// signal. Async-signal-safe. True holds for this moment only.
#[must_use]
pub fn have_room() -> bool {
    /// At least what lies between here and the frame of [`Blocked::all`].
    const FRAMES: usize = 256;
    let here = arch::stack_pointer();
    futex::touch(here).is_ok() && futex::touch(here.wrapping_sub(ROOM + FRAMES)).is_ok()
}

/// Whether `[start, start + length)` overlaps the stack in use: the caller's
/// frames and those of code that runs with signals blocked. A call that takes
/// that memory away must not be made with signals blocked. Async-signal-safe.
#[inline]
#[must_use]
pub fn stand_on(start: usize, length: usize) -> bool {
    /// More than lies between the program's frame and the caller's.
    const ABOVE: usize = 1024;
    /// More than lies below the caller's frame.
    const BELOW: usize = 2048;
    let here = arch::stack_pointer();
    start < here.saturating_add(ABOVE) && start.saturating_add(length) > here.saturating_sub(BELOW)
}

impl Drop for Blocked {
    #[inline(never)] // for size
    fn drop(&mut self) {
        let how = libc::SIG_SETMASK as usize;
        let from = core::ptr::from_ref(&self.0) as usize;
        // SAFETY: the set is live and of the size given; a null old set.
        let _ = unsafe { call::raw(libc::SYS_rt_sigprocmask, [how, from, 0, SET_SIZE]) };
    }
}

/// The signals that are pending for the thread or the process; all of them if
/// the kernel refuses to answer. Async-signal-safe.
#[must_use]
pub fn pending() -> Mask {
    let mut now: Mask = 0;
    let to = core::ptr::from_mut(&mut now) as usize;
    // SAFETY: a live destination for the set, of the size given.
    let answer = unsafe { call::raw(libc::SYS_rt_sigpending, [to, SET_SIZE]) };
    answer.map_or(ALL, |_| now)
}

/// Takes one pending signal of `set`, which is never delivered then. All of
/// `set` must be blocked. Async-signal-safe.
///
/// # Errors
/// EAGAIN if none is pending.
pub fn consume(set: Mask) -> call::Outcome {
    let (set, time) = (core::ptr::from_ref(&set), [0_usize; 2]);
    let arguments = [set as usize, 0, core::ptr::from_ref(&time) as usize, SET_SIZE];
    // SAFETY: a live set of the size given, no destination for information, and
    // a live time of zero.
    unsafe { call::raw(libc::SYS_rt_sigtimedwait, arguments) }
}

/// The kernel's `struct sigaction`, which rt_sigaction(2) takes.
#[derive(Clone, Copy, Default)]
#[repr(C)]
pub struct KernelAction {
    /// The handler, or `SIG_DFL`, `SIG_IGN`.
    pub handler: usize,
    /// `SA_*`.
    pub flags: usize,
    #[cfg(not(target_arch = "riscv64"))]
    restorer: usize,
    mask: Mask,
}

/// The kernel's `struct old_sigaction`, which the old sigaction(2) takes.
#[cfg(target_arch = "x86")]
#[derive(Clone, Copy)]
#[repr(C)]
pub struct OldAction {
    /// The handler, or `SIG_DFL`, `SIG_IGN`.
    pub handler: usize,
    mask: usize,
    /// `SA_*`.
    pub flags: usize,
    restorer: usize,
}

/// The kernel's disposition of `signal`. Async-signal-safe.
///
/// # Errors
/// EINVAL if `signal` is not a signal number.
pub fn disposition(signal: c_int) -> Result<KernelAction, Errno> {
    let mut action = KernelAction::default();
    let to = core::ptr::from_mut(&mut action) as usize;
    // SAFETY: a null new action, and a live destination for the old one.
    unsafe { call::raw(libc::SYS_rt_sigaction, [signal as usize, 0, to, SET_SIZE]) }?;
    Ok(action)
}

/// Installs `action` for `signal`. Async-signal-safe.
///
/// # Errors
/// EINVAL if `signal` is not a signal number.
///
/// # Safety
/// The handler can be called as one, and the program wants it called.
pub unsafe fn dispose(signal: c_int, action: &KernelAction) -> Result<(), Errno> {
    let from = core::ptr::from_ref(action) as usize;
    // SAFETY: a live new action, which the caller vouches for; a null old one.
    unsafe { call::raw(libc::SYS_rt_sigaction, [signal as usize, from, 0, SET_SIZE]) }?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mask() -> Mask {
        let mut now: Mask = 0;
        let to = core::ptr::from_mut(&mut now) as usize;
        // SAFETY: a null new set, and a live destination for the old one.
        unsafe { call::raw(libc::SYS_rt_sigprocmask, [0, 0, to, SET_SIZE]) }.unwrap();
        now
    }

    #[test]
    fn everything_is_blocked_and_put_back() {
        let before = mask();
        {
            let blocked = Blocked::all();
            let unblockable = 1 << (libc::SIGKILL - 1) | 1 << (libc::SIGSTOP - 1);
            assert_eq!(mask(), !unblockable);
            assert_eq!(blocked.0, before);
        }
        assert_eq!(mask(), before);
    }
}
