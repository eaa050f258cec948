//! The size of a signal frame on this machine.

use core::ffi::c_ulong;
use core::num::NonZeroUsize;

use once_cell::race::OnceNonZeroUsize;

use crate::{arch, plan};

static SIZE: OnceNonZeroUsize = OnceNonZeroUsize::new();

/// Sets the frame size for this process, in bytes.
pub fn learn(size: usize) {
    if let Some(size) = NonZeroUsize::new(size) {
        let _ = SIZE.set(size);
    }
}

static TOLD: OnceNonZeroUsize = OnceNonZeroUsize::new();

/// What the kernel says, where the processor cannot: see
/// [`arch::FRAME_IS_FIXED`]. Call this once, at load.
pub fn tell(auxiliary: impl Fn(c_ulong) -> Option<c_ulong>) {
    arch::learn(|| auxiliary(libc::AT_HWCAP).unwrap_or(0));
    let size = told(auxiliary(libc::AT_MINSIGSTKSZ).unwrap_or(0)).unwrap_or(0);
    if let Some(size) = NonZeroUsize::new(size) {
        let _ = TOLD.set(size);
    }
}

/// The size of a frame in bytes as the kernel tells it by `AT_MINSIGSTKSZ`;
/// `None` if it tells none, or one that is too small.
#[must_use]
pub fn told(by_kernel: c_ulong) -> Option<usize> {
    Some(by_kernel as usize).filter(|size| *size > 0 && arch::holds(*size))
}

/// The size of the largest signal frame, in bytes: the value set by [`learn`],
/// or else what the kernel said or the processor reports. Async-signal-safe.
#[must_use]
pub fn size() -> usize {
    let by_kernel = || if arch::FRAME_IS_FIXED { None } else { TOLD.get() };
    let by_cpu = || NonZeroUsize::new(arch::largest_frame()).unwrap_or(NonZeroUsize::MIN);
    SIZE.get_or_init(|| by_kernel().unwrap_or_else(by_cpu)).get()
}

static PRETENDED: OnceNonZeroUsize = OnceNonZeroUsize::new();

/// Pretends that every frame has this size, in bytes.
pub fn pretend(size: usize) {
    if let Some(size) = NonZeroUsize::new(size) {
        let _ = PRETENDED.set(size);
    }
}

/// The size in bytes of the largest frame that can occur now: without state
/// that the program would have to ask for. Async-signal-safe; asks the
/// processor once.
#[must_use]
pub fn usual() -> usize {
    let by_cpu = || NonZeroUsize::new(arch::usual_frame(size)).unwrap_or(NonZeroUsize::MIN);
    PRETENDED.get_or_init(by_cpu).get()
}

/// How many bytes at the top of a stack must not fault: see [`plan::headroom`].
/// Async-signal-safe.
#[must_use]
pub fn headroom() -> usize {
    plan::headroom(size())
}
