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
        "push rbp",
        ".cfi_def_cfa_offset 16",
        ".cfi_offset rbp, -16",
        "mov rbp, rsp",
        ".cfi_def_cfa_register rbp",
        "mov rsp, rdi",
        "mov rdi, rsi",
        "call rdx",
        "mov rsp, rbp",
        "pop rbp",
        ".cfi_def_cfa rsp, 8",
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
        "sub rsp, {below}",
        ".cfi_adjust_cfa_offset {below}",
        "lock or dword ptr [rsp], 0",
        "add rsp, {below}",
        ".cfi_adjust_cfa_offset -{below}",
        "ret",
        ".cfi_endproc",
        below = const BELOW,
    )
}
