//! How large a signal frame is on this machine.

use core::num::NonZeroUsize;

use once_cell::race::OnceNonZeroUsize;

use crate::{arch, plan};

static SIZE: OnceNonZeroUsize = OnceNonZeroUsize::new();

/// Fixes the frame size for this process, in bytes.
pub fn learn(size: usize) {
    if let Some(size) = NonZeroUsize::new(size) {
        let _ = SIZE.set(size);
    }
}

/// The largest signal frame, in bytes, as it was learnt, else as the processor
/// has it. Async-signal-safe.
#[must_use]
pub fn size() -> usize {
    let by_cpu = || NonZeroUsize::new(arch::largest_frame()).unwrap_or(NonZeroUsize::MIN);
    SIZE.get_or_init(by_cpu).get()
}

/// Bytes at the top of a stack that must not fault: see [`plan::window`].
/// Async-signal-safe.
#[must_use]
pub fn window() -> usize {
    plan::window(size())
}
