//! Defect `altstack-size`: alternate stacks too small for today's frames.
//!
//! Programs contain `SIGSTKSZ` (8192) or `MINSIGSTKSZ` (2048) as constants, but
//! a frame with AVX-512 or AMX state is larger. `SIGWARD_SIZE=report` logs such
//! a stack. `fix` registers a larger stack of ours with a guard page, and shows
//! the program its own when it asks. See `docs/altstack-size.md`.

mod arena;
pub mod depth;
pub mod every_thread;
pub mod onstack;
pub mod overflow;
pub mod permission;

use core::ffi::c_int;
use core::sync::atomic::{AtomicU8, Ordering};

use crate::arch;
use crate::os::call;
use crate::os::signals::Blocked;
use crate::os::user_memory;
pub use crate::plan::Remedy;
use crate::residency::charge::{STATE, State, ours};
use crate::residency::frame;
use crate::residency::ladder::Stack;
use crate::residency::substitutes::{Substitute, Substitutes, give_back, make};
use crate::state::block::BLOCK;
use crate::state::stats;

const REMEDY: &AtomicU8 = &BLOCK.force.remedy;

/// Sets the remedy. Call this once, at load.
pub fn take_charge(remedy: Remedy) {
    REMEDY.store(remedy as u8, Ordering::Relaxed);
}

/// Whether stacks are replaced: one relaxed load.
#[inline]
#[must_use]
pub fn fixing() -> bool {
    REMEDY.load(Ordering::Relaxed) == Remedy::Fix as u8
}

/// Stops replacing stacks. Returns the previous remedy.
pub(crate) fn stand_down() -> Remedy {
    match REMEDY.swap(Remedy::None as u8, Ordering::Relaxed) {
        1 => Remedy::Report,
        2 => Remedy::Fix,
        _ => Remedy::None,
    }
}

/// Bytes for a handler beyond its frame; musl 1.2.6 requires the same.
const HANDLER: usize = 1024;

/// The least size in bytes that the kernel and libc accept. Below it
/// sigaltstack(2) fails with ENOMEM, and we let it.
const LEAST: usize = 2048;

/// Runs `work` on the state if we replace stacks, even if we keep none
/// resident.
fn custody<R>(blocked: &Blocked, work: impl FnOnce(&mut State) -> Option<R>) -> Option<R> {
    if fixing() && ours() { STATE.with(blocked, work).flatten() } else { None }
}

/// Whether `asked` should be reported or replaced.
fn is_too_small(asked: Stack) -> bool {
    let none = REMEDY.load(Ordering::Relaxed) == Remedy::None as u8;
    !none && asked.size >= LEAST && asked.size < needed()
}

/// The least sufficient size, in bytes.
fn needed() -> usize {
    frame::size().saturating_add(HANDLER)
}

/// The program is about to register `asked`: logs it if it is too small.
pub(crate) fn judge(asked: Stack) {
    if is_too_small(asked) && stats::SMALL.count() == 0 {
        let needed = needed();
        log::warn!(
            "an alternate stack of {} bytes is too small for a signal frame of {}. Remedy: \
             SIGWARD_SIZE=fix, or register {needed} bytes",
            asked.size,
            frame::size(),
        );
    }
}

/// The stack to register instead of `asked`, if any.
pub(crate) fn serve(tid: c_int, asked: Stack, blocked: &Blocked) -> Option<Stack> {
    if !fixing() || !is_too_small(asked) {
        return None;
    }
    let (pid, here) = (call::getpid(), arch::stack_pointer());
    // The size that the program asked for, plus room for the frames.
    let size = asked.size.saturating_add(frame::window());
    custody(blocked, |State { substitutes, .. }| {
        substitutes.sweep(|other| call::thread_exists(pid, other));
        let present = substitutes.of.get(tid as usize).map(|it| it.actual);
        let apart = |stack: &Stack| here.wrapping_sub(stack.base) >= stack.size;
        present.filter(|stack| stack.size >= size && apart(stack)).or_else(|| make(size))
    })
}

/// The stack that the program registered for thread `tid` and the one that the
/// kernel has, if they differ.
pub(crate) fn in_force(tid: c_int, blocked: &Blocked) -> Option<(Stack, Stack)> {
    custody(blocked, |State { substitutes, .. }| {
        let it = substitutes.of.get(tid as usize).filter(|it| it.in_force)?;
        Some((it.believed, it.actual))
    })
}

/// The call is over: `given` is the stack that the kernel got instead of
/// `asked`.
pub(crate) fn settle(
    tid: c_int,
    asked: Stack,
    given: Option<Stack>,
    installed: bool,
    blocked: &Blocked,
) {
    custody(blocked, |State { substitutes: Substitutes { of, .. }, .. }| {
        let present = of.get_mut(tid as usize);
        match given {
            None => present.filter(|_| installed)?.in_force = false,
            // The previous one stays mapped: a handler may be running on it, or
            // the kernel may restore it when a handler returns. There are few
            // of those, because a larger one serves for all smaller ones. If
            // the table cannot grow, this one stays mapped too.
            Some(actual) if installed => {
                let it = Substitute { tid: tid as usize, believed: asked, actual, in_force: true };
                let _ = of.insert(it);
            }
            Some(actual) if present.is_some_and(|it| it.actual == actual) => {}
            Some(actual) => give_back(actual),
        }
        Some(())
    });
}

/// Replaces our stack by the program's in what the kernel reported as the old
/// stack.
pub(crate) fn translate(old: *mut libc::stack_t, (believed, actual): (Stack, Stack)) {
    if old.is_null() || !user_memory::readable(old as usize, size_of::<libc::stack_t>()) {
        return;
    }
    // SAFETY: the kernel has just written it.
    let said = unsafe { &mut *old };
    if said.ss_sp as usize == actual.base && said.ss_size == actual.size {
        said.ss_sp = believed.base as *mut _;
        said.ss_size = believed.size;
    }
}

/// sigaltstack(2) that only queries. Async-signal-safe.
pub fn query(old: *mut libc::stack_t, commit: impl FnOnce() -> c_int) -> c_int {
    let result = commit();
    if result == 0
        && let Some(both) = in_force(call::gettid(), &Blocked::all())
    {
        translate(old, both);
    }
    result
}
