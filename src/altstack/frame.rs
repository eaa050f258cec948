//! How large a signal frame is on this machine.

use once_cell::race::OnceNonZeroUsize;

use crate::arch;
use crate::sys::startup::Startup;

/// Room for a handler's own variables between its frame and one nested in it.
const HANDLER: usize = 2048;

static SIZE: OnceNonZeroUsize = OnceNonZeroUsize::new();

/// Fixes the frame size for this process: `pretended` (`SIGWARD_FRAME`) if
/// given, else what the kernel said at exec, else what the CPU says.
pub fn learn(startup: Startup, pretended: Option<usize>) {
    let told = || startup.auxiliary(libc::AT_MINSIGSTKSZ).map(|size| size as usize);
    let size = pretended.or_else(told).and_then(core::num::NonZeroUsize::new);
    if let Some(size) = size {
        let _ = SIZE.set(size);
    }
}

/// The largest signal frame, in bytes: `AT_MINSIGSTKSZ` (Linux >= 5.14), else
/// what the processor says. Async-signal-safe.
#[must_use]
pub fn size() -> usize {
    SIZE.get_or_init(|| {
        let size = core::num::NonZeroUsize::new(arch::largest_frame());
        size.unwrap_or(core::num::NonZeroUsize::MIN)
    })
    .get()
}

/// Bytes at the top of a stack that must not fault: a frame, what its handler
/// uses, and one frame nested in it. Async-signal-safe.
#[must_use]
pub fn window() -> usize {
    size().saturating_mul(2).saturating_add(HANDLER + arch::RED_ZONE)
}
