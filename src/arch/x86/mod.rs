//! 32-bit x86: programs of the i386 ABI, on a kernel of either width. There is
//! no cure for waits here, as the defect that it is for is of x86-64.

mod linux;
/// The calls whose name or number differs between architectures.
pub mod numbers {
    use core::ffi::c_long;

    /// fstat(2) into a [`struct@libc::stat64`].
    pub const FSTAT: c_long = libc::SYS_fstat64;
    /// mmap(2) with six arguments; the offset is in pages.
    pub const MMAP: c_long = libc::SYS_mmap2;
    /// fork(2).
    pub const FORK: c_long = libc::SYS_fork;
    /// poll(2).
    pub const POLL: c_long = libc::SYS_poll;
    /// shmat(2), since Linux 5.1.
    pub const SHMAT: c_long = 397;
    /// shmdt(2), since Linux 5.1.
    pub const SHMDT: c_long = 398;

    /// The arguments of [`POLL`] for one record and no time.
    #[must_use]
    pub const fn poll_at_once(record: usize) -> [usize; 3] {
        [record, 1, 0]
    }
}
mod registers;
mod stack;
pub(crate) use stack::{call_on, write_below};
pub use {
    linux::{
        FEATURES_CALL, REQUEST_FEATURE, syscall0, syscall1, syscall2, syscall3, syscall4, syscall5,
        syscall6,
    },
    registers::{is_under_valgrind, stack_pointer, thread_pointer},
};

/// In a frame of a handler with `SA_SIGINFO`, from its lowest byte on: where the
/// kernel stores which alternate stack was set.
pub(crate) const FRAME_STACK: usize = 16 + 128 + 8;
/// The same for the signal's number.
pub(crate) const FRAME_SIGNAL: usize = 16;
