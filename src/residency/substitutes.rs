//! Stacks of ours that stand in for stacks of the program's.
//! [`crate::small_stacks`] decides which, `substitute_records` has the records.
//!
//! Each stack of the program's has its own. A program may keep a context on a
//! stack that it has long replaced, and jump back to it (coroutines are made
//! that way). So a stack of ours is given back only by proof: the program's own
//! memory is registered again or no longer mapped, or the thread has ended
//! and no handler has ever run there.
//!
//! There is no lock: a record is changed by whoever has taken it. Signals
//! need not be blocked, and no system call is needed except to map memory, so
//! this also works where nothing was prepared, and under a seccomp filter that
//! nobody tried out. What the kernel has is asked of the kernel.

use core::ffi::c_int;
use core::sync::atomic::{AtomicUsize, Ordering};

use super::ladder::Stack;
use super::origin;
use super::stack_memory::{counts_as, make, stays};
use super::substitute_records::{FREE, IDLE, IN_FORCE, Substitute, free, records};
pub(crate) use super::substitute_records::{Replaced, any};
use crate::arch;
use crate::os::call;

/// Set in the (even) pointer of a thread that has ended on the stack.
const ENDED: usize = 1;

/// The most stacks of ours that one thread may have.
const MOST: usize = 1024;

/// The most stacks of ours in all. Each takes two mappings, and three where the
/// kernel cannot join them with others, of 65,530 that a process has by default:
/// half of those are left to the program.
const MOST_IN_ALL: usize = 10_240;

/// How many stacks of threads that have ended are kept: another thread may
/// still resume a context on one of them.
const KEPT: usize = 256;

/// How many stacks of ours a thread keeps whose memory it has registered again
/// in another way. A handler on its ordinary stack may have done that: when it
/// returns, the kernel puts back the stack from before.
const BEFORE: usize = 8;

/// Where the search for stacks that can be given back continues.
static HAND: AtomicUsize = AtomicUsize::new(0);

/// The stack of ours that begins at `base`, whoever has it. Async-signal-safe.
pub(crate) fn find(base: usize) -> Option<&'static Substitute> {
    let there = |it: &&Substitute| it.state() != FREE && it.actual().base == base;
    if base == 0 { None } else { records().find(there) }
}

/// A stack for one registration: taken until it is [`settle`]d.
#[derive(Clone, Copy)]
pub(crate) struct Claim {
    record: &'static Substitute,
    /// What it stands in for, once it is installed.
    asked: Replaced,
    /// Its state before, which is [`FREE`] if it is new: then nothing can be on
    /// it.
    before: u32,
}

impl Claim {
    pub(crate) fn stack(self) -> Stack {
        self.record.actual()
    }
}

/// Why there is no stack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// The thread has too many.
    Full,
    /// The kernel gives no memory.
    Memory,
}

/// A stack of at least `size` bytes for the calling thread to register instead
/// of `wanted`. `tid` is its id, or 0. Async-signal-safe.
///
/// `ended` tells whether the thread with that id has ended, if that is to be
/// asked at all.
pub(crate) fn claim(
    tid: c_int,
    wanted: Replaced,
    size: usize,
    ended: impl Fn(c_int) -> bool,
) -> Result<Claim, Refusal> {
    let asked = wanted.stack;
    let (thread, here) = (arch::thread_pointer(), arch::stack_pointer());
    let now = call::current_altstack().map_or(0, |now| now.ss_sp as usize);
    let in_use =
        |stack: Stack| stack.base == now && now != 0 || here.wrapping_sub(stack.base) < stack.size;
    sweep(asked, now, ended);
    let (mut own, mut all, mut orphans, mut again, mut older) = (0, 0, 0, None, None);
    let mut latest = [None; BEFORE];
    for it in records().filter(|it| it.state() != FREE) {
        let mine = it.is_own(thread);
        let left = |it: &Substitute| it.is_own(thread | ENDED) && !in_use(it.actual());
        if it.take_if(IN_FORCE, &left) {
            it.give_back();
            continue;
        }
        all += 1;
        own += usize::from(mine);
        orphans += usize::from(it.is_orphan());
        // The memory is registered again: what was on our stack is gone. With
        // another size it gets another one, see `BEFORE`. So does another thread:
        // how deep this one went is no concern of that one's.
        // Without the comparison, one stack for each thread: a plant for tests
        // that must fail with it.
        let same = |it: &Substitute| {
            let actual = it.actual();
            (mine && it.asked() == asked
                || it.is_vacant()
                || cfg!(sigward_plant = "careless_stacks"))
                && actual.size >= size
                && here.wrapping_sub(actual.base) >= actual.size
        };
        let overlaps = |it: &Substitute| it.asked().overlaps(asked) && !in_use(it.actual());
        let before = if mine && it.state() == IN_FORCE { IN_FORCE } else { IDLE };
        if again.is_none() && it.take_if(before, &same) {
            again = Some((it, before));
        } else if it.state() == IDLE && overlaps(it) {
            let out = if mine { it.outlasts(&mut latest) } else { Some(it) };
            let Some(out) = out.filter(|out| out.take_if(IDLE, &overlaps)) else { continue };
            if mine && older.is_none() && out.actual().size >= size {
                // Rather than map a new one, if no other is found.
                older = Some(out);
            } else {
                out.give_back();
            }
        }
    }
    if again.is_some()
        && let Some(older) = older.take()
    {
        older.give_back();
    }
    if orphans > KEPT {
        let skipped = HAND.load(Ordering::Relaxed) % KEPT;
        for it in records().filter(|it| it.is_orphan()).skip(skipped).take(2) {
            if it.take_if(IDLE, &|it| it.is_own(0) && !in_use(it.actual())) {
                it.give_back();
                all -= usize::from(it.state() == FREE);
            }
        }
    }
    let (record, before) = match again.or(older.map(|older| (older, IDLE))) {
        Some(found) => found,
        None if own >= MOST || all >= MOST_IN_ALL => return Err(Refusal::Full),
        None => {
            let record = free().ok_or(Refusal::Memory)?;
            let Some(stack) = make(size) else {
                record.become_(FREE);
                return Err(Refusal::Memory);
            };
            record.actual.set(stack);
            record.stand_in_for(wanted);
            (record, FREE)
        }
    };
    counts_as(record.actual(), origin::proven(asked));
    record.tid.store(tid, Ordering::Relaxed);
    record.thread.store(thread, Ordering::Relaxed);
    Ok(Claim { record, asked: wanted, before })
}

