//! How deep is a signal frame really, and does the kernel say so?

use std::ffi::{c_int, c_void};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use nix::errno::Errno;
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, raise, sigaction};
use serde::Serialize;

use super::children::{Children, shared};

/// Room for the largest known frame, several times.
const STACK: usize = 256 * 1024;

/// The result.
#[derive(Default, Serialize)]
pub struct Room {
    /// Bytes from the stack's end to the far end of a frame.
    pub depth: usize,
    /// What the kernel says that a frame needs: `AT_MINSIGSTKSZ`. Without it, what sigward computes
    /// from the processor.
    pub told: usize,
    /// Whether the kernel says it.
    pub by_kernel: bool,
    /// Why it was not measured.
    pub trouble: Option<String>,
}

impl Room {
    /// Whether a stack of the size that is told is too small for a frame.
    pub fn is_too_small(&self) -> bool {
        self.trouble.is_none() && self.depth > self.told
    }
}

/// The lowest address that belongs to the frame.
static LOWEST: AtomicUsize = AtomicUsize::new(0);

extern "C" fn note_frame(_: c_int, info: *mut libc::siginfo_t, context: *mut c_void) {
    // x86 writes a return address below; other kernels begin with one of the two.
    let below = if cfg!(target_arch = "x86_64") { size_of::<usize>() } else { 0 };
    LOWEST.store((info as usize).min(context as usize - below), Relaxed);
}

/// Takes a signal on a roomy alternate stack, in a child process.
pub fn measure() -> Room {
    let mut room = Room::default();
    // SAFETY: a plain query; 0 if the kernel does not say.
    room.told = unsafe { libc::getauxval(libc::AT_MINSIGSTKSZ) } as usize;
    room.by_kernel = room.told > 0;
    if !room.by_kernel {
        room.told = sigward::arch::largest_frame();
    }
    let measured = shared::<AtomicUsize>().and_then(|depth| {
        let mut child = Children::new(std::time::Duration::ZERO);
        child.start(|| take_signal(depth))?;
        child.finish(|| std::thread::sleep(std::time::Duration::from_millis(1)))?;
        Ok(depth.load(Relaxed))
    });
    match measured {
        Ok(depth) => room.depth = depth,
        Err(error) => room.trouble = Some(error),
    }
    room
}

/// From here on frames of this thread hold vector registers, where only those of their users do.
fn use_vectors() {
    #[cfg(target_arch = "riscv64")]
    {
        // SAFETY: a plain query.
        let features = unsafe { libc::getauxval(libc::AT_HWCAP) };
        if features & 1 << (b'V' - b'A') != 0 {
            // SAFETY: the processor has this register.
            unsafe { std::arch::asm!("csrr {}, vlenb", out(reg) _, options(nomem, nostack)) };
        }
    }
}

fn take_signal(depth: &AtomicUsize) -> Result<(), Errno> {
    let mut memory = vec![0_u8; STACK];
    let start = memory.as_mut_ptr();
    let alternate = libc::stack_t { ss_sp: start.cast(), ss_flags: 0, ss_size: STACK };
    // SAFETY: a live structure; its memory lives until this process ends.
    Errno::result(unsafe { libc::sigaltstack(&raw const alternate, std::ptr::null_mut()) })?;
    std::mem::forget(memory);
    let flags = SaFlags::SA_ONSTACK;
    let action = SigAction::new(SigHandler::SigAction(note_frame), flags, SigSet::empty());
    // SAFETY: the handler stores to an atomic.
    unsafe { sigaction(Signal::SIGUSR2, &action)? };
    use_vectors();
    raise(Signal::SIGUSR2)?;
    let lowest = LOWEST.load(Relaxed);
    let end = start as usize + STACK;
    if !(start as usize..end).contains(&lowest) {
        return Err(Errno::ERANGE); // what the handler was given is not on its stack
    }
    depth.store(end - lowest, Relaxed);
    Ok(())
}
