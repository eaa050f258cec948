//! Adopting stacks: making one resident and recording whose it is.

use core::ffi::c_int;

use super::charge::{Caller, OWNER, Policy, State, ask_for_exit_notice, charge, make_known};
use super::ladder::{Rung, Stack};
use super::page_locks::ThisProcess;
use super::registry::{Adopted, Role, Wanted};
use crate::os::call;
use crate::os::errno::{self, Errno};
use crate::os::signals::Blocked;
use crate::state::stats;

pub(crate) fn is_disable(stack: &libc::stack_t) -> bool {
    stack.ss_flags & libc::SS_DISABLE != 0
}

/// Whether the kernel installed what was asked for although the call failed: if
/// the address for the old stack is bad, it returns EFAULT *and* installs the
/// new one.
pub(crate) fn installed(asked: &libc::stack_t) -> bool {
    let may_be = Errno(errno::get()) == Errno::EFAULT;
    may_be
        && call::current_altstack().is_ok_and(|now| {
            if is_disable(asked) { is_disable(&now) } else { Stack::of(&now) == Stack::of(asked) }
        })
}

/// Adopts the stack that the calling thread already has, if we do not know it
/// yet: at load, and when the thread installs a handler that will use it.
/// Async-signal-safe.
pub fn adopt_current() {
    let Ok(now) = call::current_altstack() else { return };
    if is_disable(&now) {
        return;
    }
    let blocked = Blocked::all();
    let caller = Caller::ask();
    let current = |state: &mut State| state.registry.wanted(caller.tid, Role::Current);
    let known = caller.charge(&blocked, current).flatten();
    let known = known.is_some_and(|known| known.stack == Stack::of(&now));
    let adopted = if known { None } else { adopt_altstack(&blocked, caller, Role::Current, &now) };
    drop(blocked);
    if let Some(adopted) = adopted {
        stats::STACKS.count();
        report(&adopted);
    }
}

pub(crate) fn adopt_altstack(
    blocked: &Blocked,
    caller: Caller,
    role: Role,
    stack: &libc::stack_t,
) -> Option<Adopted> {
    const SS_AUTODISARM: c_int = 1 << 31;
    let disarms = stack.ss_flags & SS_AUTODISARM != 0;
    let stack = Stack::of(stack);
    adopt(blocked, caller, role, |state| {
        let Policy { start, headroom, main, .. } = state.policy;
        let start = if stack.overlaps(main) { start.max(Rung::Touch) } else { start };
        Wanted { stack, headroom, start, disarms }
    })
}

/// Adopts what `wanted` returns; requests the exit notice for a first record.
pub(crate) fn adopt(
    blocked: &Blocked,
    caller: Caller,
    role: Role,
    wanted: impl FnOnce(&State) -> Wanted,
) -> Option<Adopted> {
    let Caller { tid, .. } = caller;
    let adopted = caller.charge(blocked, |state| {
        // Sweep a few for each new thread, so that dead threads cannot pile up.
        if !state.registry.has(tid) {
            let pid = OWNER.pid();
            let exists = |other| other == tid || call::thread_exists(pid, other);
            state.registry.sweep(exists, &mut ThisProcess);
        }
        let wanted = wanted(state);
        let registry = &mut state.registry;
        let adopted = registry.adopt(tid, role, wanted, &mut ThisProcess);
        make_known(tid, registry);
        stats::PINNED.set(registry.pinned_pages());
        adopted
    })?;
    if adopted.first {
        ask_for_exit_notice();
    }
    Some(adopted)
}

/// Counts and logs the result of an adoption.
pub(crate) fn report(adopted: &Adopted) {
    stats::rung(adopted.rung).count();
    let kib = adopted.held.bytes() / 1024;
    log::debug!("stack adopted by rung {}, {kib} KiB held", adopted.rung.name());
    let Some(error) = adopted.refused else { return };
    // Memory that cannot even be touched was not refused because of a limit.
    if adopted.rung < Rung::Report && stats::REFUSED.count() == 0 {
        let limit = call::getrlimit(libc::RLIMIT_MEMLOCK).map_or(0, |limit| limit.rlim_cur);
        let stacks = charge(&Blocked::all(), |state| state.registry.locked_stacks()).unwrap_or(0);
        log::warn!(
            "locking a signal stack was refused ({error}): RLIMIT_MEMLOCK is {limit} bytes, \
             enough for {stacks} stacks; this one is held by rung {}. Remedy: ulimit -l 65536; \
             docker run --ulimit memlock=67108864; LimitMEMLOCK=64M",
            adopted.rung.name(),
        );
    }
}

/// How many stacks are on record. Async-signal-safe.
#[must_use]
pub fn stacks_on_record() -> usize {
    charge(&Blocked::all(), |state| state.registry.stacks()).unwrap_or(0)
}
