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
        "stp x29, x30, [sp, -16]!",
        ".cfi_def_cfa_offset 16",
        ".cfi_offset x29, -16",
        ".cfi_offset x30, -8",
        "mov x29, sp",
        ".cfi_def_cfa_register x29",
        "mov sp, x0",
        "mov x0, x1",
        "blr x2",
        "mov sp, x29",
        ".cfi_def_cfa_register sp",
        "ldp x29, x30, [sp], 16",
        ".cfi_def_cfa_offset 0",
        ".cfi_restore x29",
        ".cfi_restore x30",
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
        "str xzr, [sp, -16]",
        "mov x16, {below}",
        "sub sp, sp, x16",
        ".cfi_adjust_cfa_offset {below}",
        "2: ldxr w9, [sp]",
        "stxr w10, w9, [sp]",
        "cbnz w10, 2b",
        "add sp, sp, x16",
        ".cfi_adjust_cfa_offset -{below}",
        "ret",
        ".cfi_endproc",
        below = const BELOW,
    )
}
