//! The instructions that sleep.
//!
//! Both functions compare the thread's generation of deliveries with the one
//! that the wait began with, and enter the kernel. Between the comparison and
//! the entry a handler may still run. [`super::gate`], which runs in front of
//! every handler without `SA_RESTART`, finds the interrupted instruction in
//! that stretch (`begin` up to and including the entry) and sends the thread
//! to `interrupted` instead. So no delivery is overlooked: before the
//! comparison it is seen by the comparison, then by its address, and once
//! inside the kernel by the kernel. The entry itself belongs to the stretch: a
//! handler that runs *at* it is one that runs before the call.
//!
//! Neither function has anything to clean up, and their unwind tables hold at
//! every instruction, so a cancellation may end the thread anywhere in them.

use core::arch::naked_asm;
use core::ffi::c_int;
use core::sync::atomic::AtomicU32;

use super::request::Event;
use crate::sys::call::Outcome;
use crate::sys::errno::Errno;

/// `waitid(kind, id, NULL, options, NULL)` by INT 0x80: number 284 of the
/// 32-bit table. No argument is a pointer, so it does not matter that the
/// kernel takes 32 bits of each; R8 to R11 may be lost (entry_64_compat.S
/// cleared them before Linux 6.7).
#[unsafe(naked)]
unsafe extern "C" fn waitid_int80(
    kind: c_int,
    id: c_int,
    options: c_int,
    generation: *const AtomicU32,
    seen: u32,
) -> isize {
    naked_asm!(
        ".cfi_startproc",
        "push rbx",
        ".cfi_def_cfa_offset 16",
        ".cfi_offset rbx, -16",
        "mov r9, rcx",
        "mov ebx, edi",
        "mov ecx, esi",
        "mov esi, edx",
        "xor edx, edx",
        "xor edi, edi",
        ".hidden sigward_wait_int80_begin, sigward_wait_int80_end, sigward_wait_int80_interrupted",
        ".globl sigward_wait_int80_begin, sigward_wait_int80_end, sigward_wait_int80_interrupted",
        "sigward_wait_int80_begin:",
        "cmp dword ptr [r9], r8d",
        "jne sigward_wait_int80_interrupted",
        "mov eax, 284",
        "int 0x80",
        "sigward_wait_int80_end:",
        "cdqe",
        "2: pop rbx",
        ".cfi_def_cfa_offset 8",
        ".cfi_restore rbx",
        "ret",
        ".cfi_def_cfa_offset 16",
        ".cfi_offset rbx, -16",
        "sigward_wait_int80_interrupted:",
        "mov rax, -{eintr}",
        "jmp 2b",
        ".cfi_endproc",
        eintr = const libc::EINTR,
    )
}

/// `poll(NULL, 0, milliseconds)` by SYSCALL: three arguments, so a restart has
/// nothing to lose.
#[unsafe(naked)]
unsafe extern "C" fn poll_nothing(
    milliseconds: c_int,
    generation: *const AtomicU32,
    seen: u32,
) -> isize {
    naked_asm!(
        ".cfi_startproc",
        "mov r8d, edx",
        "mov r9, rsi",
        "mov edx, edi",
        "xor edi, edi",
        "xor esi, esi",
        ".hidden sigward_wait_nap_begin, sigward_wait_nap_end, sigward_wait_nap_interrupted",
        ".globl sigward_wait_nap_begin, sigward_wait_nap_end, sigward_wait_nap_interrupted",
        "sigward_wait_nap_begin:",
        "cmp dword ptr [r9], r8d",
        "jne sigward_wait_nap_interrupted",
        "mov eax, {poll}",
        "syscall",
        "sigward_wait_nap_end:",
        "ret",
        "sigward_wait_nap_interrupted:",
        "mov rax, -{eintr}",
        "ret",
        ".cfi_endproc",
        poll = const libc::SYS_poll,
        eintr = const libc::EINTR,
    )
}

/// Sleeps until `event` can be reported, consuming nothing.
///
/// # Errors
/// As waitid(2); EINTR also if `generation` is not at `seen` any more.
pub fn until_reportable(event: Event, generation: &AtomicU32, seen: u32) -> Outcome {
    // SAFETY: plain numbers for the kernel, and a live counter for us.
    Errno::judge(unsafe { waitid_int80(event.kind, event.id, event.options, generation, seen) })
}

/// Sleeps for `milliseconds`.
///
/// # Errors
/// EINTR when any handler ran, with or without `SA_RESTART`, and if
/// `generation` is not at `seen` any more.
pub fn nap(milliseconds: c_int, generation: &AtomicU32, seen: u32) -> Outcome {
    // SAFETY: as above.
    Errno::judge(unsafe { poll_nothing(milliseconds, generation, seen) })
}
