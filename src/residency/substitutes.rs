//! Stacks of ours that stand in for stacks of the program's: the records.
//! [`crate::small_stacks`] decides which.
//!
//! Each stack of the program's has its own. A program may keep a context on a
//! stack that it has long replaced, and jump back to it (coroutines are made
//! that way). So a stack of ours is given back only by proof: the program's own
//! memory is registered again or no longer mapped, or the thread has ended
//! while the kernel had that stack for it, so that nothing is left on it.
//!
//! There is no lock: a record is changed by whoever has [`TAKEN`] it. Signals
//! need not be blocked, and no system call is needed except to map memory, so
//! this also works where nothing was prepared, and under a seccomp filter that
//! nobody tried out. What the kernel has is asked of the kernel.

use core::ffi::c_int;
use core::sync::atomic::{AtomicI32, AtomicPtr, AtomicU32, AtomicUsize, Ordering};

use super::ladder::Stack;
use super::stack_memory::{make, unmap};
use crate::arch;
use crate::os::{call, page};

/// No record.
const FREE: u32 = 0;
/// Somebody changes it. Readers may use what it says if it has an address.
const TAKEN: u32 = 1;
/// The stack exists, and a context of the program's may be on it.
const IDLE: u32 = 2;
/// The kernel has the stack for the thread, as far as we have seen.
const IN_FORCE: u32 = 3;

/// Set in the (even) pointer of a thread that has ended on the stack.
const ENDED: usize = 1;

/// The most stacks of ours that one thread may have.
const MOST: usize = 1024;

/// The most stacks of ours in all. Each takes two mappings, of which a process
/// has 65,530 by default.
const MOST_IN_ALL: usize = 12_288;

/// How many stacks of threads that have ended are kept: another thread may
/// still resume a context on one of them.
const KEPT: usize = 256;

/// One stack of ours, and the one that it stands in for.
#[repr(C, align(64))]
pub(crate) struct Substitute {
    state: AtomicU32,
    /// The thread's id, or 0 if it was not asked for.
    tid: AtomicI32,
    /// The pointer of the thread that registered it; 0 once that has ended.
    thread: AtomicUsize,
    asked: Place,
    actual: Place,
}

const _: () = assert!(size_of::<Substitute>() == 64, "one line of the cache");

struct Place {
    base: AtomicUsize,
    size: AtomicUsize,
}

impl Place {
    fn get(&self) -> Stack {
        let read = |word: &AtomicUsize| word.load(Ordering::Relaxed);
        Stack { base: read(&self.base), size: read(&self.size) }
    }

    fn set(&self, stack: Stack) {
        self.size.store(stack.size, Ordering::Relaxed);
        self.base.store(stack.base, Ordering::Release);
    }
}

const NOWHERE: Stack = Stack { base: 0, size: 0 };

impl Substitute {
    /// The stack that the program registered.
    pub(crate) fn asked(&self) -> Stack {
        self.asked.get()
    }

    /// The stack that the kernel got instead.
    pub(crate) fn actual(&self) -> Stack {
        self.actual.get()
    }

    /// The id of the thread that registered it; 0 if it was not asked for.
    pub(crate) fn tid(&self) -> c_int {
        self.tid.load(Ordering::Relaxed)
    }

    fn state(&self) -> u32 {
        self.state.load(Ordering::Acquire)
    }

    fn take(&self, from: u32) -> bool {
        self.state.compare_exchange(from, TAKEN, Ordering::Acquire, Ordering::Relaxed).is_ok()
    }

    fn become_(&self, state: u32) {
        self.state.store(state, Ordering::Release);
    }

    fn is_own(&self, thread: usize) -> bool {
        self.thread.load(Ordering::Relaxed) == thread
    }

    /// Nobody has it in force, and its thread has ended. Only for whoever took
    /// the record.
    fn orphan(&self) {
        self.thread.store(0, Ordering::Relaxed);
        self.become_(IDLE);
    }

    fn is_orphan(&self) -> bool {
        self.is_own(0) && self.state() == IDLE
    }

