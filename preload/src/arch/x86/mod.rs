//! 32-bit x86: functions that leave no frame behind, and what the link needs.
//!
//! A call's arguments are on the stack, above the return address. At a
//! function's entry EAX, ECX and EDX are free, and a function finds its own
//! statics by its distance to them, as code has no other relative addresses.
//! Only the AT&T syntax can say that.
//! Old programs call us with a stack that is aligned to four bytes only, which
//! is enough for code without SSE: so the library is built for i586.

use core::arch::global_asm;

/// The body of `syscall`. Jumps to the address at `$index` of `$found`; if that
/// is 0, to the address that `$original` returns. If bit `number` of
/// `$watched`, which has 512, is set, jumps to the address that `$route`, a
/// `fn(number, a, b) -> usize`, returns.
macro_rules! jump_by_number {
    (
        watched = $watched:path,
        found = $found:path,
        index = $index:expr,
        original = $original:path,
        route = $route:path $(,)?
    ) => {
        core::arch::naked_asm!(
            ".cfi_startproc",
            "call 2f",
            ".cfi_adjust_cfa_offset 4",
            "2: popl %ecx",
            ".cfi_adjust_cfa_offset -4",
            "movl 4(%esp), %eax",
            "cmpl $512, %eax",
            "jae 3f",
            "leal {watched}-2b(%ecx), %edx",
            "btl %eax, (%edx)",
            "jc 4f",
            "3: movl {found}-2b+4*{index}(%ecx), %eax",
            "testl %eax, %eax",
            "jz 5f",
            "jmp *%eax",
            "4: pushl 12(%esp)",
            ".cfi_adjust_cfa_offset 4",
            "pushl 12(%esp)",
            ".cfi_adjust_cfa_offset 4",
            "pushl 12(%esp)",
            ".cfi_adjust_cfa_offset 4",
            "call {route}",
            "jmp 6f",
            ".cfi_adjust_cfa_offset -12",
            "5: subl $12, %esp",
            ".cfi_adjust_cfa_offset 12",
            "call {original}",
            "6: addl $12, %esp",
            ".cfi_adjust_cfa_offset -12",
            "jmp *%eax",
            ".cfi_endproc",
            watched = sym $watched,
            found = sym $found,
            index = const $index,
            original = sym $original,
            route = sym $route,
            options(att_syntax),
        )
    };
}
pub(crate) use jump_by_number;

/// The body of a function that jumps to the address at `$index` of `$found`; to
/// `$slow_path` if that is 0, or if the first argument, a `c_int`, is `$except`.
macro_rules! jump_unless {
    (
        except = $except:expr,
        slow_path = $slow_path:path,
        found = $found:path,
        index = $index:expr $(,)?
    ) => {
        core::arch::naked_asm!(
            "cmpl ${except}, 4(%esp)",
            "je {slow_path}",
            "call 2f",
            "2: popl %ecx",
            "movl {found}-2b+4*{index}(%ecx), %eax",
            "testl %eax, %eax",
            "jz {slow_path}",
            "jmp *%eax",
            except = const $except,
            slow_path = sym $slow_path,
            found = sym $found,
            index = const $index,
            options(att_syntax),
        )
    };
}
pub(crate) use jump_unless;

/// The body of a thread's first function. Calls `$begin` with its argument,
/// which returns a function and an argument, a pair of words, in memory that it
/// is given. Jumps to that function with that argument.
macro_rules! begin_and_jump {
    ($begin:path) => {
        core::arch::naked_asm!(
            "mov eax, [esp + 4]",
            "sub esp, 12",
            "mov ecx, esp",
            "sub esp, 8",
            "push eax",
            "push ecx",
            // Takes its first argument from the stack.
            "call {begin}",
            "mov eax, [esp + 12]",
            "mov ecx, [esp + 16]",
            "add esp, 24",
            "mov [esp + 4], ecx",
            "jmp eax",
            begin = sym $begin,
        )
    };
}
pub(crate) use begin_and_jump;

