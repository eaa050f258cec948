//! The size of a signal frame, where the kernel does not tell it in
//! `AT_MINSIGSTKSZ` (before Linux 6.5, and under emulators) or leaves out the
//! vector registers (defect `riscv-minsigstksz`: it computes the size before it
//! knows of them).

use super::vectors;

/// The ABI reserves no bytes below the stack pointer.
pub const RED_ZONE: usize = 0;

/// The least size in bytes of an alternate stack that the kernel accepts
/// (`MINSIGSTKSZ`).
pub const LEAST_ALTSTACK: usize = 2048;

/// In a signal frame, from its lowest byte on: where the kernel stores which
/// alternate stack was set. `siginfo_t`, and two words of `ucontext_t`.
pub(crate) const FRAME_STACK: usize = 128 + 16;
/// The same for the signal's number: it begins `siginfo_t`.
pub(crate) const FRAME_SIGNAL: usize = 0;

/// `siginfo_t` and `ucontext_t`, of which the registers take 784 bytes.
const BASE: usize = 128 + 176 + 784;

/// Beside the vector registers: what says that they follow, five control
/// registers and an address, and what says that nothing follows.
const AROUND: usize = 8 + 48 + 8;

/// The bytes of a frame with vector registers of `length` bytes; 0 if there are
/// none.
const fn with_vectors(length: usize) -> usize {
    if length == 0 { BASE } else { (BASE + AROUND + 32 * length).next_multiple_of(16) }
}

/// The shortest vector registers that a kernel saves, in bytes: 64 bits, of the
/// extensions for small processors.
const SHORTEST: usize = 8;

/// Bytes of the largest signal frame, from the length of the vector registers.
/// Async-signal-safe; the first time it may take a child: see
/// [`vectors::length`].
#[must_use]
pub fn largest_frame() -> usize {
    with_vectors(vectors::length())
}

/// Whether a frame fits into as many bytes as the kernel tells. Ask this at
/// load: it may take a child.
#[must_use]
pub fn holds(told: usize) -> bool {
    // A kernel that counts the vector registers counts them right.
    told >= with_vectors(SHORTEST) || told >= largest_frame()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the kernel's headers say.
    #[test]
    fn a_frame_is_what_the_kernel_writes() {
        assert_eq!(BASE, 128 + size_of::<libc::ucontext_t>());
        assert_eq!(with_vectors(0), 1088);
        assert_eq!(with_vectors(16), 1664);
        assert_eq!(with_vectors(128), 5248);
    }

    #[test]
    fn what_the_kernel_tells_is_believed_if_a_frame_fits() {
        learn();
        assert!(holds(1664) && holds(5248));
        assert_eq!(holds(BASE), vectors::length() == 0);
        assert!(!holds(BASE - 16));
    }

    /// The script of these tests says how long they are in the processor that
    /// it chooses.
    #[test]
    fn the_vector_registers_have_the_length_that_the_processor_has() {
        let Ok(expected) = std::env::var("VECTOR_BYTES") else { return };
        learn();
        for time in ["first", "second"] {
            assert_eq!(vectors::length().to_string(), expected, "the {time} time");
        }
    }

    fn learn() {
        // SAFETY: a plain query; 0 if the kernel does not say.
        vectors::learn(|| unsafe { libc::getauxval(libc::AT_HWCAP) });
    }
}
