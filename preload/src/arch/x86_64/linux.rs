//! Functions that leave no frame behind. A call's arguments are in RDI, RSI,
//! RDX, RCX, R8 and R9, and RAX holds how many are in vector registers. R11 is
//! free at a function's entry.

use core::arch::naked_asm;

/// The body of a function that calls `$resolve`, a `fn() -> usize`, and jumps to
/// the address that it returns, with the registers as on entry.
macro_rules! resolve_and_jump {
    ($resolve:path) => {
        core::arch::naked_asm!(
            ".cfi_startproc",
            "lea r11, [rip + {resolve}]",
            "call {call_r11}",
            "jmp r11",
            ".cfi_endproc",
            resolve = sym $resolve,
            call_r11 = sym $crate::arch::x86_64::linux::call_r11,
        )
    };
}
pub(crate) use resolve_and_jump;

/// For an export that is a bare jump: calls the function `fn() -> usize` at R11
/// and returns its result in R11. Preserves the registers that hold a call's
/// arguments, and the number of vector registers, but not the vector registers.
/// A thread may be cancelled here, asynchronously, hence the unwind tables.
///
/// # Safety
/// Called only at the entry of an export.
#[unsafe(naked)]
pub(crate) unsafe extern "C" fn call_r11() {
    naked_asm!(
        ".cfi_startproc",
        "push rax",
        ".cfi_adjust_cfa_offset 8",
        "push rdi",
        ".cfi_adjust_cfa_offset 8",
        "push rsi",
        ".cfi_adjust_cfa_offset 8",
        "push rdx",
        ".cfi_adjust_cfa_offset 8",
        "push rcx",
        ".cfi_adjust_cfa_offset 8",
        "push r8",
        ".cfi_adjust_cfa_offset 8",
        "push r9",
        ".cfi_adjust_cfa_offset 8",
        "sub rsp, 8",
        ".cfi_adjust_cfa_offset 8",
        "call r11",
        "mov r11, rax",
        "add rsp, 8",
        ".cfi_adjust_cfa_offset -8",
        "pop r9",
        ".cfi_adjust_cfa_offset -8",
        "pop r8",
        ".cfi_adjust_cfa_offset -8",
        "pop rcx",
        ".cfi_adjust_cfa_offset -8",
        "pop rdx",
        ".cfi_adjust_cfa_offset -8",
        "pop rsi",
        ".cfi_adjust_cfa_offset -8",
        "pop rdi",
        ".cfi_adjust_cfa_offset -8",
        "pop rax",
        ".cfi_adjust_cfa_offset -8",
        "ret",
        ".cfi_endproc",
    )
}

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
            "cmp rdi, 512",
            "jae 2f",
            "lea r11, [rip + {watched}]",
            "bt qword ptr [r11], rdi",
            "jc 3f",
            "2: mov r11, qword ptr [rip + {found} + 8 * {index}]",
            "test r11, r11",
            "jz 4f",
            "jmp r11",
            "3: lea r11, [rip + {route}]",
            "jmp 5f",
            "4: lea r11, [rip + {original}]",
            "5: call {call_r11}",
            "jmp r11",
            ".cfi_endproc",
            watched = sym $watched,
            found = sym $found,
            index = const $index,
            original = sym $original,
            route = sym $route,
            call_r11 = sym $crate::arch::x86_64::linux::call_r11,
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
            "cmp edi, {except}",
            "je {slow_path}",
            "mov r11, qword ptr [rip + {found} + 8 * {index}]",
            "test r11, r11",
            "jz {slow_path}",
            "jmp r11",
            except = const $except,
            slow_path = sym $slow_path,
            found = sym $found,
            index = const $index,
        )
    };
}
pub(crate) use jump_unless;

/// The body of a thread's first function. Calls `$begin` with its argument,
/// which returns a function and an argument, a pair of words in RAX and RDX.
/// Jumps to that function with that argument.
macro_rules! begin_and_jump {
    ($begin:path) => {
        core::arch::naked_asm!(
            "sub rsp, 8",
            "call {begin}",
            "add rsp, 8",
            "mov rdi, rdx",
            "jmp rax",
            begin = sym $begin,
        )
    };
}
pub(crate) use begin_and_jump;

/// The body of an export that calls the function at `$route` with its own two
/// arguments. Jumps to `$rest` with them and the result in the third, if the
/// result is not 0 or the word at `$offset` in the first argument's record is
/// less than `$least`. If the first argument is null, jumps to `$without` at
/// once. A thread may be cancelled here, asynchronously, hence the unwind
/// tables.
macro_rules! call_and_compare {
    (
        route = $route:path,
        offset = $offset:expr,
        least = $least:path,
        rest = $rest:path,
        without = $without:path $(,)?
    ) => {
        core::arch::naked_asm!(
            ".cfi_startproc",
            "test rdi, rdi",
            "jz {without}",
            "push rdi",
            ".cfi_adjust_cfa_offset 8",
            "push rsi",
            ".cfi_adjust_cfa_offset 8",
            "sub rsp, 8",
            ".cfi_adjust_cfa_offset 8",
            "call qword ptr [rip + {route}]",
            "mov rdi, qword ptr [rsp + 16]",
            "mov rcx, qword ptr [rip + {least}]",
            "test eax, eax",
            "jnz 2f",
            "cmp qword ptr [rdi + {offset}], rcx",
            "jb 2f",
            "add rsp, 24",
            ".cfi_adjust_cfa_offset -24",
            "ret",
            ".cfi_adjust_cfa_offset 24",
            "2: mov rsi, qword ptr [rsp + 8]",
            "mov edx, eax",
            "add rsp, 24",
            ".cfi_adjust_cfa_offset -24",
            "jmp {rest}",
            ".cfi_endproc",
            route = sym $route,
            offset = const $offset,
            least = sym $least,
            rest = sym $rest,
            without = sym $without,
        )
    };
}
pub(crate) use call_and_compare;

/// The body of a function that calls `$function` with its own arguments, and
/// that may be called with a stack pointer that is not aligned as the ABI
/// requires.
macro_rules! align_and_call {
    ($function:path) => {
        core::arch::naked_asm!(
            "push rbp",
            "mov rbp, rsp",
            "and rsp, -16",
            "call {function}",
            "leave",
            "ret",
            function = sym $function,
        )
    };
}
pub(crate) use align_and_call;
