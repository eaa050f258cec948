//! Which signal used an alternate stack, as far as that can be told afterwards.
//!
//! Certain is only a signal that alone had a handler there. Else the last one is
//! known: the first frame on a stack, at its top, stays there when its handler
//! has returned, until another takes its place. The kernel writes the number
//! into it only for handlers with `SA_SIGINFO`, so all must have that. While a
//! handler runs, the signals that are blocked tell.

use core::ffi::c_int;
use core::sync::atomic::{AtomicU64, Ordering};

use super::overflow;
use crate::arch::{FRAME_SIGNAL, FRAME_STACK};
use crate::os::call;
use crate::os::signals::{self, Mask};
use crate::residency::charge::OWNER;
use crate::residency::ladder::Stack;
pub(super) use crate::state::deepest::Signal;

/// Signals whose handlers may have run on alternate stacks.
static HANDLED: AtomicU64 = AtomicU64::new(0);

/// Those that had one without `SA_SIGINFO`.
static PLAIN: AtomicU64 = AtomicU64::new(0);

/// Those that had one with `SA_NODEFER`, which does not block them.
static UNBLOCKED: AtomicU64 = AtomicU64::new(0);

const LAST: c_int = 64;

/// The program sets a handler of `signal` that runs on alternate stacks.
pub(super) fn handled(signal: c_int, flags: c_int) {
    if (1..=LAST).contains(&signal) {
        let bit = signals::bit(signal);
        HANDLED.fetch_or(bit, Ordering::Relaxed);
        if flags & libc::SA_SIGINFO == 0 {
            PLAIN.fetch_or(bit, Ordering::Relaxed);
        }
        if flags & libc::SA_NODEFER != 0 {
            UNBLOCKED.fetch_or(bit, Ordering::Relaxed);
        }
    }
}

/// Looks for handlers that were set past libc, but for libc's own. Returns all
/// signals that have had one.
fn all() -> Mask {
    for signal in (1..=LAST).filter(|signal| !(32..=34).contains(signal)) {
        let Ok(action) = signals::disposition(signal) else { continue };
        // Ours, which only tells of an overflow, does not count.
        let handler = overflow::shown(action.handler);
        let is_handler = handler != libc::SIG_DFL && handler != libc::SIG_IGN;
        let flags = action.flags as c_int;
        if is_handler && flags & libc::SA_ONSTACK != 0 {
            handled(signal, flags);
        }
    }
    HANDLED.load(Ordering::Relaxed)
}

/// The signals of which one has its handler running, the latest of those on an
/// alternate stack, and whether that is certain: it is if only one has had such
/// a handler. Else it follows from what is `blocked`, as the kernel blocks a
/// signal while its handler runs; but a handler may unblock it. Makes some 60
/// system calls. Async-signal-safe.
pub(super) fn running(blocked: Mask) -> (Mask, bool) {
    let all = all();
    if all.is_power_of_two() {
        return (all, true);
    }
    (all & (blocked | UNBLOCKED.load(Ordering::Relaxed)), false)
}

/// What can be told about `stack`, which was used. It may be another thread's,
/// who may unmap it meanwhile. Makes some 150 system calls.
pub(super) fn of(stack: Stack) -> Signal {
    let all = all();
    if all.is_power_of_two() {
        return Signal::new(all.trailing_zeros() as c_int + 1, true);
    }
    let is_told = PLAIN.load(Ordering::Relaxed) == 0;
    let last = is_told.then(|| last(stack)).flatten();
    last.map_or(Signal::UNKNOWN, |last| Signal::new(last, false))
}

/// The signal of the frame at the top of `stack`.
fn last(stack: Stack) -> Option<c_int> {
    /// More than any frame.
    const NEAR: usize = 16 << 10;
    const WORD: usize = size_of::<usize>();
    /// Possible places of a frame's lowest byte that are looked at together.
    const AT_ONCE: usize = 192;
    /// Both values are within so many bytes.
    const END: usize = FRAME_SIGNAL + FRAME_STACK + size_of::<libc::stack_t>();
    let mut bytes = [0; AT_ONCE + END];
    let top = stack.top()?;
    let lowest = stack.base.max(top.saturating_sub(NEAR));
    let mut at = top.checked_sub(bytes.len())? & !(WORD - 1);
    loop {
        if call::read_own(OWNER.pid(), at, &mut bytes).is_err() {
            return None;
        }
        let places = (0..AT_ONCE).step_by(WORD).rev();
        let mut found = places.filter_map(|place| bytes.get(place..place + END));
        if let Some(signal) = found.find_map(|frame| signal(frame, stack)) {
            return Some(signal);
        }
        at = at.checked_sub(AT_ONCE).filter(|at| *at >= lowest)?;
    }
}

/// The signal of what may be a frame, if `stack` was set when it was written.
fn signal(frame: &[u8], stack: Stack) -> Option<c_int> {
    let was_set = frame.get(FRAME_STACK..)?.first_chunk::<{ size_of::<libc::stack_t>() }>()?;
    let signal = c_int::from_ne_bytes(*frame.get(FRAME_SIGNAL..)?.first_chunk()?);
    // SAFETY: plain C data, for which all bytes are valid.
    let was_set: libc::stack_t = unsafe { core::mem::transmute_copy(was_set) };
    (Stack::of(&was_set) == stack && (1..=LAST).contains(&signal)).then_some(signal)
}
