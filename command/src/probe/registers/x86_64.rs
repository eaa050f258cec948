//! The vector registers of x86-64, around a signal.

use std::arch::asm;

use nix::unistd::{getpid, gettid};

use super::Value;

/// Turns of the loops around the signal, in which the process can be preempted. QEMU's
/// emulation interrupts only at branches.
const TURNS: u64 = 100;

/// Whether there are such registers; if not, why.
pub fn are_there() -> Result<(), String> {
    if is_x86_feature_detected!("avx") {
        Ok(())
    } else {
        Err("this processor or kernel has no AVX".to_owned())
    }
}

/// Keeps `value` in the registers for so many turns of a loop.
pub fn keep_in_registers(value: &[u8; 32], turns: u64) {
    // SAFETY: reads 32 bytes of `value`. AVX is there.
    unsafe {
        asm!(
            "vmovdqu ymm0, [r12]",
            "vmovdqa ymm3, ymm0",
            "vmovdqa ymm7, ymm0",
            "2: dec r13",
            "jnz 2b",
            in("r12") value,
            inout("r13") turns => _,
            out("xmm0") _, out("xmm3") _, out("xmm7") _,
            options(nostack, readonly),
        );
    }
}

/// Takes one signal with known values in the vector registers. Returns the value and what the
/// registers held afterwards, if that differs. One asm block fills the registers, sends the signal
/// and compares, so that no other code runs in between.
pub fn pass(serial: u8) -> Option<(Value, [Value; 3])> {
    let pid = getpid().as_raw();
    let mut value: Value = std::array::from_fn(|i| (i as u8).wrapping_mul(7).wrapping_add(serial));
    // A different value in each process.
    value[..4].copy_from_slice(&pid.to_le_bytes());
    let mut found = [[0_u8; 32]; 3];
    let differs: u64;
    // SAFETY: reads 32 bytes of `value` and writes the 96 of `found`; sends a signal to
    // this thread, whose handler returns. AVX is available. Any vector register may have
    // been lost, so all are declared overwritten, and so are the registers that a system
    // call or the loops change.
    unsafe {
        asm!(
            "vmovdqu ymm0, [r12]",
            "vmovdqa ymm3, ymm0",
            "vmovdqa ymm7, ymm0",
            "mov rcx, r14",
            "2: dec rcx",
            "jnz 2b",
            "syscall",
            "mov rcx, r14",
            "3: dec rcx",
            "jnz 3b",
            "vmovdqu [r13], ymm0",
            "vmovdqu [r13 + 32], ymm3",
            "vmovdqu [r13 + 64], ymm7",
            // Which bits differ, in any of the three.
            "vxorps ymm0, ymm0, [r12]",
            "vxorps ymm3, ymm3, [r12]",
            "vxorps ymm7, ymm7, [r12]",
            "vorps ymm0, ymm0, ymm3",
            "vorps ymm0, ymm0, ymm7",
            "xor eax, eax",
            "vptest ymm0, ymm0",
            "setnz al",
            "vzeroupper",
            in("r12") &raw const value,
            in("r13") &raw mut found,
            in("r14") TURNS,
            inlateout("rax") libc::SYS_tgkill as u64 => differs,
            in("rdi") pid,
            in("rsi") gettid().as_raw(),
            in("rdx") libc::SIGUSR1,
            clobber_abi("sysv64"),
            options(nostack),
        );
    }
    (differs != 0).then_some((value, found))
}
