//! sigaltstack(2) with a new stack.

use core::ffi::c_int;

use super::known::Steady;
use super::pins::{Kernel, Memory};
use super::registry::{Adopted, Place};
use super::{Caller, Stack, State};
use super::{
    OWNER, adopt_altstack, adopt_current, described, is_disable, known_here, make_known, ordinary,
    tell,
};
use super::{fork, size};
use crate::stats;
use crate::sys::page::Pages;
use crate::sys::signals::{self, Blocked};
use crate::sys::{call, touch};

/// Whether the kernel installed what was asked for although the call failed: if
/// the address for the old stack is bad, it returns EFAULT *and* installs the
/// new one.
fn installed(asked: &libc::stack_t) -> bool {
    call::current_altstack().is_ok_and(|now| {
        if is_disable(asked) { is_disable(&now) } else { described(&now) == described(asked) }
    })
}

/// sigaltstack(2) with a new stack. Makes the stack resident *before* `commit`,
/// the original call, passes it to the kernel; then releases the previous
/// stack. `commit` is given the stack to register, which may be larger than the
/// program's ([`size`]). Returns what `commit` returns. Async-signal-safe.
///
/// Replacing a stack with one that can be locked whole takes nine system calls;
/// setting the stack that is already in force takes four.
pub fn set(
    new: *const libc::stack_t,
    old: *mut libc::stack_t,
    commit: impl Fn(*const libc::stack_t) -> c_int,
) -> c_int {
    let Some(asked) = signals::read(new) else { return commit(new) };
    if !is_disable(&asked) {
        size::judge(described(&asked));
    }
    if let Some(result) = set_again(&asked, || commit(new)) {
        return result;
    }
    let blocked = Blocked::all();
    let caller = Caller::ask();
    let Caller { tid, .. } = caller;
    let previous = follow_disarming(caller, &blocked);
    let mut told = asked;
    let (mut given, before) = (None, size::in_force(tid, &blocked));
    let mut adopted = None;
    if !is_disable(&asked) {
        given = size::serve(tid, described(&asked), &blocked);
        if let Some(Stack { base, size }) = given {
            (told.ss_sp, told.ss_size) = (base as *mut _, size);
        }
        adopted = adopt_altstack(&blocked, caller, Place::Pending, &told);
    }
    if is_disable(&asked) {
        ordinary::before_disabling(caller, &blocked);
    }
    let result = commit(if given.is_some() { &raw const told } else { new });
    let installed = result == 0 || installed(&told);
    match settle(caller, &told, installed, &blocked) {
        Some(true) => {}
        Some(false) => adopted = adopt_altstack(&blocked, caller, Place::Current, &told),
        // A fork that began meanwhile takes too long, and the program may now use
        // the stack before for something else.
        None => previous.into_iter().for_each(fork::have_copied),
    }
    size::settle(tid, described(&asked), given, installed, &blocked);
    drop(blocked);
    if let Some(before) = before {
        size::translate(old, before);
    }
    if installed && !is_disable(&asked) {
        stats::STACKS.count();
        if let Some(adopted) = &adopted {
            tell(adopted);
        }
    }
    result
}

/// Handles the stack that is already in force for this thread and locked as
/// well as possible: nothing has to change, and signals need not be blocked
/// during the commit. Returns `None`, before the commit, if that is not the
/// case.
///
/// This locks nothing: another thread's memory call may have released the stack
/// meanwhile, and must not find it locked.
fn set_again(asked: &libc::stack_t, commit: impl FnOnce() -> c_int) -> Option<c_int> {
    // The kernel treats SS_ONSTACK as no flag at all.
    let plain = asked.ss_flags & !libc::SS_ONSTACK == 0;
    if !plain || size::fixing() {
        return None;
    }
    let known = known_here()?;
    let Steady { held, rung, .. } =
        known.steady().filter(|steady| steady.stack == described(asked))?;
    // The memory may have been copied by a fork, or replaced or unlocked past
    // our hooks. The touch undoes the copy. For the other two, checking the
    // page where the next frame begins is enough.
    touch::run(OWNER.pid(), held);
    if Kernel.locked(Pages { first: held.end.wrapping_sub(1), ..held }) != Ok(true) {
        return None;
    }
    let result = commit();
    if known.holds_still() {
        if result == 0 {
            stats::STACKS.count();
            tell(&Adopted { rung, held, refused: None, first: false });
        }
    } else {
        // A handler has set another stack, or a memory call affects this one.
        adopt_current();
    }
    Some(result)
}

/// With `SS_AUTODISARM` the kernel disables a stack while its handler runs, and
/// restores it afterwards. Brings the records up to date with what happened
/// since the last call, and returns the current stack on record.
fn follow_disarming(caller: Caller, blocked: &Blocked) -> Option<Stack> {
    let Caller { tid, .. } = caller;
    caller.charge(blocked, |State { registry, .. }| {
        let current = registry.wanted(tid, Place::Current);
        let disarms = current.is_some_and(|current| current.disarms);
        let current = current.map(|current| current.stack);
        let disarmed = registry.wanted(tid, Place::Disarmed).map(|disarmed| disarmed.stack);
        if !disarms && disarmed.is_none() {
            return current;
        }
        let Ok(now) = call::current_altstack() else { return current };
        if is_disable(&now) {
            if disarms {
                registry.promote(tid, Place::Current, Place::Disarmed, &mut Kernel);
            }
        } else if disarmed == Some(described(&now)) {
            registry.promote(tid, Place::Disarmed, Place::Current, &mut Kernel);
        }
        registry.wanted(tid, Place::Current).map(|current| current.stack)
    })?
}

/// Updates the records after the call. False if the installed stack still has
/// to be adopted, because a fork prevented that before; `None` if a fork
/// prevents the update now.
fn settle(
    caller: Caller,
    asked: &libc::stack_t,
    installed: bool,
    blocked: &Blocked,
) -> Option<bool> {
    let Caller { tid, .. } = caller;
    caller.charge(blocked, |state| {
        let registry = &mut state.registry;
        let pending = registry.wanted(tid, Place::Pending).map(|pending| pending.stack);
        match (installed, is_disable(asked)) {
            (true, true) => registry.release(tid, Place::Current, &mut Kernel),
            (true, false) if pending == Some(described(asked)) => {
                registry.promote(tid, Place::Pending, Place::Current, &mut Kernel);
            }
            (true, false) => return false,
            (false, _) => registry.release(tid, Place::Pending, &mut Kernel),
        }
        ordinary::follow(state, tid);
        make_known(tid, &state.registry);
        stats::PINNED.set(state.registry.pinned_pages());
        true
    })
}
