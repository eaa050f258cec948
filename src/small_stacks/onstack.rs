//! `SIGWARD_ONSTACK`: handlers of some signals run on alternate stacks,
//! although the program installs them without `SA_ONSTACK`.
//!
//! The program reads back the flags that it set: for each of its handlers it is
//! known whether the flag is ours. A handler is known by its address, so two
//! threads that install handlers for the same signal at the same time do not
//! disturb each other.

use core::ffi::c_int;
use core::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

use super::depth;
use crate::config::Signals;
#[cfg(target_arch = "x86")]
use crate::os::signals::OldAction;
use crate::os::signals::{self, KernelAction};
use crate::os::user_memory;
use crate::residency::charge::ours;
use crate::residency::on_duty;

/// Signals on Linux are 1 to 64.
const SIGNALS: usize = 65;

/// How many handlers of one signal are known at a time, the latest ones.
const KNOWN: usize = 4;

/// By signal, whether the flag of the action installed last is ours. Needed only
/// once the kernel has forgotten its handler (`SA_RESETHAND`).
static LAST: [AtomicBool; SIGNALS] = [const { AtomicBool::new(false) }; SIGNALS];

/// Whose handlers get the flag.
static WANTED: AtomicU64 = AtomicU64::new(0);

/// By signal, the handlers whose flag is ours.
static OURS: [[AtomicUsize; KNOWN]; SIGNALS] =
    [const { [const { AtomicUsize::new(0) }; KNOWN] }; SIGNALS];

/// By signal, the slot for the next handler.
static NEXT: [AtomicUsize; SIGNALS] = [const { AtomicUsize::new(0) }; SIGNALS];

const FLAG: c_int = libc::SA_ONSTACK;

/// Adds the flag to handlers of `signals` from now on. Call this once, at load.
pub fn take_charge(signals: Signals) {
    if !signals.is_empty() {
        WANTED.store(signals.bits(), Ordering::Relaxed);
    }
}

/// Whether handlers of `signal` concern this module: one relaxed load.
#[inline]
pub(super) fn concerns(signal: c_int) -> bool {
    let wanted = WANTED.load(Ordering::Relaxed);
    wanted != 0 && (1..SIGNALS as c_int).contains(&signal) && wanted & signals::bit(signal) != 0
}

fn known(signal: c_int) -> &'static [AtomicUsize] {
    usize::try_from(signal).ok().and_then(|signal| OURS.get(signal)).map_or(&[], |known| &known[..])
}

/// Whether the flag of the action of `signal` that was installed last is ours.
fn last(signal: c_int) -> Option<&'static AtomicBool> {
    usize::try_from(signal).ok().and_then(|signal| LAST.get(signal))
}

fn set_last(signal: c_int, is_ours: bool) {
    if let Some(last) = last(signal) {
        last.store(is_ours, Ordering::Relaxed);
    }
}

fn is_handler(handler: usize) -> bool {
    handler != libc::SIG_DFL && handler != libc::SIG_IGN
}

/// The flag on `handler` of `signal` is ours from now on, or the program's.
fn note(signal: c_int, handler: usize, is_ours: bool) {
    let known = known(signal);
    let has = |place: &&AtomicUsize| place.load(Ordering::Relaxed) == handler;
    match known.iter().find(has) {
        Some(_) if is_ours => {}
        Some(place) => place.store(0, Ordering::Relaxed),
        None if is_ours => {
            let next = usize::try_from(signal).ok().and_then(|signal| NEXT.get(signal));
            let turn = next.map_or(0, |next| next.fetch_add(1, Ordering::Relaxed));
            if let Some(place) = known.get(turn % KNOWN) {
                place.store(handler, Ordering::Relaxed);
            }
        }
        None => {}
    }
}

/// The flags to install for `handler` instead of `flags`, if they differ.
fn more(handler: usize, flags: c_int) -> Option<c_int> {
    let adds = is_handler(handler) && flags & FLAG == 0 && on_duty();
    adds.then_some(flags | FLAG)
}

/// What is known of a signal before a change.
struct Before {
    /// The handlers whose flag is ours.
    ours: [usize; KNOWN],
    /// Whether the flag of the latest action is.
    last: bool,
}

fn snapshot(signal: c_int) -> Before {
    let mut ours = [0; KNOWN];
    for (handler, place) in ours.iter_mut().zip(known(signal)) {
        *handler = place.load(Ordering::Relaxed);
    }
    Before { ours, last: last(signal).is_some_and(|last| last.load(Ordering::Relaxed)) }
}

