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
        "push ebp",
        ".cfi_def_cfa_offset 8",
        ".cfi_offset ebp, -8",
        "mov ebp, esp",
        ".cfi_def_cfa_register ebp",
        "mov esp, [ebp + 8]",
        "sub esp, 12",
        "push dword ptr [ebp + 12]",
        "call dword ptr [ebp + 16]",
        "mov esp, ebp",
        "pop ebp",
        ".cfi_def_cfa esp, 4",
        "ret",
        ".cfi_endproc",
    )
}

/// Writes to the stack `BELOW` bytes below the caller's frame without changing
/// a byte: an overflow happens now, as it would there. The call itself has
/// already written to the page of the stack pointer. Async-signal-safe.
#[unsafe(naked)]
pub extern "C" fn write_below<const BELOW: usize>() {
    // Atomic, because memory below the end of this stack may be another
    // thread's. The stack pointer moves, so that valgrind does not report a
    // stray access.
    naked_asm!(
        ".cfi_startproc",
        "sub esp, {below}",
        ".cfi_adjust_cfa_offset {below}",
        "lock or dword ptr [esp], 0",
        "add esp, {below}",
        ".cfi_adjust_cfa_offset -{below}",
        "ret",
        ".cfi_endproc",
        below = const BELOW,
    )
}
