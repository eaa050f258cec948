//! The size of a signal frame, where the kernel does not tell it in
//! `AT_MINSIGSTKSZ`: before Linux 4.18, and under emulators.

use super::linux::syscall1;

/// The ABI reserves no bytes below the stack pointer.
pub const RED_ZONE: usize = 0;

/// The least size in bytes of an alternate stack that the kernel accepts
/// (`MINSIGSTKSZ`).
pub const LEAST_ALTSTACK: usize = 5120;

/// In a signal frame, from its lowest byte on: where the kernel stores which
/// alternate stack was set. `siginfo_t`, and two words of `ucontext_t`.
pub(crate) const FRAME_STACK: usize = 128 + 16;
/// The same for the signal's number: it begins `siginfo_t`.
pub(crate) const FRAME_SIGNAL: usize = 0;

/// `siginfo_t`, `ucontext_t` with its 4 KiB for records, the frame record, and
/// alignment.
const BASE: usize = 128 + 592 - 128 + 4096 + 16 + 16;

/// What the kernel may add for records that do not fit: those of the vector
/// registers, of faults and of small registers, and the ones that say where the
/// rest is.
const AROUND: usize = 1024;

/// Bytes of the largest signal frame, from the lengths of vectors that the
/// thread uses now. Async-signal-safe.
#[must_use]
pub fn largest_frame() -> usize {
    let longest = length(PR_SVE_GET_VL).max(length(PR_SME_GET_VL));
    let vectors = longest * 32 + longest / 8 * 17;
    // SME's matrix is as long as it is wide; the table register has 64 bytes.
    let matrix = length(PR_SME_GET_VL);
    let records = if longest == 0 { 0 } else { vectors + matrix * matrix + AROUND };
    // Records of these two begin in the 4 KiB, or are moved behind them whole.
    BASE + records
}

const PR_SVE_GET_VL: usize = 51;
const PR_SME_GET_VL: usize = 64;

/// The bytes of a vector; 0 if the processor has none of that kind.
fn length(which: usize) -> usize {
    /// The lower bits; the others are flags.
    const LENGTH: usize = 0xffff;
    // SAFETY: this only asks.
    let said = unsafe { prctl(which) };
    if said < 0 { 0 } else { said as usize & LENGTH }
}

/// # Safety
/// `which` only asks.
unsafe fn prctl(which: usize) -> isize {
    // SAFETY: the caller's contract.
    unsafe { syscall1(libc::SYS_prctl, which) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The kernel may report more: it counts the longest vectors that it
    /// allows, we those in use.
    #[test]
    fn the_registers_and_the_kernel_agree() {
        // SAFETY: plain queries; 0 if the kernel does not report it.
        let reported = unsafe { libc::getauxval(libc::AT_MINSIGSTKSZ) } as usize;
        let computed = largest_frame();
        assert!(computed >= BASE);
        let longest = length(PR_SVE_GET_VL).max(length(PR_SME_GET_VL));
        if reported != 0 && longest == 0 {
            assert!(computed >= reported, "computed {computed}, reported {reported}");
            assert!(computed < reported + AROUND, "computed {computed}, reported {reported}");
        }
    }
}
