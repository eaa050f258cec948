//! What is the same on every processor that is not x86.

use core::ffi::c_long;

/// A page has one of several sizes; the kernel says which.
pub const PAGE: Option<usize> = None;

/// Whether a thread's static data lies above its thread pointer.
pub const THREAD_DATA_ABOVE: bool = true;

/// What `largest_frame` asks.
pub const FRAME_SOURCE: &str = "lengths of vectors";

/// A thread may lengthen its vectors at any time. How far, only the kernel says.
pub const FRAME_IS_FIXED: bool = false;

/// Every state that a frame can hold may be used without asking for it first:
/// what counts is the `largest` frame.
#[must_use]
pub fn usual_frame(largest: impl FnOnce() -> usize) -> usize {
    largest()
}

/// No system call has this number: there is none that asks for a processor
/// feature with a large state.
pub const FEATURES_CALL: c_long = -1;
/// See [`FEATURES_CALL`].
pub const REQUEST_FEATURE: usize = 0;

/// For the table of kernels.
pub const IS_X86_64: bool = false;

/// What the table of kernels asks of an x86 processor.
#[derive(Clone, Copy, Debug)]
pub struct Features {
    /// XSAVE.
    pub xsave: bool,
    /// AVX.
    pub avx: bool,
}

/// Nothing of that.
#[must_use]
pub const fn features() -> Features {
    Features { xsave: false, avx: false }
}

/// The calls whose name or number differs between architectures.
pub mod numbers {
    use core::sync::atomic::AtomicUsize;

    /// fstat(2) into a [`struct@libc::stat64`]; mmap(2); ppoll(2); shmat(2);
    /// shmdt(2).
    pub use libc::{
        SYS_fstat as FSTAT, SYS_mmap as MMAP, SYS_ppoll as POLL, SYS_shmat as SHMAT,
        SYS_shmdt as SHMDT,
    };

    /// No system call has this number: clone(2) forks.
    pub const FORK: core::ffi::c_long = -1;

    /// The arguments of [`POLL`] for one record and no time.
    #[must_use]
    pub fn poll_at_once(record: usize) -> [usize; 5] {
        /// Seconds and nanoseconds, which the call may change.
        static NO_TIME: [AtomicUsize; 2] = [const { AtomicUsize::new(0) }; 2];
        [record, 1, NO_TIME.as_ptr() as usize, 0, 0]
    }
}