/// The body of an export with three arguments. Calls `$choose`, a
/// `fn(a, b, c) -> usize`, with them, and jumps to the address that it returns.
macro_rules! choose_and_jump {
    ($choose:path) => {
        core::arch::naked_asm!(
            ".cfi_startproc",
            "push dword ptr [esp + 12]",
            ".cfi_adjust_cfa_offset 4",
            "push dword ptr [esp + 12]",
            ".cfi_adjust_cfa_offset 4",
            "push dword ptr [esp + 12]",
            ".cfi_adjust_cfa_offset 4",
            "call {choose}",
            "add esp, 12",
            ".cfi_adjust_cfa_offset -12",
            "jmp eax",
            ".cfi_endproc",
            choose = sym $choose,
        )
    };
}
pub(crate) use choose_and_jump;

/// The body of a function that calls `$function` with its own argument, and
/// that may be called with a stack pointer that is not aligned as the ABI
/// requires.
macro_rules! align_and_call {
    ($function:path) => {
        core::arch::naked_asm!(
            "push ebp",
            "mov ebp, esp",
            "and esp, -16",
            "sub esp, 12",
            "push dword ptr [ebp + 8]",
            "call {function}",
            "leave",
            "ret",
            function = sym $function,
        )
    };
}
pub(crate) use align_and_call;

/// The address to which the loader bound the weak `$name`, or 0.
macro_rules! bound_address {
    ($name:ident) => {{
        let address: usize;
        core::arch::asm!(
            "call 2f",
            "2: popl {0}",
            "addl $_GLOBAL_OFFSET_TABLE_+(.-2b), {0}",
            concat!("movl ", stringify!($name), "@GOT({0}), {0}"),
            out(reg) address,
            options(att_syntax, pure, readonly),
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

// The functions that a compiler may call for copies and comparisons: see the
// x86-64 side. All are for small objects: size matters more than speed.
global_asm!(
    ".macro sigward_hidden name",
    ".hidden \\name",
    ".globl \\name",
    ".type \\name, @function",
    "\\name:",
    ".endm",
    "sigward_hidden memcpy",
    "push esi",
    "push edi",
    "mov edi, [esp + 12]",
    "mov esi, [esp + 16]",
    "mov ecx, [esp + 20]",
    "mov eax, edi",
    "rep movsb",
    "pop edi",
    "pop esi",
    "ret",
    "sigward_hidden memmove",
    "push esi",
    "push edi",
    "mov edi, [esp + 12]",
    "mov esi, [esp + 16]",
    "mov ecx, [esp + 20]",
    "mov eax, edi",
    "mov edx, edi",
    "sub edx, esi",
    "cmp edx, ecx",
    "jb 2f",
    "rep movsb",
    "pop edi",
    "pop esi",
    "ret",
    "2: lea edi, [edi + ecx - 1]",
    "lea esi, [esi + ecx - 1]",
    "std",
    "rep movsb",
    "cld",
    "pop edi",
    "pop esi",
    "ret",
    "sigward_hidden memset",
    "push edi",
    "mov edi, [esp + 8]",
    "mov eax, [esp + 12]",
    "mov ecx, [esp + 16]",
    "rep stosb",
    "mov eax, [esp + 8]",
    "pop edi",
    "ret",
    "sigward_hidden bcmp",
    "sigward_hidden memcmp",
    "push esi",
    "push edi",
    "mov edi, [esp + 12]",
    "mov esi, [esp + 16]",
    "mov ecx, [esp + 20]",
    "xor eax, eax",
    "cmp eax, eax", // equal, if there is nothing to compare
    "repe cmpsb",
    "je 3f",
    "movzx eax, byte ptr [edi - 1]",
    "movzx ecx, byte ptr [esi - 1]",
    "sub eax, ecx",
    "3: pop edi",
    "pop esi",
    "ret",
    "sigward_hidden strlen",
    "push edi",
    "mov edi, [esp + 8]",
    "mov ecx, -1",
    "xor eax, eax",
    "repne scasb",
    "not ecx",
    "lea eax, [ecx - 1]",
    "pop edi",
    "ret",
    ".purgem sigward_hidden",
);
