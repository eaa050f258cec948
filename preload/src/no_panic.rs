//! The panic handler, and the proof that nothing calls it. Whatever else the
//! link needs is in [`crate::arch`].
//!
//! The library is linked without libraries and with `-z defs`, so a name that
//! is neither ours nor weak fails the build. That proves the absence of panic
//! paths: the panic handler calls a function that does not exist. `build.rs`
//! has the arguments.

unsafe extern "C" {
    /// Does not exist. An undefined reference to it means that a panic path is
    /// linked in.
    fn sigward_a_panic_path_is_linked() -> !;
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    // SAFETY: never runs: a library that contains this call cannot be linked.
    unsafe { sigward_a_panic_path_is_linked() }
}

/// Planted by `tests/contract.rs`, which expects the link to fail.
#[cfg(sigward_plant = "panic")]
#[unsafe(no_mangle)]
pub extern "C" fn sigward_planted(bytes: &[u8; 4], at: usize) -> u8 {
    bytes[at]
}

/// Likewise, with a libc name that is not weak.
#[cfg(sigward_plant = "stray")]
#[unsafe(no_mangle)]
pub extern "C" fn sigward_planted() -> libc::pid_t {
    // SAFETY: never runs.
    unsafe { libc::getpid() }
}
