//! Runs on another stack, and proves the caller's own.

use core::arch::naked_asm;
use core::ffi::c_void;

/// Calls `work` with `data` on the stack that ends at `top`.
///
/// # Safety
/// `top` is aligned to 16 bytes; there is room below it for `work`.
#[unsafe(naked)]
pub unsafe extern "C" fn call_on(
    top: *mut c_void,
    data: *mut c_void,
    work: extern "C" fn(*mut c_void),
) {
    naked_asm!(
        ".cfi_startproc",
        "addi sp, sp, -16",
        ".cfi_def_cfa_offset 16",
        "sd ra, 8(sp)",
        "sd s0, 0(sp)",
        ".cfi_offset ra, -8",
        ".cfi_offset s0, -16",
        "mv s0, sp",
        ".cfi_def_cfa_register s0",
        "mv sp, a0",
        "mv a0, a1",
        "jalr a2",
        "mv sp, s0",
        ".cfi_def_cfa_register sp",
        "ld ra, 8(sp)",
        "ld s0, 0(sp)",
        "addi sp, sp, 16",
        ".cfi_def_cfa_offset 0",
        ".cfi_restore ra",
        ".cfi_restore s0",
        "ret",
        ".cfi_endproc",
    )
}

/// Writes to the stack `BELOW` bytes below the caller's frame without changing
/// a byte: an overflow happens now, as it would there. Async-signal-safe.
#[unsafe(naked)]
pub extern "C" fn write_below<const BELOW: usize>() {
    // Atomic, because memory below the end of this stack may be another
    // thread's. The stack pointer moves, so that valgrind does not report a
    // stray access. The call itself writes nothing here, so the page of the
    // stack pointer is written too.
    naked_asm!(
        ".cfi_startproc",
        "sd zero, -16(sp)",
        "li t0, {below}",
        "sub sp, sp, t0",
        ".cfi_adjust_cfa_offset {below}",
        ".option push",
        ".option arch, +a",
        "amoor.w zero, zero, (sp)",
        ".option pop",
        "add sp, sp, t0",
        ".cfi_adjust_cfa_offset -{below}",
        "ret",
        ".cfi_endproc",
        below = const BELOW,
    )
}
