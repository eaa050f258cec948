//! Defect `altstack-size`: alternate stacks too small for today's frames.
//!
//! Programs carry `SIGSTKSZ` (8192) or `MINSIGSTKSZ` (2048) as constants; a
//! frame with AVX-512 or AMX state is larger. With `SIGWARD_SIZE=report` such
//! a stack is told of; with `fix` the kernel gets a larger one of ours, with a
//! guard page, and the program is told its own when it asks. See
//! `docs/altstack-size.md`.

use core::ffi::c_int;
use core::sync::atomic::{AtomicU8, Ordering};

use super::ladder::Stack;
use super::table::{Entry, Table};
use super::{STATE, State, frame, origin, ours};
use crate::arch;
use crate::block::BLOCK;
pub use crate::plan::Remedy;
use crate::stats;
use crate::sys::call;
use crate::sys::page;
use crate::sys::signals::{self, Blocked};

const REMEDY: &AtomicU8 = &BLOCK.force.remedy;

/// Chooses the remedy; to be called once, at load.
pub fn take_charge(remedy: Remedy) {
    REMEDY.store(remedy as u8, Ordering::Relaxed);
}

/// Whether stacks are replaced: one relaxed load.
#[inline]
#[must_use]
pub fn fixing() -> bool {
    REMEDY.load(Ordering::Relaxed) == Remedy::Fix as u8
}

/// Replaces no more stacks. Returns the remedy so far.
pub(crate) fn stand_down() -> Remedy {
    match REMEDY.swap(Remedy::None as u8, Ordering::Relaxed) {
        1 => Remedy::Report,
        2 => Remedy::Fix,
        _ => Remedy::None,
    }
}

/// Room for a handler beyond its frame: what musl 1.2.6 asks for, too.
const HANDLER: usize = 1024;

/// The kernel's and libc's own least size, in bytes: below it sigaltstack(2)
/// fails with ENOMEM, and is left to.
const LEAST: usize = 2048;

/// A stack of ours in the place of a thread's own.
#[derive(Clone, Copy)]
struct Substitute {
    /// The thread; 0 in an empty slot.
    tid: usize,
    /// What the program believes.
    believed: Stack,
    /// What the kernel has.
    actual: Stack,
    /// Whether the kernel has it now; if not, it is kept for the next time.
    in_force: bool,
}

// SAFETY: zeroes are a substitute of thread 0, which does not exist.
unsafe impl Entry for Substitute {
    fn key(&self) -> usize {
        self.tid
    }
}

/// All substitutes.
pub(super) struct Substitutes {
    of: Table<Substitute>,
    /// Where the search for ended threads goes on.
    hand: usize,
}

impl Substitutes {
    pub(super) const fn new() -> Self {
        Substitutes { of: Table::new(), hand: 0 }
    }

    /// In a forked child: the stacks of all threads but `old` go, and that is
    /// `new` now.
    pub(super) fn in_child(&mut self, old: c_int, new: c_int) {
        for index in 0..self.of.capacity() {
            if let Some(other) = self.of.at(index).copied().filter(|it| it.tid != old as usize) {
                give_back(other.actual);
            }
        }
        let own = self.of.get(old as usize).copied();
        *self = Substitutes::new();
        if let Some(own) = own {
            let _ = self.of.insert(Substitute { tid: new as usize, ..own });
        }
    }

    /// Gives back the stacks of threads that ended.
    fn sweep(&mut self, exists: impl Fn(c_int) -> bool) {
        for _ in 0..8 {
            match self.of.at(self.hand).copied() {
                Some(it) if !exists(it.tid as c_int) => {
                    give_back(it.actual);
                    self.of.remove(it.tid);
                }
                _ => self.hand = self.hand.wrapping_add(1),
            }
        }
    }
}

