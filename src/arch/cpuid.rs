//! What CPUID reports, on x86 of both widths: the size of a signal frame of
//! Linux, and the features that the kernel has enabled.

#[cfg(target_arch = "x86")]
use core::arch::x86::{__cpuid, __cpuid_count};
#[cfg(target_arch = "x86_64")]
use core::arch::x86_64::{__cpuid, __cpuid_count};

/// Bytes below the stack pointer that the ABI reserves; a frame on an ordinary
/// stack skips them.
pub const RED_ZONE: usize = if cfg!(target_arch = "x86_64") { 128 } else { 0 };

/// Added to the XSAVE area: the rest of the frame (`ucontext_t`, `siginfo_t`,
/// return address: 440 bytes), the trailing magic, the 64-byte and 16-byte
/// alignment of area and frame, and the 32-bit frame's FPU header, rounded up.
const AROUND_XSAVE: usize = 1024;

/// Bytes of the XSAVE area if CPUID does not report it: legacy area and header.
const LEGACY: usize = 576;

/// Bytes of the largest signal frame, from CPUID leaf 0xD, which describes the
/// state components that XCR0, and so the kernel, enables. Async-signal-safe.
#[must_use]
pub fn largest_frame() -> usize {
    xsave_area().saturating_add(AROUND_XSAVE)
}

/// Bytes of the XSAVE area for the components that the OS has enabled.
fn xsave_area() -> usize {
    let has_leaf = __cpuid(0).eax >= 0xd && features().xsave;
    if has_leaf { __cpuid_count(0xd, 0).ebx as usize } else { LEGACY }
}

/// For the table of kernels. A 32-bit program meets the same kernel code.
pub const IS_X86_64: bool = true;

/// What the processor has and the kernel has enabled.
#[derive(Clone, Copy, Debug)]
pub struct Features {
    /// XSAVE.
    pub xsave: bool,
    /// AVX.
    pub avx: bool,
}

/// Reads the features. Slow under a hypervisor, where each CPUID traps.
#[must_use]
pub fn features() -> Features {
    const OSXSAVE: u32 = 1 << 27;
    const AVX: u32 = 1 << 28;
    let bits = __cpuid(1).ecx;
    let xsave = bits & OSXSAVE != 0;
    Features { xsave, avx: xsave && bits & AVX != 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cpu_and_the_kernel_agree() {
        // SAFETY: a plain query; 0 if the kernel does not report it.
        let reported = unsafe { libc::getauxval(libc::AT_MINSIGSTKSZ) } as usize;
        let computed = largest_frame();
        assert!(computed >= LEGACY + AROUND_XSAVE);
        // If the kernel reports a size, ours is neither smaller nor wasteful.
        if reported != 0 {
            assert!(computed >= reported, "computed {computed}, reported {reported}");
            assert!(computed < reported + AROUND_XSAVE, "computed {computed}, reported {reported}");
        }
    }
}
