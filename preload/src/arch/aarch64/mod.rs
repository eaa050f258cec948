//! 64-bit ARM: functions that leave no frame behind, and what the link needs.
//!
//! A call's arguments are in X0 to X7, and X8 may say where its result goes. X9
//! to X17 are free at a function's entry.

use core::arch::{global_asm, naked_asm};

/// For an export that is a bare jump: calls the function at X16, a `fn(a, b, c)
/// -> usize`, with the export's own arguments, and returns its result in X16.
/// Preserves the registers that hold a call's arguments, but not the vector
/// registers. A thread may be cancelled here, asynchronously, hence the unwind
/// tables.
///
/// # Safety
/// Called only at the entry of an export, whose return address is in X17.
#[unsafe(naked)]
pub(crate) unsafe extern "C" fn call_x16() {
    naked_asm!(
        ".cfi_startproc",
        "stp x29, x30, [sp, -96]!",
        ".cfi_def_cfa_offset 96",
        ".cfi_offset x29, -96",
        ".cfi_offset x30, -88",
        "stp x0, x1, [sp, 16]",
        "stp x2, x3, [sp, 32]",
        "stp x4, x5, [sp, 48]",
        "stp x6, x7, [sp, 64]",
        "stp x8, x17, [sp, 80]",
        "mov x29, sp",
        "blr x16",
        "mov x16, x0",
        "ldp x0, x1, [sp, 16]",
        "ldp x2, x3, [sp, 32]",
        "ldp x4, x5, [sp, 48]",
        "ldp x6, x7, [sp, 64]",
        "ldp x8, x17, [sp, 80]",
        "ldp x29, x30, [sp], 96",
        ".cfi_def_cfa_offset 0",
        ".cfi_restore x29",
        ".cfi_restore x30",
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
            "cmp x0, 512",
            "b.hs 2f",
            "adrp x16, {watched}",
            "add x16, x16, :lo12:{watched}",
            "lsr x17, x0, 6",
            "ldr x17, [x16, x17, lsl 3]",
            "lsr x17, x17, x0",
            "tbnz x17, 0, 3f",
            "2: adrp x16, {found} + 8 * {index}",
            "ldr x16, [x16, :lo12:{found} + 8 * {index}]",
            "cbz x16, 4f",
            "br x16",
            "3: adrp x16, {route}",
            "add x16, x16, :lo12:{route}",
            "b 5f",
            "4: adrp x16, {original}",
            "add x16, x16, :lo12:{original}",
            "5: mov x17, x30",
            ".cfi_register x30, x17",
            "bl {call_x16}",
            "mov x30, x17",
            ".cfi_restore x30",
            "br x16",
            ".cfi_endproc",
            watched = sym $watched,
            found = sym $found,
            index = const $index,
            original = sym $original,
            route = sym $route,
            call_x16 = sym $crate::arch::aarch64::call_x16,
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
            "cmp w0, {except}",
            "b.eq 2f",
            "adrp x16, {found} + 8 * {index}",
            "ldr x16, [x16, :lo12:{found} + 8 * {index}]",
            "cbz x16, 2f",
            "br x16",
            "2: b {slow_path}",
            except = const $except,
            slow_path = sym $slow_path,
            found = sym $found,
            index = const $index,
        )
    };
}
pub(crate) use jump_unless;

/// The body of a thread's first function. Calls `$begin` with its argument,
/// which returns a function and an argument, a pair of words in X0 and X1.
/// Jumps to that function with that argument.
macro_rules! begin_and_jump {
    ($begin:path) => {
        core::arch::naked_asm!(
            "stp x29, x30, [sp, -16]!",
            "mov x29, sp",
            "bl {begin}",
            "ldp x29, x30, [sp], 16",
            "mov x16, x0",
            "mov x0, x1",
            "br x16",
            begin = sym $begin,
        )
    };
}
pub(crate) use begin_and_jump;

/// The body of a function that calls `$function` with its own arguments. The
/// processor itself demands that the stack pointer is always aligned.
macro_rules! align_and_call {
    ($function:path) => {
        core::arch::naked_asm!("b {function}", function = sym $function)
    };
}
pub(crate) use align_and_call;

/// The address to which the loader bound the weak `$name`, or 0.
macro_rules! bound_address {
    ($name:ident) => {{
        let address: usize;
        core::arch::asm!(
            concat!("adrp {0}, :got:", stringify!($name)),
            concat!("ldr {0}, [{0}, :got_lo12:", stringify!($name), "]"),
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
    "rust_eh_personality: udf 0"
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
    "sigward_hidden memmove",
    "sub x3, x0, x1",
    "cmp x3, x2",
    "b.lo 4f",
    "sigward_hidden memcpy",
    "mov x3, 0",
    "2: cmp x3, x2",
    "b.eq 3f",
    "ldrb w4, [x1, x3]",
    "strb w4, [x0, x3]",
    "add x3, x3, 1",
    "b 2b",
    "3: ret",
    // From the end: the target begins within the source.
    "4: cbz x2, 3b",
    "sub x2, x2, 1",
    "ldrb w4, [x1, x2]",
    "strb w4, [x0, x2]",
    "b 4b",
    "sigward_hidden memset",
    "cbz x2, 3b",
    "sub x2, x2, 1",
    "strb w1, [x0, x2]",
    "b memset",
    "sigward_hidden bcmp",
    "sigward_hidden memcmp",
    "mov x3, x0",
    "mov w0, 0",
    "5: cbz x2, 3b",
    "ldrb w4, [x3], 1",
    "ldrb w5, [x1], 1",
    "sub x2, x2, 1",
    "subs w0, w4, w5",
    "b.eq 5b",
    "ret",
    "sigward_hidden strlen",
    "mov x1, x0",
    "6: ldrb w2, [x1], 1",
    "cbnz w2, 6b",
    "sub x0, x1, x0",
    "sub x0, x0, 1",
    "ret",
    ".purgem sigward_hidden",
);
