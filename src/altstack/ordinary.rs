//! Ordinary stacks: a handler without `SA_ONSTACK` gets its frame on the
//! thread's own stack, below all that was touched so far.

use once_cell::race::OnceNonZeroUsize;

use core::num::NonZeroUsize;

use super::ladder::{Rung, Stack};
use super::registry::{Place, Wanted};
use super::{adopt, frame};
use crate::bounds::{self, Attributes};
use crate::sys::page::{self, Pages};
use crate::sys::signals::{self, Blocked};
use crate::sys::{call, startup};

/// How deep a thread may have gone, in bytes, when a signal finds it, for its
/// frame to lie in the window that is held by default.
pub const DEPTH: usize = 32 << 10;

/// The most of one stack that is held, in bytes: to hold a stack in full
/// means to use its memory, and one may be as large as the machine.
pub const MOST: usize = 64 << 20;

/// Bytes that are held below a thread's start; unset while none are.
static EXTENT: OnceNonZeroUsize = OnceNonZeroUsize::new();

/// Holds ordinary stacks from now on: `bytes` below the start of each thread,
/// or as many as its depth and a frame need with `None`.
pub fn take_charge(bytes: Option<usize>) {
    let bytes = bytes.unwrap_or_else(|| frame::window().saturating_add(DEPTH)).min(MOST);
    if let Some(bytes) = NonZeroUsize::new(bytes) {
        let _ = EXTENT.set(bytes);
    }
}

/// Whether ordinary stacks are held. Async-signal-safe.
#[must_use]
pub fn wanted() -> bool {
    EXTENT.get().is_some() && super::on_duty()
}

/// The lowest address that is wished for below `here`.
fn wish(here: usize) -> usize {
    here.saturating_sub(EXTENT.get().map_or(0, NonZeroUsize::get))
}

/// The calling thread has just started on a stack with `attributes`.
/// Async-signal-safe.
pub fn adopt_thread(attributes: Attributes) {
    let here = startup::stack_pointer();
    let bounds = bounds::of_thread(attributes, startup::thread_pointer());
    hold(wish(here).max(bounds.lowest), here, Rung::Frame);
}

/// Where the main thread's stack may lie; it ends at `end`.
#[must_use]
pub fn main_stack(end: usize) -> Stack {
    let limit = call::getrlimit(libc::RLIMIT_STACK).ok().map(|limit| limit.rlim_cur);
    let limit = limit.filter(|&bytes| bytes != libc::RLIM_INFINITY).map(|bytes| bytes as usize);
    let lowest = bounds::of_main(end, limit).lowest;
    Stack { base: lowest, size: end.saturating_sub(lowest) }
}

/// The main thread, at load: grows its stack as far as it is to be held, and
/// touches that. It is never locked, as its limit may yet be raised: see
/// [`super::Policy::main`].
pub fn adopt_main(stack: Stack) {
    let here = startup::stack_pointer();
    let reached = grown_to(here, wish(here).max(stack.base));
    hold(reached, stack.top().unwrap_or(here), Rung::Touch);
}

/// Makes the stack grow from `here` down to `lowest`, page by page; returns
/// how far it went. The kernel writes, so that a refusal is no signal.
fn grown_to(here: usize, lowest: usize) -> usize {
    let below = Pages::around(lowest, here.saturating_sub(page::SIZE));
    let mut reached = here / page::SIZE * page::SIZE;
    for number in below.numbers().rev() {
        let address = number.wrapping_mul(page::SIZE);
        // Far below all frames of ours, where contents mean nothing.
        if !signals::write_mask(address) {
            break;
        }
        reached = address;
    }
    reached
}

/// Holds the calling thread's stack from `base` up to `top`.
fn hold(base: usize, top: usize, start: Rung) {
    let Some(size) = top.checked_sub(base).filter(|&size| size > 0) else { return };
    let stack = Stack { base, size };
    let blocked = Blocked::all();
    let adopted = adopt(&blocked, call::gettid(), Place::Ordinary, |policy| {
        let start = match policy.start {
            // Alternate stacks are to be left alone; this is not one.
            Rung::Report => start,
            asked => start.max(asked),
        };
        Wanted { stack, window: size, start, disarms: false }
    });
    drop(blocked);
    if let Some(adopted) = adopted {
        super::tell(&adopted);
    }
}
