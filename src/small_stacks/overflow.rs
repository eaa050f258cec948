//! With `SIGWARD_DEPTH`: one line before the program dies because a handler
//! overflowed a stack of ours.
//!
//! When a handler runs into the guard, its stack pointer is below the stack, so
//! the kernel starts the next handler at the stack's top. Where the program has
//! the default action for SIGSEGV, we put a handler there that writes the line,
//! restores that action and returns: the program dies at the same instruction.
//! It is not seen by the program, and gone as soon as the program sets an
//! action of its own. The overflowed handler's own frame is overwritten by
//! ours, so its signal is looked for among those that are blocked.

use core::ffi::{c_int, c_void};
use core::fmt::Write;
use core::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use super::onstack::Action;
use super::{depth, last_signal};
use crate::config::base_name;
use crate::os::call;
use crate::os::line::Line;
use crate::os::signals::{self, KernelAction, Mask};
use crate::residency::{frame, on_duty};

/// Whether the handler was installed.
static WATCHING: AtomicBool = AtomicBool::new(false);

/// The program's path, as it was executed: address and length.
static PROGRAM: [AtomicUsize; 2] = [const { AtomicUsize::new(0) }; 2];

/// Installs the handler by `install`, libc's sigaction(2), if the program has
/// the default action. `program` is its path. Call this once, at load.
pub fn watch(program: &'static [u8], install: impl FnOnce(c_int, &libc::sigaction) -> c_int) {
    let default = |action: KernelAction| action.handler == libc::SIG_DFL;
    if !signals::disposition(libc::SIGSEGV).is_ok_and(default) {
        return;
    }
    for (place, value) in PROGRAM.iter().zip([program.as_ptr() as usize, program.len()]) {
        place.store(value, Ordering::Relaxed);
    }
    // SAFETY: plain C data.
    let mut action: libc::sigaction = unsafe { core::mem::zeroed() };
    action.sa_sigaction = address();
    // SA_RESTART, as a handler of the program's would be taken for one that
    // interrupts waits.
    action.sa_flags = libc::SA_ONSTACK | libc::SA_SIGINFO | libc::SA_RESTART;
    WATCHING.store(install(libc::SIGSEGV, &action) == 0, Ordering::Relaxed);
}

fn address() -> usize {
    on_fault as extern "C" fn(c_int, *mut libc::siginfo_t, *mut c_void) as usize
}

/// What the program sees of the action in `handler`.
#[inline]
#[must_use]
pub fn shown(handler: usize) -> usize {
    if handler == address() { libc::SIG_DFL } else { handler }
}

/// Hides our handler in what sigaction(2) has written to `old`.
///
/// # Safety
/// `old` is null or was just written, at any alignment.
#[inline]
pub unsafe fn hide<A: Action>(signal: c_int, old: *mut A) {
    if signal != libc::SIGSEGV || old.is_null() || !WATCHING.load(Ordering::Relaxed) {
        return;
    }
    // SAFETY: the caller's contract.
    if unsafe { old.read_unaligned() }.handler() == address() {
        // SAFETY: as above; zeroes are what the kernel reports of the default.
        unsafe { old.cast::<u8>().write_bytes(0, size_of::<A>()) };
    }
}

extern "C" fn on_fault(signal: c_int, info: *mut libc::siginfo_t, context: *mut c_void) {
    // SAFETY: the kernel's.
    let (code, address) = unsafe { ((*info).si_code, (*info).si_addr() as usize) };
    let from_fault = code > 0;
    if from_fault
        && on_duty()
        && let Some((size, given)) = depth::overflowed(address)
    {
        let context = context.cast::<libc::ucontext_t>();
        // SAFETY: the kernel's, with its set of signals.
        let blocked = unsafe { (&raw const (*context).uc_sigmask).cast::<Mask>().read_unaligned() };
        tell(size, given, last_signal::running(blocked));
    }
    // SAFETY: the default action.
    let _ = unsafe { signals::dispose(signal, &KernelAction::default()) };
    if !from_fault {
        // It was sent, and would not come again by itself.
        let (pid, tid) = (call::getpid() as usize, call::gettid() as usize);
        let arguments = [pid, tid, signal as usize, info as usize];
        // SAFETY: the kernel's own information, sent to ourselves.
        let _ = unsafe { call::raw(libc::SYS_rt_tgsigqueueinfo, arguments) };
    }
}

fn tell(size: usize, given: bool, running: (Mask, bool)) {
    let [start, length] =
        [0, 1].map(|at| PROGRAM.get(at).map_or(0, |it| it.load(Ordering::Relaxed)));
    let program: &[u8] = if start == 0 {
        b""
    } else {
        // SAFETY: the kernel's copy of the path, which stays where it is.
        unsafe { core::slice::from_raw_parts(start as *const u8, length) }
    };
    let mut line = Line::default();
    // Writing to a `Line` cannot fail.
    let _ = write!(
        line,
        "sigward[{}]: {}: thread {}: ",
        call::getpid(),
        base_name(program).escape_ascii(),
        call::gettid(),
    );
    let _ = tell_signals(&mut line, running);
    let _ = write!(
        line,
        " overflowed its alternate stack: {size} bytes are usable, more are needed, {} of them for \
         the frame. Remedy: ",
        frame::size(),
    );
    let _ = if given {
        write!(line, "SIGWARD_SIZE_ROOM={}K, or register a larger stack", size / 512)
    } else {
        line.write_str("register a larger stack")
    };
    line.emit();
}

/// Whose handler it is: one of those of `signals`.
fn tell_signals(line: &mut Line, (signals, certain): (Mask, bool)) -> core::fmt::Result {
    /// With more, none is worth naming.
    const MOST: u32 = 8;
    let probably = if certain { "" } else { "probably " };
    match signals.count_ones() {
        1 => write!(line, "{probably}the handler of signal {}", signals.trailing_zeros() + 1),
        2..=MOST => {
            write!(line, "{probably}the handler of one of the signals")?;
            let set = |at: &u32| signals >> at & 1 != 0;
            for (at, place) in (0..Mask::BITS).filter(set).enumerate() {
                write!(line, "{} {}", if at == 0 { "" } else { "," }, place + 1)?;
            }
            Ok(())
        }
        _ => line.write_str("a signal handler"),
    }
}