/// The call with `claim`, if any, is over. If it was successful, the kernel has
/// that stack for this thread, and no other of ours. Async-signal-safe.
pub(crate) fn settle(claim: Option<Claim>, installed: bool) {
    let record = claim.map(|claim| core::ptr::from_ref(claim.record));
    if installed {
        let thread = arch::thread_pointer();
        let others = |it: &&Substitute| record != Some(core::ptr::from_ref(*it));
        for it in records().filter(|it| it.is_own(thread)).filter(others) {
            if it.take(IN_FORCE) {
                it.become_(IDLE);
            }
        }
    }
    match claim {
        None => {}
        Some(claim) if installed => {
            claim.record.stand_in_for(claim.asked);
            claim.record.is_latest();
            claim.record.become_(IN_FORCE);
        }
        Some(claim) if claim.before == FREE => claim.record.give_back(),
        Some(claim) => claim.record.become_(claim.before),
    }
}

/// Gives back a few stacks whose thread has ended without a notice while the
/// kernel had them for it, or whose program's memory is no longer mapped; not
/// the one at `now`, nor those for memory in `asked`.
fn sweep(asked: Stack, now: usize, ended: impl Fn(c_int) -> bool) {
    /// For each new stack, so that they cannot pile up.
    const AT_ONCE: usize = 4;
    let hand = HAND.load(Ordering::Relaxed);
    let mut seen = 0;
    let others = |it: &&Substitute| it.state() != FREE && it.actual().base != now;
    for it in records().filter(others).skip(hand).take(AT_ONCE) {
        seen += 1;
        let has_ended = |it: &Substitute| it.tid() != 0 && ended(it.tid());
        let is_unmapped = |it: &Substitute| {
            // A context that was left on it would have its frames at the top.
            let place = it.asked();
            !place.overlaps(asked) && call::is_free(place.base, place.size)
        };
        if it.take_if(IN_FORCE, &has_ended) {
            it.leave();
        } else if it.take_if(IDLE, &is_unmapped) {
            it.give_back();
        }
    }
    let next = if seen < AT_ONCE { 0 } else { hand.wrapping_add(AT_ONCE) };
    HAND.store(next, Ordering::Relaxed);
}

/// The calling thread is ending. Gives back the stack that the kernel has for
/// it, if nothing has run on it. That and those that it replaced before may hold
/// contexts that another thread resumes. Async-signal-safe.
pub(crate) fn thread_end() {
    if !any() {
        return;
    }
    let thread = arch::thread_pointer();
    let own = || records().filter(|it| it.is_own(thread));
    if stays() {
        // The kernel may not be asked either.
        own().filter(|it| it.take(IN_FORCE) || it.take(IDLE)).for_each(Substitute::orphan);
        return;
    }
    let now = call::current_altstack().map_or(0, |now| now.ss_sp as usize);
    for it in own() {
        if it.actual().base == now && now != 0 {
            if call::disable_altstack().is_err() {
                // The thread runs on it: it stays until another thread has this
                // thread pointer.
                it.thread.store(thread | ENDED, Ordering::Relaxed);
            } else if it.take(IN_FORCE) || it.take(IDLE) {
                it.leave();
            }
        } else if it.take(IN_FORCE) || it.take(IDLE) {
            it.orphan();
        }
    }
}

/// In the child of a fork only the calling thread lives on. It may still resume
/// a context of another's, or read what another's handler had. `before` and
/// `tid` are its ids in the parent and now.
pub(crate) fn in_child(before: c_int, tid: c_int) {
    let thread = arch::thread_pointer();
    for it in records().filter(|it| it.state() != FREE) {
        if !it.is_own(thread) {
            if it.take(IN_FORCE) || it.take(IDLE) {
                it.orphan();
            }
        } else if it.tid.load(Ordering::Relaxed) == before {
            it.tid.store(tid, Ordering::Relaxed);
        }
    }
}