    /// Unmaps the stack. Only for whoever took the record.
    fn give_back(&self) {
        let stack = self.actual();
        self.asked.set(NOWHERE);
        self.actual.set(NOWHERE);
        self.thread.store(0, Ordering::Relaxed);
        if stack.base != 0 {
            // SAFETY: `make` made it, and no thread uses it any more.
            unsafe { unmap(stack) };
        }
        self.become_(FREE);
    }
}

/// Records, a page of them where pages are smallest. They are never unmapped.
#[repr(C)]
struct Records {
    next: AtomicPtr<Records>,
    each: [Substitute; page::LEAST / size_of::<Substitute>() - 1],
}

const _: () = assert!(size_of::<Records>() == page::LEAST);

static FIRST: AtomicPtr<Records> = AtomicPtr::new(core::ptr::null_mut());

/// Where the search for stacks that can be given back continues.
static HAND: AtomicUsize = AtomicUsize::new(0);

/// Whether there was ever a stack of ours: one load.
#[inline]
pub(crate) fn any() -> bool {
    !FIRST.load(Ordering::Relaxed).is_null()
}

/// All records, used or not.
fn records() -> All {
    All { page: FIRST.load(Ordering::Acquire), at: 0 }
}

/// A walk over all records.
struct All {
    page: *const Records,
    at: usize,
}

impl Iterator for All {
    type Item = &'static Substitute;

    #[inline(never)] // for size
    fn next(&mut self) -> Option<&'static Substitute> {
        loop {
            // SAFETY: null, or a page that is never unmapped.
            let page = unsafe { self.page.as_ref() }?;
            if let Some(record) = page.each.get(self.at) {
                self.at = self.at.wrapping_add(1);
                return Some(record);
            }
            *self = All { page: page.next.load(Ordering::Acquire), at: 0 };
        }
    }
}

/// The stack of ours that begins at `base`, whoever has it. Async-signal-safe.
pub(crate) fn find(base: usize) -> Option<&'static Substitute> {
    let there = |it: &&Substitute| it.state() != FREE && it.actual().base == base;
    if base == 0 { None } else { records().find(there) }
}

/// A free record, taken. `None` if the kernel gives no memory.
fn free() -> Option<&'static Substitute> {
    loop {
        if let Some(free) = records().find(|it| it.state() == FREE && it.take(FREE)) {
            return Some(free);
        }
        let mut last = &FIRST;
        // SAFETY: null, or a page that is never unmapped.
        while let Some(page) = unsafe { last.load(Ordering::Acquire).as_ref() } {
            last = &page.next;
        }
        let fresh = call::map_memory(page::size()).ok()?;
        let null = core::ptr::null_mut();
        let order = (Ordering::AcqRel, Ordering::Relaxed);
        // Zeroes are free records.
        if last.compare_exchange(null, fresh as *mut Records, order.0, order.1).is_err() {
            // SAFETY: nobody else has seen it.
            let _ = unsafe { call::unmap_memory(fresh, page::size()) };
        }
    }
}

