//! How large a signal frame is on this machine.

use core::num::NonZeroUsize;

use once_cell::race::OnceNonZeroUsize;

use crate::plan;

/// Added to the XSAVE area: the rest of the frame (`ucontext_t`, `siginfo_t`,
/// return address: 440 bytes), the trailing magic, the 64-byte and 16-byte
/// alignment of area and frame, and the 32-bit frame's FPU header, rounded up.
const AROUND_XSAVE: usize = 1024;

/// Bytes of XSAVE area where CPUID does not tell: legacy area and header.
const LEGACY: usize = 576;

static SIZE: OnceNonZeroUsize = OnceNonZeroUsize::new();

/// Fixes the frame size for this process, in bytes.
pub fn learn(size: usize) {
    if let Some(size) = NonZeroUsize::new(size) {
        let _ = SIZE.set(size);
    }
}

/// The largest signal frame, in bytes, as it was learnt, else as the CPU has
/// it. Async-signal-safe.
#[must_use]
pub fn size() -> usize {
    SIZE.get_or_init(|| NonZeroUsize::new(by_cpu()).unwrap_or(NonZeroUsize::MIN)).get()
}

/// Bytes at the top of a stack that must not fault: see [`plan::window`].
/// Async-signal-safe.
#[must_use]
pub fn window() -> usize {
    plan::window(size())
}

/// The largest signal frame, in bytes, from CPUID leaf 0xD, which describes the
/// state components that XCR0 enables: for kernels before 5.14, which do not
/// tell (`AT_MINSIGSTKSZ`). Async-signal-safe.
#[must_use]
pub fn by_cpu() -> usize {
    xsave_area().saturating_add(AROUND_XSAVE)
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
        let computed = by_cpu();
        assert!(computed >= LEGACY + AROUND_XSAVE);
        // On a kernel that tells, ours is not smaller, nor wasteful.
        if told != 0 {
            assert!(computed >= told, "computed {computed}, told {told}");
            assert!(computed < told + AROUND_XSAVE, "computed {computed}, told {told}");
        }
    }
}
