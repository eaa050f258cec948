//! How large a signal frame is on this machine.

use once_cell::race::OnceNonZeroUsize;

use crate::sys::startup::Startup;

/// What the x86-64 ABI keeps below the stack pointer (a frame on an ordinary
/// stack skips it).
pub const RED_ZONE: usize = 128;

/// Room for a handler's own variables between its frame and one nested in it.
const HANDLER: usize = 2048;

/// Added to the XSAVE area: the rest of the frame (`ucontext_t`, `siginfo_t`,
/// return address: 440 bytes), the trailing magic, the 64-byte and 16-byte
/// alignment of area and frame, and the 32-bit frame's FPU header, rounded up.
const AROUND_XSAVE: usize = 1024;

/// Bytes of XSAVE area where CPUID does not tell: legacy area and header.
const LEGACY: usize = 576;

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
/// from CPUID leaf 0xD, which describes the state components that XCR0
/// enables. Async-signal-safe.
#[must_use]
pub fn size() -> usize {
    SIZE.get_or_init(|| {
        let size = xsave_area().saturating_add(AROUND_XSAVE);
        core::num::NonZeroUsize::new(size).unwrap_or(core::num::NonZeroUsize::MIN)
    })
    .get()
}

/// Bytes at the top of a stack that must not fault: a frame, what its handler
/// uses, and one frame nested in it. Async-signal-safe.
#[must_use]
pub fn window() -> usize {
    size().saturating_mul(2).saturating_add(HANDLER + RED_ZONE)
}

/// Bytes of the XSAVE area for the components that the OS has enabled.
#[cfg(target_arch = "x86_64")]
fn xsave_area() -> usize {
    use core::arch::x86_64::{__cpuid, __cpuid_count};
    const OSXSAVE: u32 = 1 << 27;
    let has_leaf = __cpuid(0).eax >= 0xd && __cpuid(1).ecx & OSXSAVE != 0;
    if has_leaf { __cpuid_count(0xd, 0).ebx as usize } else { LEGACY }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cpu_and_the_kernel_agree() {
        // SAFETY: a plain query; 0 where the kernel does not tell.
        let told = unsafe { libc::getauxval(libc::AT_MINSIGSTKSZ) } as usize;
        let computed = xsave_area() + AROUND_XSAVE;
        assert!(computed >= LEGACY + AROUND_XSAVE);
        // On a kernel that tells, ours is not smaller, nor wasteful.
        if told != 0 {
            assert!(computed >= told, "computed {computed}, told {told}");
            assert!(computed < told + AROUND_XSAVE, "computed {computed}, told {told}");
        }
    }
}
