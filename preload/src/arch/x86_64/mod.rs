//! x86-64: what both systems need.

use core::arch::global_asm;

#[cfg(target_os = "linux")]
pub(crate) mod linux;
#[cfg(target_os = "linux")]
pub(crate) use linux::*;

/// The body of an export that is a bare jump to the address stored `$offset`
/// bytes after the start of the static `$slots`.
macro_rules! jump {
    ($slots:path) => {
        $crate::arch::x86_64::jump!($slots, 0)
    };
    ($slots:path, $offset:expr) => {
        core::arch::naked_asm!(
            "jmp qword ptr [rip + {slots} + {offset}]",
            slots = sym $slots,
            offset = const $offset,
        )
    };
}
pub(crate) use jump;

/// The address to which the loader bound the weak `$name`, or 0.
macro_rules! bound_address {
    ($name:ident) => {{
        let address: usize;
        core::arch::asm!(
            concat!("mov {}, qword ptr [rip + ", stringify!($name), "@GOTPCREL]"),
            out(reg) address,
            options(pure, readonly, nostack, preserves_flags),
        );
        address
    }};
}
pub(crate) use bound_address;

// `core` was compiled to unwind and names a personality routine; we never
// unwind.
global_asm!(
    ".hidden rust_eh_personality",
    ".globl rust_eh_personality",
    "rust_eh_personality: ud2"
);

// The functions that a compiler may call for copies and comparisons. They are
// ours, as a reference to libc's would make us need libc, and hidden, so nobody
// else uses them. All are for small objects: size matters more than speed.
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
