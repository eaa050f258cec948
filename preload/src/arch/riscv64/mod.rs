//! 64-bit RISC-V: functions that leave no frame behind, and what the link
//! needs.
//!
//! A call's arguments are in A0 to A7. T0 to T6 are free at a function's entry.

use core::arch::{global_asm, naked_asm};

/// For an export that is a bare jump: calls the function at T1, a `fn(a, b, c)
/// -> usize`, with the export's own arguments, and returns its result in T1.
/// Preserves the registers that hold a call's arguments, but not those of
/// floating point. A thread may be cancelled here, asynchronously, hence the
/// unwind tables; to them, the export's caller has called this.
///
/// # Safety
/// Called only at the entry of an export, by T0, with the export's own return
/// address still in RA.
#[unsafe(naked)]
pub(crate) unsafe extern "C" fn call_t1() {
    naked_asm!(
        ".cfi_startproc",
        "addi sp, sp, -80",
        ".cfi_def_cfa_offset 80",
        "sd ra, 72(sp)",
        ".cfi_offset ra, -8",
        "sd t0, 64(sp)",
        "sd a0, 0(sp)",
        "sd a1, 8(sp)",
        "sd a2, 16(sp)",
        "sd a3, 24(sp)",
        "sd a4, 32(sp)",
        "sd a5, 40(sp)",
        "sd a6, 48(sp)",
        "sd a7, 56(sp)",
        "jalr t1",
        "mv t1, a0",
        "ld a0, 0(sp)",
        "ld a1, 8(sp)",
        "ld a2, 16(sp)",
        "ld a3, 24(sp)",
        "ld a4, 32(sp)",
        "ld a5, 40(sp)",
        "ld a6, 48(sp)",
        "ld a7, 56(sp)",
        "ld t0, 64(sp)",
        "ld ra, 72(sp)",
        "addi sp, sp, 80",
        ".cfi_def_cfa_offset 0",
        ".cfi_restore ra",
        "jr t0",
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
            "li t1, 512",
            "bgeu a0, t1, 2f",
            "lla t1, {watched}",
            "srli t2, a0, 6",
            "slli t2, t2, 3",
            "add t1, t1, t2",
            "ld t1, 0(t1)",
            // The lower six bits say how far.
            "srl t1, t1, a0",
            "andi t1, t1, 1",
            "bnez t1, 3f",
            "2: lla t1, {found} + 8 * {index}",
            "ld t1, 0(t1)",
            "beqz t1, 4f",
            "jr t1",
            "3: lla t1, {route}",
            "j 5f",
            "4: lla t1, {original}",
            "5: call t0, {call_t1}",
            "jr t1",
            ".cfi_endproc",
            watched = sym $watched,
            found = sym $found,
            index = const $index,
            original = sym $original,
            route = sym $route,
            call_t1 = sym $crate::arch::riscv64::call_t1,
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
            "sext.w t1, a0",
            "li t2, {except}",
            "beq t1, t2, 2f",
            "lla t1, {found} + 8 * {index}",
            "ld t1, 0(t1)",
            "beqz t1, 2f",
            "jr t1",
            "2: tail {slow_path}",
            except = const $except,
            slow_path = sym $slow_path,
            found = sym $found,
            index = const $index,
        )
    };
}
pub(crate) use jump_unless;

/// The body of a thread's first function. Calls `$begin` with its argument,
/// which returns a function and an argument, a pair of words in A0 and A1.
/// Jumps to that function with that argument.
macro_rules! begin_and_jump {
    ($begin:path) => {
        core::arch::naked_asm!(
            "addi sp, sp, -16",
            "sd ra, 8(sp)",
            "call {begin}",
            "ld ra, 8(sp)",
            "addi sp, sp, 16",
            "mv t1, a0",
            "mv a0, a1",
            "jr t1",
            begin = sym $begin,
        )
    };
}
pub(crate) use begin_and_jump;

/// The body of a function that calls `$function` with its own arguments. Every
/// caller keeps the stack pointer aligned.
macro_rules! align_and_call {
    ($function:path) => {
        core::arch::naked_asm!("tail {function}", function = sym $function)
    };
}
pub(crate) use align_and_call;

/// The address to which the loader bound the weak `$name`, or 0.
macro_rules! bound_address {
    ($name:ident) => {{
        let address: usize;
        core::arch::asm!(
            concat!("lga {}, ", stringify!($name)),
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
    "rust_eh_personality: unimp"
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
    "sub t0, a0, a1",
    "bltu t0, a2, 4f",
    "sigward_hidden memcpy",
    "mv t0, a0",
    "add a2, a2, a1",
    "2: beq a1, a2, 3f",
    "lbu t1, 0(a1)",
    "sb t1, 0(t0)",
    "addi a1, a1, 1",
    "addi t0, t0, 1",
    "j 2b",
    "3: ret",
    // From the end: the target begins within the source.
    "4: beqz a2, 3b",
    "addi a2, a2, -1",
    "add t0, a1, a2",
    "lbu t1, 0(t0)",
    "add t0, a0, a2",
    "sb t1, 0(t0)",
    "j 4b",
    "sigward_hidden memset",
    "mv t0, a0",
    "add a2, a2, a0",
    "5: beq t0, a2, 3b",
    "sb a1, 0(t0)",
    "addi t0, t0, 1",
    "j 5b",
    "sigward_hidden bcmp",
    "sigward_hidden memcmp",
    "mv t0, a0",
    "add a2, a2, a0",
    "li a0, 0",
    "6: beq t0, a2, 3b",
    "lbu t1, 0(t0)",
    "lbu t2, 0(a1)",
    "addi t0, t0, 1",
    "addi a1, a1, 1",
    "sub a0, t1, t2",
    "beqz a0, 6b",
    "ret",
    "sigward_hidden strlen",
    "mv t0, a0",
    "7: lbu t1, 0(t0)",
    "addi t0, t0, 1",
    "bnez t1, 7b",
    "sub a0, t0, a0",
    "addi a0, a0, -1",
    "ret",
    ".purgem sigward_hidden",
);
