//! sigaltstack(2) with a new stack.

use core::ffi::c_int;

use super::memory_calls::dangling;
use crate::os::page::Pages;
use crate::os::signals::Blocked;
use crate::os::{call, errno, touch, user_memory};
use crate::residency::adopt::{adopt_altstack, adopt_current, installed, is_disable, report};
use crate::residency::charge::{Caller, OWNER, State, ask_for_exit_notice, known_here, make_known};
use crate::residency::fork_progress::have_copied;
use crate::residency::ladder::Stack;
use crate::residency::ordinary_stacks;
use crate::residency::page_locks::{Memory, ThisProcess};
use crate::residency::registry::{Adopted, Role};
use crate::residency::substitutes::{self, Claim};
use crate::residency::thread_cache::Steady;
use crate::small_stacks;
use crate::state::stats;

/// sigaltstack(2) with a new stack. Makes the stack resident *before* `commit`,
/// the original call, passes it to the kernel; then releases the previous
/// stack. `commit` is given the stack to register, which may be larger than the
/// program's ([`small_stacks`]). Returns what `commit` returns. Async-signal-safe.
///
/// Replacing a stack with one that can be locked whole takes nine system calls;
/// setting the stack that is already in force takes four.
pub fn set(
    new: *const libc::stack_t,
    old: *mut libc::stack_t,
    commit: impl Fn(*const libc::stack_t) -> c_int,
) -> c_int {
    let Some(asked) = user_memory::read(new) else { return commit(new) };
    let replaced = if is_disable(&asked) { None } else { small_stacks::judge(Stack::of(&asked)) };
    if let Some(result) = set_again(&asked, || commit(new)) {
        return result;
    }
    // What needs more stack is done while signals are not blocked.
    let errno = errno::get();
    let mut claim = replaced.and_then(small_stacks::serve);
    let mut done = attempt((new, &asked), claim, &commit);
    let is_refused = claim.is_none() && small_stacks::is_refused(&asked, done.result);
    if is_refused {
        if is_disable(&asked) {
            let legal = small_stacks::with_legal_size(&asked);
            done = attempt((&raw const legal, &legal), None, &commit);
        } else {
            claim = small_stacks::serve(small_stacks::refused(Stack::of(&asked)));
            if claim.is_some() {
                done = attempt((new, &asked), claim, &commit);
            }
        }
    }
    let Attempt { result, installed, adopted } = done;
    if result == 0 && is_refused {
        // A success leaves it as it was.
        errno::set(errno);
    }
    if result == 0 {
        small_stacks::translate(old);
        dangling::translate(old);
    }
    if substitutes::any() {
        substitutes::settle(claim, installed);
    }
    if installed {
        dangling::forget();
    }
    if installed && !is_disable(&asked) {
        if claim.is_some() {
            ask_for_exit_notice();
        }
        stats::STACKS.count();
        if let Some(adopted) = &adopted {
            report(adopted);
        }
    }
    result
}

/// sigaltstack(2) that only asks. Async-signal-safe.
pub fn query(old: *mut libc::stack_t, commit: impl FnOnce() -> c_int) -> c_int {
    let result = commit();
    if result == 0 {
        small_stacks::translate(old);
        dangling::translate(old);
    }
    result
}

/// The outcome of one call of the original.
struct Attempt {
    result: c_int,
    installed: bool,
    adopted: Option<Adopted>,
}

/// Registers `asked`, or the stack of `claim` in its place.
#[inline(never)] // for size
fn attempt(
    (new, asked): (*const libc::stack_t, &libc::stack_t),
    claim: Option<Claim>,
    commit: &dyn Fn(*const libc::stack_t) -> c_int,
) -> Attempt {
    let registered = claim.map(|claim| small_stacks::at(claim.stack(), asked));
    let new = registered.as_ref().map_or(new, core::ptr::from_ref);
    let asked = registered.as_ref().unwrap_or(asked);
    let blocked = Blocked::all();
    let caller = Caller::ask();
    let previous = follow_disarming(caller, &blocked);
    let mut adopted = None;
    if is_disable(asked) {
        ordinary_stacks::before_disabling(caller, &blocked);
    } else {
        adopted = adopt_altstack(&blocked, caller, Role::Pending, asked);
    }
    let result = commit(new);
    let installed = result == 0 || installed(asked);
    match settle(caller, asked, installed, &blocked) {
        Some(true) => {}
        Some(false) => adopted = adopt_altstack(&blocked, caller, Role::Current, asked),
        // A fork that began meanwhile takes too long, and the program may now use
        // the stack before for something else.
        None => previous.into_iter().for_each(have_copied),
    }
    Attempt { result, installed, adopted }
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
    if !plain || small_stacks::fixing() {
        return None;
    }
    let known = known_here()?;
    let Steady { held, rung, .. } =
        known.steady().filter(|steady| steady.stack == Stack::of(asked))?;
    // The memory may have been copied by a fork, or replaced or unlocked past
    // our hooks. The touch undoes the copy. For the other two, checking the
    // page where the next frame begins is enough.
    touch::run(OWNER.pid(), held);
    if ThisProcess.locked(Pages { first: held.end.wrapping_sub(1), ..held }) != Ok(true) {
        return None;
    }
    let result = commit();
    if known.holds_still() {
        if result == 0 {
            stats::STACKS.count();
            report(&Adopted { rung, held, refused: None, first: false });
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
        let current = registry.wanted(tid, Role::Current);
        let disarms = current.is_some_and(|current| current.disarms);
        let current = current.map(|current| current.stack);
        let disarmed = registry.wanted(tid, Role::Disarmed).map(|disarmed| disarmed.stack);
        if !disarms && disarmed.is_none() {
            return current;
        }
        let Ok(now) = call::current_altstack() else { return current };
        if is_disable(&now) {
            if disarms {
                registry.promote(tid, Role::Current, Role::Disarmed, &mut ThisProcess);
            }
        } else if disarmed == Some(Stack::of(&now)) {
            registry.promote(tid, Role::Disarmed, Role::Current, &mut ThisProcess);
        }
        registry.wanted(tid, Role::Current).map(|current| current.stack)
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
        let pending = registry.wanted(tid, Role::Pending).map(|pending| pending.stack);
        match (installed, is_disable(asked)) {
            (true, true) => registry.release(tid, Role::Current, &mut ThisProcess),
            (true, false) if pending == Some(Stack::of(asked)) => {
                registry.promote(tid, Role::Pending, Role::Current, &mut ThisProcess);
            }
            (true, false) => return false,
            (false, _) => registry.release(tid, Role::Pending, &mut ThisProcess),
        }
        ordinary_stacks::follow(state, tid);
        make_known(tid, &state.registry);
        stats::PINNED.set(state.registry.pinned_pages());
        true
    })
}
