//! `SIGWARD_ALTSTACK_ALL=1`: each thread that has no alternate stack gets one
//! of ours, above a guard. A stack overflow then reaches a handler with
//! `SA_ONSTACK` on every thread.
//!
//! The program does not see it: sigaltstack(2) reports `SS_DISABLE`, and
//! disabling its own stack brings ours back. Nothing is recorded about what is
//! in force: the kernel is asked, and whether a stack is ours is seen by its
//! address. So a vfork child and a handler cannot leave anything stale.

use core::ffi::c_int;
use core::ptr;
use core::sync::atomic::{AtomicBool, Ordering};

use super::arena::{self, Slot};
use super::{depth, permission};
use crate::arch;
use crate::os::errno::{self, Errno};
use crate::os::signals::Blocked;
use crate::os::{call, user_memory};
use crate::plan::Depth;
use crate::residency::charge::{OWNER, STATE, ours};
use crate::residency::ladder::Stack;
use crate::residency::{adopt_current, frame, on_duty};

/// The least size of a stack of ours, in bytes: it takes no memory where it is
/// not used.
const LEAST: usize = 128 << 10;
/// Bytes for handlers, beyond two frames.
const HANDLERS: usize = 64 << 10;

/// How many stacks of threads that it lacks the child of a fork keeps, of those on
/// which handlers have run.
const KEPT: usize = 256;

/// Whether threads get stacks.
static WANTED: AtomicBool = AtomicBool::new(false);

/// Whether sigaltstack(2) concerns this module, [`depth`] or
/// [`permission`].
static ACTIVE: AtomicBool = AtomicBool::new(false);

const SS_AUTODISARM: c_int = 1 << 31;

/// What sigaltstack(2) reports where there is no stack.
const NO_STACK: libc::stack_t =
    libc::stack_t { ss_sp: ptr::null_mut(), ss_flags: libc::SS_DISABLE, ss_size: 0 };

/// Gives a stack to each thread from now on, if `wanted`, and measures stacks
/// as `depth` says; if the library `warns`, follows which ones are small. The main
/// thread gets its stack now. Call this once, at load.
pub fn take_charge(wanted: bool, depth: Depth, warns: bool) {
    if !wanted && depth == Depth::Off && !warns {
        return;
    }
    if warns {
        permission::follow();
    }
    depth::take_charge(depth);
    arena::prepare(LEAST.max(frame::size().saturating_mul(2).saturating_add(HANDLERS)));
    WANTED.store(wanted, Ordering::Relaxed);
    ACTIVE.store(true, Ordering::Relaxed);
    start();
}

/// Whether threads get stacks: two relaxed loads. Async-signal-safe.
#[must_use]
pub fn wanted() -> bool {
    WANTED.load(Ordering::Relaxed) && on_duty()
}

/// Whether the end of a thread matters here. Async-signal-safe.
#[must_use]
pub fn follows_threads() -> bool {
    ACTIVE.load(Ordering::Relaxed) && on_duty()
}

/// The calling thread starts: gives it a stack, if it has none and there is
/// memory for one. Async-signal-safe.
pub fn start() {
    if wanted() && ours() && call::current_altstack().is_ok_and(|now| is_none(&now)) {
        give();
    }
}

fn is_none(stack: &libc::stack_t) -> bool {
    stack.ss_flags & libc::SS_DISABLE != 0
}

fn give() {
    let pid = OWNER.pid();
    arena::sweep(|thread| call::thread_exists(pid, thread), ended);
    let Some(slot) = arena::take(call::gettid(), arch::thread_pointer()) else { return };
    // SAFETY: fresh memory that nobody else uses, until the thread ends.
    if unsafe { call::set_altstack(&described(slot.stack())) }.is_err() {
        slot.free();
        return;
    }
    // Resident as any other stack, where that is wanted.
    adopt_current();
}

fn described(stack: Stack) -> libc::stack_t {
    libc::stack_t { ss_sp: stack.base as *mut _, ss_flags: 0, ss_size: stack.size }
}

/// `slot` is no thread's stack any more.
fn ended(slot: Slot) {
    if let Some(thread) = slot.thread() {
        depth::of_ours(thread, slot.stack());
    }
}

/// The calling thread ends: takes its stack back, unless the thread is running
/// on it. Async-signal-safe.
pub(crate) fn thread_end() {
    if !follows_threads() || !ours() {
        return;
    }
    let here = arch::stack_pointer();
    let _blocked = Blocked::all();
    depth::thread_end();
    permission::after_change(None);
    let Some(slot) = arena::of_thread(arch::thread_pointer()) else { return };
    slot.leave();
    let in_force = |now: &libc::stack_t| arena::around(now.ss_sp as usize).is_some();
    if arena::around(here).is_some() {
        return;
    }
    if call::current_altstack().is_ok_and(|now| in_force(&now)) && call::disable_altstack().is_err()
    {
        return;
    }
    if let Some(thread) = slot.thread() {
        depth::of_ours(thread, slot.stack());
    }
    slot.free();
}