/// The flags that the program set, given those that the kernel has.
fn own(before: &Before, handler: usize, flags: c_int) -> c_int {
    // SA_RESETHAND makes the kernel forget the handler, but not the flags.
    let is_ours = if handler == libc::SIG_DFL && flags & libc::SA_RESETHAND != 0 {
        before.last
    } else {
        before.ours.iter().any(|known| *known != 0 && *known == handler)
    };
    if is_ours { flags & !FLAG } else { flags }
}

/// An action, in the form of sigaction(2) or rt_sigaction(2).
pub trait Action: Copy {
    /// The handler.
    fn handler(&self) -> usize;
    /// `SA_*`.
    fn flags(&self) -> c_int;
    /// Changes the flags.
    fn set_flags(&mut self, flags: c_int);
}

impl Action for libc::sigaction {
    fn handler(&self) -> usize {
        self.sa_sigaction
    }
    fn flags(&self) -> c_int {
        self.sa_flags
    }
    fn set_flags(&mut self, flags: c_int) {
        self.sa_flags = flags;
    }
}

impl Action for KernelAction {
    fn handler(&self) -> usize {
        self.handler
    }
    fn flags(&self) -> c_int {
        self.flags as c_int
    }
    fn set_flags(&mut self, flags: c_int) {
        self.flags = self.flags & !(u32::MAX as usize) | flags as u32 as usize;
    }
}

#[cfg(target_arch = "x86")]
impl Action for OldAction {
    fn handler(&self) -> usize {
        self.handler
    }
    fn flags(&self) -> c_int {
        self.flags as c_int
    }
    fn set_flags(&mut self, flags: c_int) {
        self.flags = flags as usize;
    }
}

/// sigaction(2) by `commit`, which takes the action to install. Async-signal-safe.
///
/// # Safety
/// If `commit` returns 0, it has written the old action to `old`, unless that
/// is null.
#[inline]
pub unsafe fn action<A: Action>(
    signal: c_int,
    new: *const A,
    old: *mut A,
    commit: &dyn Fn(*const A) -> isize,
) -> isize {
    depth::handler(signal, || user_memory::read(new).map(|action| action.flags()));
    if !concerns(signal) {
        return commit(new);
    }
    // SAFETY: the caller's contract.
    unsafe { action_with_flag(signal, new, old, commit) }
}

#[inline(never)]
unsafe fn action_with_flag<A: Action>(
    signal: c_int,
    new: *const A,
    old: *mut A,
    commit: &dyn Fn(*const A) -> isize,
) -> isize {
    let before = snapshot(signal);
    // A filter of the program's may forbid every call of ours.
    let asked = if on_duty() { user_memory::read(new).filter(|_| ours()) } else { None };
    let mut changed = asked;
    let mut adds = false;
    if let Some(action) = &mut changed
        && let Some(flags) = more(action.handler(), action.flags())
    {
        action.set_flags(flags);
        adds = true;
        note(signal, action.handler(), true);
    }
    let result = commit(if adds { changed.as_ref().map_or(new, core::ptr::from_ref) } else { new });
    let installed = asked.map_or(0, |action| action.handler());
    if result != 0 {
        if adds && !before.ours.contains(&installed) {
            note(signal, installed, false);
        }
        return result;
    }
    if !adds && is_handler(installed) {
        note(signal, installed, false);
    }
    if asked.is_some() {
        set_last(signal, adds);
    }
    if !old.is_null() {
        // SAFETY: the caller's contract.
        let mut said = unsafe { old.read_unaligned() };
        let flags = own(&before, said.handler(), said.flags());
        if flags != said.flags() {
            said.set_flags(flags);
            // SAFETY: as above.
            unsafe { old.write_unaligned(said) };
        }
    }
    result
}

/// signal(2) or the like has installed `handler`: adds the flag.
/// Async-signal-safe.
pub fn after_signal(signal: c_int, handler: usize) {
    if !concerns(signal) || !on_duty() || !ours() {
        return;
    }
    let Ok(mut now) = signals::disposition(signal) else { return };
    if is_handler(now.handler)
        && let Some(flags) = more(handler, now.flags as c_int)
    {
        now.set_flags(flags);
        note(signal, handler, true);
        set_last(signal, true);
        // SAFETY: the program's own handler, which it has just installed.
        let _ = unsafe { signals::dispose(signal, &now) };
    }
}
