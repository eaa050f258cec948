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

/// Whether the kernel has what was asked for, although the call failed: with
/// a bad place for the old stack it gives EFAULT *and* installs the new one.
fn installed(asked: &libc::stack_t) -> bool {
    call::current_altstack().is_ok_and(|now| {
        if is_disable(asked) { is_disable(&now) } else { described(&now) == described(asked) }
    })
}

/// sigaltstack(2) with a new stack: makes it resident *before* `commit`, the
/// original call, tells the kernel of it, and lets go of the one before.
/// `commit` gets the new stack to pass on, which may be a larger one than the
/// program's ([`size`]). Returns what `commit` returns. Async-signal-safe.
///
/// Nine system calls for a stack that can be locked whole, replacing another,
/// and four for the one that is in force.
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

/// The same for the stack that the thread has in force, locked as well as can be:
/// there is nothing to change, and no signal need wait for the commit. `None`,
/// before that, if it is not so.
///
/// Nothing is locked here: that might be while another thread's call has let go
/// of the stack, and must not find it locked.
fn set_again(asked: &libc::stack_t, commit: impl FnOnce() -> c_int) -> Option<c_int> {
    // The kernel takes SS_ONSTACK for no flag.
    let plain = asked.ss_flags & !libc::SS_ONSTACK == 0;
    if !plain || size::fixing() {
        return None;
    }
    let known = known_here()?;
    let Steady { held, rung, .. } =
        known.steady().filter(|steady| steady.stack == described(asked))?;
    // Memory may have been replaced past our hooks, or unlocked, or copied by a
    // fork: this makes good for the copy, and the page tells of the others on
    // which the next frame begins.
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
        // A handler has set another one, or a memory call hits this one.
        adopt_current();
    }
    Some(result)
}

/// With `SS_AUTODISARM` the kernel takes a stack out of force while its handler
/// runs, and puts it back: sees what has happened since the last call. Returns
/// the stack on record as the one in force.
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

/// The call is over. False if what is installed is still to be adopted, as a
/// fork was in the way before; `None` if one is in the way now.
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