/// A fork has made the calling process, with a copy of the forking thread. It may
/// still resume a context of another thread's, or read what that one's handler
/// had.
pub(crate) fn in_child() {
    if !ACTIVE.load(Ordering::Relaxed) {
        return;
    }
    let (thread, pointer, here) = (call::gettid(), arch::thread_pointer(), arch::stack_pointer());
    depth::in_child(thread);
    let on = arena::around(here);
    let mut kept = 0;
    for slot in arena::slots().filter(|slot| !slot.follow_fork(thread, pointer)) {
        let is_kept = on == Some(slot.stack()) || kept < KEPT && slot.was_used();
        kept += usize::from(is_kept);
        if is_kept { slot.keep() } else { slot.free() }
    }
}

/// sigaltstack(2) by `commit`, the last before the kernel. `given`: `new` is
/// not the program's but a stack of ours in its place. Async-signal-safe.
pub fn set(
    new: *const libc::stack_t,
    given: bool,
    old: *mut libc::stack_t,
    commit: impl Fn(*const libc::stack_t) -> c_int,
) -> c_int {
    if follows_threads() {
        return set_behind(new, given, old, &commit);
    }
    // A filter of the program's may forbid every call of ours. What was given
    // stays hidden.
    shown(commit(new), old)
}

/// After a call of [`set`]: holds our stack if that is in force again.
/// Async-signal-safe.
pub fn hold_again() {
    if arena::exist() && wanted() {
        adopt_current();
    }
}

#[inline(never)]
fn set_behind(
    new: *const libc::stack_t,
    given: bool,
    old: *mut libc::stack_t,
    commit: &dyn Fn(*const libc::stack_t) -> c_int,
) -> c_int {
    let Some(asked) = user_memory::read(new) else {
        let result = commit(new);
        return shown(result, old);
    };
    let disables = asked.ss_flags & !SS_AUTODISARM == libc::SS_DISABLE;
    let next = (!disables).then(|| Stack::of(&asked));
    let measured = on_duty() && depth::before_change(next, given);
    let errno = errno::get();
    let mut result = if disables { bring_back(new, commit) } else { commit(new) };
    if result != 0
        && errno::get() == libc::EPERM
        && arena::around(arch::stack_pointer()).is_some()
        && on_duty()
    {
        // The program runs on our stack, and believes that it has none.
        result = if disables { commit(ptr::null()) } else { set_from_beside(&asked) };
        if result == 0 {
            errno::set(errno);
        }
        if !disables {
            // The kernel was not given `old`.
            result = report(result, old);
        }
    }
    if result == 0 && on_duty() {
        permission::after_change(next.map(|next| next.size));
        depth::after_change(next, given, measured);
    }
    shown(result, old)
}

/// The program disables its stack: ours takes its place.
fn bring_back(new: *const libc::stack_t, commit: &dyn Fn(*const libc::stack_t) -> c_int) -> c_int {
    if !wanted() {
        return commit(new);
    }
    // A vfork child has its parent's thread pointer, but not its number.
    let own = arena::of_thread(arch::thread_pointer());
    match own.filter(|slot| slot.thread() == Some(call::gettid())) {
        Some(slot) => commit(&described(slot.stack())),
        None => commit(new),
    }
}

/// Sets `asked` while the program runs on our stack, which the kernel does not
/// allow: it looks at the stack pointer, so the call is made on another stack.
fn set_from_beside(asked: &libc::stack_t) -> c_int {
    let asked = *asked;
    let blocked = Blocked::all();
    // SAFETY: what the program wants.
    let set = STATE.with(&blocked, |_| unsafe { call::set_altstack(&asked) });
    drop(blocked);
    match set {
        Some(Ok(_)) => 0,
        Some(Err(Errno(error))) => {
            errno::set(error);
            -1
        }
        None => -1,
    }
}

/// Writes to `old` that there was no stack; the kernel's EFAULT if that is not
/// possible, which does not undo the call.
fn report(result: c_int, old: *mut libc::stack_t) -> c_int {
    if result != 0 || old.is_null() {
        return result;
    }
    if !user_memory::readable(old as usize, size_of::<libc::stack_t>()) {
        errno::set(libc::EFAULT);
        return -1;
    }
    // SAFETY: the caller's, and there.
    unsafe { old.write_unaligned(NO_STACK) };
    0
}

/// Hides a stack of ours in what the kernel has written to `old`.
fn shown(result: c_int, old: *mut libc::stack_t) -> c_int {
    if result != 0 || old.is_null() || !arena::exist() {
        return result;
    }
    // SAFETY: the kernel has just written it.
    let said = unsafe { old.read_unaligned() };
    if arena::around(said.ss_sp as usize).is_some() {
        // SAFETY: as above.
        unsafe { old.write_unaligned(NO_STACK) };
    }
    result
}
