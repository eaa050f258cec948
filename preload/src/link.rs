//! The proof that the link makes. What it needs besides is in [`crate::arch`].
//!
//! The library is linked with no libraries and with `-z defs`, so a name that
//! is neither ours nor weak fails the build. That is what proves the absence
//! of panic paths: the panic handler calls a function that does not exist.
//! `build.rs` has the arguments.

unsafe extern "C" {
    /// Does not exist. If the link asks for it, a panic path is linked in.
    fn sigward_a_panic_path_is_linked() -> !;
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    // SAFETY: never run: no library that holds this call can be linked.
    unsafe { sigward_a_panic_path_is_linked() }
}

/// Planted by `tests/contract.rs`, which expects that the link fails.
#[cfg(sigward_plant = "panic")]
#[unsafe(no_mangle)]
pub extern "C" fn sigward_planted(bytes: &[u8; 4], at: usize) -> u8 {
    bytes[at]
}

/// The same, with a name of libc that is not weak.
#[cfg(sigward_plant = "stray")]
#[unsafe(no_mangle)]
pub extern "C" fn sigward_planted() -> libc::pid_t {
    // SAFETY: never run.
    unsafe { libc::getpid() }
}
