//! What the link needs, and the proof that it makes.
//!
//! The library is linked with no libraries and with `-z defs`, so a name that
//! is neither ours nor weak fails the build. That is what proves the absence
//! of panic paths: the panic handler calls a function that does not exist.
//! `build.rs` has the arguments.

use core::arch::global_asm;

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

// `core` was compiled to unwind and names a personality; we never unwind.
global_asm!(
    ".hidden rust_eh_personality",
    ".globl rust_eh_personality",
    "rust_eh_personality: ud2"
);

// The functions that a compiler may call for copies and comparisons. Ours, as
// libc's cannot be named without needing libc; hidden, so they are nobody
// else's. All are for small objects: size before speed.
global_asm!(
    ".macro sigward_hidden name",
    ".hidden \\name",
    ".globl \\name",
    ".type \\name, @function",
    "\\name:",
    ".endm",
    "sigward_hidden memcpy",
    "mov rax, rdi",
    "mov rcx, rdx",
    "rep movsb",
    "ret",
    "sigward_hidden memmove",
    "mov rax, rdi",
    "mov rcx, rdi",
    "sub rcx, rsi",
    "cmp rcx, rdx",
    "mov rcx, rdx",
    "jb 2f",
    "rep movsb",
    "ret",
    "2: lea rdi, [rdi + rdx - 1]",
    "lea rsi, [rsi + rdx - 1]",
    "std",
    "rep movsb",
    "cld",
    "ret",
    "sigward_hidden memset",
    "mov r8, rdi",
    "mov eax, esi",
    "mov rcx, rdx",
    "rep stosb",
    "mov rax, r8",
    "ret",
    "sigward_hidden bcmp",
    "sigward_hidden memcmp",
    "mov rcx, rdx",
    "xor eax, eax",
    "cmp eax, eax", // equal, if there is nothing to compare
    "repe cmpsb",
    "je 3f",
    "movzx eax, byte ptr [rdi - 1]",
    "movzx ecx, byte ptr [rsi - 1]",
    "sub ecx, eax",
    "mov eax, ecx",
    "3: ret",
    "sigward_hidden strlen",
    "mov rcx, -1",
    "xor eax, eax",
    "repne scasb",
    "not rcx",
    "lea rax, [rcx - 1]",
    "ret",
    ".purgem sigward_hidden",
);