/// A stack for one registration: taken until it is [`settle`]d.
#[derive(Clone, Copy)]
pub(crate) struct Claim {
    record: &'static Substitute,
    /// What it stands in for, once it is installed.
    asked: Stack,
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
/// of `asked`. `tid` is its id, or 0. Async-signal-safe.
///
/// `ended` tells whether the thread with that id has ended, if that is to be
/// asked at all.
pub(crate) fn claim(
    tid: c_int,
    asked: Stack,
    size: usize,
    ended: impl Fn(c_int) -> bool,
) -> Result<Claim, Refusal> {
    let (thread, here) = (arch::thread_pointer(), arch::stack_pointer());
    let now = call::current_altstack().map_or(0, |now| now.ss_sp as usize);
    let in_use =
        |stack: Stack| stack.base == now && now != 0 || here.wrapping_sub(stack.base) < stack.size;
    sweep(asked, now, ended);
    let (mut own, mut all, mut orphans, mut again) = (0, 0, 0, None);
    for it in records().filter(|it| it.state() != FREE) {
        let actual = it.actual();
        let mine = it.is_own(thread);
        if it.is_own(thread | ENDED) && !in_use(actual) && it.take(IN_FORCE) {
            it.give_back();
            continue;
        }
        all += 1;
        own += usize::from(mine);
        orphans += usize::from(it.is_orphan());
        // The memory is registered again: what was on our stack is gone.
        let same = it.asked().base == asked.base && actual.size >= size;
        let apart = here.wrapping_sub(actual.base) >= actual.size;
        let before = if mine && it.state() == IN_FORCE { IN_FORCE } else { IDLE };
        if again.is_none() && same && apart && it.take(before) {
            again = Some((it, before));
        } else if it.asked().overlaps(asked) && !in_use(actual) && it.take(IDLE) {
            it.give_back();
        }
    }
    let (record, before) = match again {
        Some(found) => found,
        None if own >= MOST || all >= MOST_IN_ALL => return Err(Refusal::Full),
        None => {
            let record = free().ok_or(Refusal::Memory)?;
            let Some(stack) = make(size) else {
                record.become_(FREE);
                return Err(Refusal::Memory);
            };
            record.actual.set(stack);
            record.asked.set(asked);
            (record, FREE)
        }
    };
    if orphans > KEPT {
        let skipped = HAND.load(Ordering::Relaxed) % KEPT;
        for it in records().filter(|it| it.is_orphan()).skip(skipped).take(2) {
            if !in_use(it.actual()) && it.take(IDLE) {
                it.give_back();
            }
        }
    }
    record.tid.store(tid, Ordering::Relaxed);
    record.thread.store(thread, Ordering::Relaxed);
    Ok(Claim { record, asked, before })
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
            claim.record.asked.set(claim.asked);
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
        let (place, tid) = (it.asked(), it.tid());
        let gone = match it.state() {
            IN_FORCE => tid != 0 && ended(tid) && it.take(IN_FORCE),
            IDLE => {
                let mapped = place.overlaps(asked) || !call::is_free(place.base, place.size);
                !mapped && it.take(IDLE)
            }
            _ => false,
        };
        if gone {
            it.give_back();
        }
    }
    let next = if seen < AT_ONCE { 0 } else { hand.wrapping_add(AT_ONCE) };
    HAND.store(next, Ordering::Relaxed);
}

/// The calling thread is ending. Gives back the stack that the kernel has for
/// it. Those that it replaced before may hold contexts that another thread
/// resumes. Async-signal-safe.
pub(crate) fn thread_end() {
    if !any() {
        return;
    }
    let thread = arch::thread_pointer();
    let own = || records().filter(|it| it.is_own(thread));
    let now = call::current_altstack().map_or(0, |now| now.ss_sp as usize);
    for it in own() {
        if it.actual().base == now && now != 0 {
            if call::disable_altstack().is_err() {
                // The thread runs on it: it stays until another thread has this
                // thread pointer.
                it.thread.store(thread | ENDED, Ordering::Relaxed);
            } else if it.take(IN_FORCE) || it.take(IDLE) {
                it.give_back();
            }
        } else if it.take(IN_FORCE) || it.take(IDLE) {
            it.orphan();
        }
    }
}

/// In the child of a fork only the calling thread lives on. Unmaps the stacks
/// that the kernel had for the others; `before` and `tid` are its ids in the
/// parent and now, `here` its stack pointer.
pub(crate) fn in_child(before: c_int, tid: c_int, here: usize) {
    let thread = arch::thread_pointer();
    for it in records().filter(|it| it.state() != FREE) {
        let (actual, own) = (it.actual(), it.is_own(thread));
        if !own && here.wrapping_sub(actual.base) < actual.size {
            // This thread has resumed a context there.
            if it.take(IN_FORCE) {
                it.orphan();
            }
        } else if !own {
            if it.take(IN_FORCE) {
                it.give_back();
            }
        } else if it.tid.load(Ordering::Relaxed) == before {
            it.tid.store(tid, Ordering::Relaxed);
        }
    }
}
