//! x86-64, including INT 0x80, the entry of its 32-bit side. One file per
//! concern.

#[cfg(target_os = "freebsd")]
mod freebsd;
#[cfg(target_os = "freebsd")]
pub use freebsd::{int80, syscall6};

#[cfg(target_os = "linux")]
mod linux;
/// The calls whose name or number differs between architectures.
#[cfg(target_os = "linux")]
pub mod numbers {
    /// fstat(2) into a [`struct@libc::stat64`]; mmap(2); poll(2); shmat(2);
    /// shmdt(2).
    pub use libc::{
        SYS_fstat as FSTAT, SYS_mmap as MMAP, SYS_poll as POLL, SYS_shmat as SHMAT,
        SYS_shmdt as SHMDT,
    };

    /// The arguments of [`POLL`] for one record and no time.
    #[must_use]
    pub const fn poll_at_once(record: usize) -> [usize; 3] {
        [record, 1, 0]
    }

    /// fork(2).
    pub const FORK: core::ffi::c_long = libc::SYS_fork;
}
#[cfg(target_os = "linux")]
mod registers;
#[cfg(target_os = "linux")]
mod stack;
#[cfg(target_os = "linux")]
mod wait;
#[cfg(target_os = "linux")]
pub use {
    linux::{
        FEATURES_CALL, INT80_WAITID, REQUEST_FEATURE, int80, syscall0, syscall1, syscall2,
        syscall3, syscall4, syscall5, syscall6,
    },
    registers::{is_under_valgrind, stack_pointer, thread_pointer},
};
#[cfg(target_os = "linux")]
pub(crate) use {
    stack::{call_on, write_below},
    wait::{SignalContext, gate, other_gate, sleep_stretch},
};

/// In a signal frame, from its lowest byte on: where the kernel stores which
/// alternate stack was set. A return address, and two words of `ucontext`.
#[cfg(target_os = "linux")]
pub(crate) const FRAME_STACK: usize = 8 + 16;
/// The same for the signal's number: after `ucontext`.
#[cfg(target_os = "linux")]
pub(crate) const FRAME_SIGNAL: usize = 8 + 304;
