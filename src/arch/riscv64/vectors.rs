//! How long the vector registers are.
//!
//! Only the register `vlenb` says it. To read it is to use vectors: from then
//! on the kernel writes them into each frame of that thread, and a stack that
//! was large enough may be too small. So a child reads it, once in a process.

use core::arch::naked_asm;
use core::ffi::{c_int, c_ulong};
use core::sync::atomic::{AtomicUsize, Ordering};

use super::linux::{syscall1, syscall4};

/// What is known of them: the length in bytes, or one of the following.
static KNOWN: AtomicUsize = AtomicUsize::new(NONE);
/// There are none, as far as we were told.
const NONE: usize = 0;
/// There are some. No length is odd.
const SOME: usize = 1;

/// What the kernel says that the processor has: `AT_HWCAP`. Call this once, at
/// load.
pub fn learn(features: impl FnOnce() -> c_ulong) {
    /// The bit of a standard extension is that of its letter.
    const VECTORS: c_ulong = 1 << (b'V' - b'A');
    if features() & VECTORS != 0 {
        KNOWN.store(SOME, Ordering::Relaxed);
    }
}

/// The bytes of one of the vector registers; 0 if there are none, or if this
/// thread may not use them. Async-signal-safe, if only just: the first time it
/// makes a child, which takes no signal, and waits for it.
pub fn length() -> usize {
    let known = KNOWN.load(Ordering::Relaxed);
    if known != SOME {
        return known;
    }
    let length = if allowed() { by_child().unwrap_or(NONE) } else { NONE };
    KNOWN.store(length, Ordering::Relaxed);
    length
}

/// Whether this thread may use them. Old kernels and emulators do not know the
/// question.
fn allowed() -> bool {
    const PR_RISCV_V_GET_CONTROL: usize = 70;
    /// The bits that are about this thread, and what they say then.
    const CURRENT: isize = 0b11;
    const OFF: isize = 1;
    // SAFETY: this only asks.
    let said = unsafe { syscall1(libc::SYS_prctl, PR_RISCV_V_GET_CONTROL) };
    said < 0 || said & CURRENT != OFF
}

fn by_child() -> Option<usize> {
    const ILLEGAL: u64 = 1 << (libc::SIGILL - 1);
    let mut before = 0_u64;
    let others = !ILLEGAL;
    let size = size_of_val(&others);
    let mask = |new: *const u64, old: *mut u64| {
        let how = libc::SIG_SETMASK as usize;
        // SAFETY: both are live or null.
        unsafe { syscall4(libc::SYS_rt_sigprocmask, how, new as usize, old as usize, size) }
    };
    // The child shares our memory, so no handler of the program may run in it.
    if mask(&raw const others, &raw mut before) < 0 {
        return None;
    }
    let start = |signal: c_int| {
        // SAFETY: our memory is its own until it ends, without a word to the
        // program; the mask is set.
        unsafe { start_child((libc::CLONE_VM | libc::CLONE_VFORK | signal) as usize) }
    };
    let mut child = start(0);
    if child == -(libc::EINVAL as isize) {
        // qemu-user makes no child that ends without this signal.
        child = start(libc::SIGCHLD);
    }
    let status = if child > 0 { wait_for(child) } else { None };
    mask(&raw const before, core::ptr::null_mut());
    let status = status.filter(|status| libc::WIFEXITED(*status))?;
    let doublings = libc::WEXITSTATUS(status);
    (doublings < 32).then(|| 1 << doublings)
}

/// The status with which it ended.
fn wait_for(child: isize) -> Option<c_int> {
    let mut status = 0;
    loop {
        let (child, to) = (child as usize, &raw mut status as usize);
        // SAFETY: a live destination for the status.
        match unsafe { syscall4(libc::SYS_wait4, child, to, libc::__WALL as usize, 0) } {
            0.. => return Some(status),
            error if error == -(libc::EINTR as isize) => {}
            _ => return None,
        }
    }
}

/// Makes a child that ends with the binary logarithm of the length, or with 255
/// if it may not read it, and returns its number or an error's.
///
/// # Safety
/// `flags` are those of clone(2) for a child that shares our memory until it
/// ends, and nothing else; all signals but SIGILL are blocked.
#[unsafe(naked)]
unsafe extern "C" fn start_child(flags: usize) -> isize {
    // The child has our stack, so it may write only below the pointer: there the
    // kernel puts a frame if `vlenb` cannot be read. Its handlers are its own.
    // clone(2), rt_sigaction(2) of SIGILL, exit_group(2).
    naked_asm!(
        ".cfi_startproc",
        "addi sp, sp, -32",
        ".cfi_def_cfa_offset 32",
        "lla t0, 4f",
        "sd t0, 0(sp)",
        "sd zero, 8(sp)",
        "sd zero, 16(sp)",
        "li a1, 0",
        "li a2, 0",
        "li a3, 0",
        "li a4, 0",
        "li a7, {clone}",
        "ecall",
        "bnez a0, 5f",
        "li a0, {illegal}",
        "mv a1, sp",
        "li a3, 8",
        "li a7, {sigaction}",
        "ecall",
        "csrr a1, vlenb",
        "li a0, -1",
        "2: addi a0, a0, 1",
        "srli a1, a1, 1",
        "bnez a1, 2b",
        "3: li a7, {exit}",
        "ecall",
        "j 3b",
        "4: li a0, 255",
        "j 3b",
        "5: addi sp, sp, 32",
        ".cfi_def_cfa_offset 0",
        "ret",
        ".cfi_endproc",
        clone = const libc::SYS_clone,
        sigaction = const libc::SYS_rt_sigaction,
        exit = const libc::SYS_exit_group,
        illegal = const libc::SIGILL,
    )
}
