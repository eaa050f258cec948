//! What CPUID reports, on x86 of both widths: the size of a signal frame of
//! Linux, and the features that the kernel has enabled.

#[cfg(target_arch = "x86")]
use core::arch::x86::{__cpuid, __cpuid_count};
#[cfg(target_arch = "x86_64")]
use core::arch::x86_64::{__cpuid, __cpuid_count};
use core::ffi::c_ulong;

/// Bytes below the stack pointer that the ABI reserves; a frame on an ordinary
/// stack skips them.
pub const RED_ZONE: usize = if cfg!(target_arch = "x86_64") { 128 } else { 0 };

/// Added to the XSAVE area: the rest of the frame (`ucontext_t`, `siginfo_t`,
/// return address: 440 bytes), the trailing magic, the 64-byte and 16-byte
/// alignment of area and frame, and the 32-bit frame's FPU header, rounded up.
const AROUND_XSAVE: usize = 1024;

/// Bytes of the XSAVE area if CPUID does not report it: legacy area and header.
const LEGACY: usize = 576;

/// The processor itself says what it has. `_features` is for other ones.
pub fn learn(_features: impl FnOnce() -> c_ulong) {}

/// No kernel tells less than a frame has. `_told` is for other processors.
#[must_use]
pub const fn holds(_told: usize) -> bool {
    true
}

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

/// Bytes of the largest signal frame of a process that has asked for no
/// feature which needs permission: without the tile data of AMX, which are
/// 8 KiB. A process with that permission cannot set a stack on which they do
/// not fit, and does not get it while it has such a stack: the kernel checks
/// both. `_largest` is for other processors. Async-signal-safe.
#[must_use]
pub fn usual_frame(_largest: impl FnOnce() -> usize) -> usize {
    /// The component that needs permission.
    const TILE_DATA: u32 = 18;
    let area = xsave_area();
    if area == LEGACY || enabled() & 1 << TILE_DATA == 0 {
        return area.saturating_add(AROUND_XSAVE);
    }
    let others = (2..63).filter(|&component| component != TILE_DATA);
    let enabled = others.filter(|component| enabled() & 1 << component != 0);
    let ends = enabled.map(|component| {
        let place = __cpuid_count(0xd, component);
        place.eax.saturating_add(place.ebx) as usize
    });
    ends.max().unwrap_or(0).max(LEGACY).min(area).saturating_add(AROUND_XSAVE)
}

/// The state components that the kernel has enabled (XCR0), which exist where
/// CPUID reports XSAVE.
fn enabled() -> u64 {
    let (low, high): (u32, u32);
    // SAFETY: the caller has seen that the OS enabled XSAVE, and with it the
    // instruction.
    unsafe {
        core::arch::asm!("xgetbv", in("ecx") 0, out("eax") low, out("edx") high,
            options(nomem, nostack, preserves_flags));
    }
    u64::from(high) << 32 | u64::from(low)
}

/// Whether a thread's static data lies above its thread pointer.
pub const THREAD_DATA_ABOVE: bool = false;

/// The only size of a page, in bytes.
pub const PAGE: Option<usize> = Some(4096);

/// Bits of the addresses that a program has unless it asks for more.
pub const ADDRESS_BITS: u32 = if cfg!(target_arch = "x86_64") { 47 } else { 32 };

/// What [`largest_frame`] asks.
pub const FRAME_SOURCE: &str = "CPUID";

/// Whether the largest frame stays what it is at load: see [`largest_frame`].
pub const FRAME_IS_FIXED: bool = true;

/// The least size in bytes of an alternate stack that the kernel accepts
/// (`MINSIGSTKSZ`).
pub const LEAST_ALTSTACK: usize = 2048;

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
        let usual = usual_frame(largest_frame);
        assert!(LEGACY + AROUND_XSAVE <= usual && usual <= computed);
        // 8 KiB of tile data, or nothing.
        assert!([0, 8192].contains(&(computed - usual)), "computed {computed}, usual {usual}");
        assert!(computed >= LEGACY + AROUND_XSAVE);
        // If the kernel reports a size, ours is neither smaller nor wasteful.
        if reported != 0 {
            assert!(computed >= reported, "computed {computed}, reported {reported}");
            assert!(computed < reported + AROUND_XSAVE, "computed {computed}, reported {reported}");
        }
    }
}