/// The state, for this part's use: also where residency is not ours to keep.
fn custody<R>(blocked: &Blocked, work: impl FnOnce(&mut State) -> Option<R>) -> Option<R> {
    if fixing() && ours() { STATE.with(blocked, work).flatten() } else { None }
}

/// Makes a stack of at least `size` bytes above a guard page.
fn make(size: usize) -> Option<Stack> {
    let size = size.next_multiple_of(page::SIZE);
    let start = call::map_memory(size.checked_add(page::SIZE)?).ok()?;
    // Without its guard an overflow would go unseen: then better none.
    if call::forbid(start, page::SIZE).is_err() {
        give_back(Stack { base: start.wrapping_add(page::SIZE), size });
        return None;
    }
    origin::mapped(start, size.wrapping_add(page::SIZE));
    Some(Stack { base: start.wrapping_add(page::SIZE), size })
}

fn give_back(stack: Stack) {
    let start = stack.base.wrapping_sub(page::SIZE);
    origin::forget(start);
    // SAFETY: made by `make`, and no thread's stack any more.
    let _ = unsafe { call::unmap_memory(start, stack.size.wrapping_add(page::SIZE)) };
}

/// Whether `asked` is to be told of, or replaced.
fn is_too_small(asked: Stack) -> bool {
    let none = REMEDY.load(Ordering::Relaxed) == Remedy::None as u8;
    !none && asked.size >= LEAST && asked.size < needed()
}

/// The least size that will do, in bytes.
fn needed() -> usize {
    frame::size().saturating_add(HANDLER)
}

/// The program is about to register `asked`: tells of it if it is too small.
pub(super) fn judge(asked: Stack) {
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

/// What the kernel is to get instead of `asked`, if anything.
pub(super) fn serve(tid: c_int, asked: Stack, blocked: &Blocked) -> Option<Stack> {
    if !fixing() || !is_too_small(asked) {
        return None;
    }
    let (pid, here) = (call::getpid(), arch::stack_pointer());
    // What the program meant to have, and the frames on top of it.
    let size = asked.size.saturating_add(frame::window());
    custody(blocked, |State { substitutes, .. }| {
        substitutes.sweep(|other| call::thread_exists(pid, other));
        let present = substitutes.of.get(tid as usize).map(|it| it.actual);
        let apart = |stack: &Stack| here.wrapping_sub(stack.base) >= stack.size;
        present.filter(|stack| stack.size >= size && apart(stack)).or_else(|| make(size))
    })
}

/// What thread `tid` believes to have and what it has, if they differ.
pub(super) fn in_force(tid: c_int, blocked: &Blocked) -> Option<(Stack, Stack)> {
    custody(blocked, |State { substitutes, .. }| {
        let it = substitutes.of.get(tid as usize).filter(|it| it.in_force)?;
        Some((it.believed, it.actual))
    })
}

/// The call is over: `given` is what the kernel was given instead of `asked`.
pub(super) fn settle(
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
            // The one before stays mapped: a handler may run on it, or the
            // kernel put it back when a handler returns. There are few, as a
            // larger one serves for all smaller. Where the table cannot grow,
            // this one stays, too.
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

/// What the kernel said of the stack before is put into the program's words.
pub(super) fn translate(old: *mut libc::stack_t, (believed, actual): (Stack, Stack)) {
    if old.is_null() || !signals::readable(old as usize, size_of::<libc::stack_t>()) {
        return;
    }
    // SAFETY: the kernel has just written it.
    let said = unsafe { &mut *old };
    if said.ss_sp as usize == actual.base && said.ss_size == actual.size {
        said.ss_sp = believed.base as *mut _;
        said.ss_size = believed.size;
    }
}

/// sigaltstack(2) that only asks. Async-signal-safe.
pub fn query(old: *mut libc::stack_t, commit: impl FnOnce() -> c_int) -> c_int {
    let result = commit();
    if result == 0
        && let Some(both) = in_force(call::gettid(), &Blocked::all())
    {
        translate(old, both);
    }
    result
}
