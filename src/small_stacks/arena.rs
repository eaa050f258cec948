//! Memory for one alternate stack per thread: the slots, and whose they are.
//!
//! An arena is one reserved range of addresses. Its first page has the record
//! of its slots; each slot is a guard and a stack above it. A stack takes memory
//! only where it was used, and addresses are never given back. Everything is
//! lock-free, so a handler or a forked child finds nothing half done, and
//! async-signal-safe.

use core::ffi::c_int;
use core::mem::offset_of;
use core::ptr;
use core::sync::atomic::{AtomicI32, AtomicPtr, AtomicU64, AtomicUsize, Ordering};

use crate::os::{call, page};
use crate::residency::ladder::Stack;
use crate::residency::stack_memory;
use crate::state::published_block::BLOCK;

/// One bit each in a word.
const SLOTS: usize = 64;

/// The latest arena; null while no thread was given a stack.
const LATEST: &AtomicPtr<u8> = &BLOCK.counters.measured.arenas;

/// Bytes of each stack.
static SIZE: AtomicUsize = AtomicUsize::new(0);

/// Where the search for threads that ended unseen goes on.
static HAND: AtomicUsize = AtomicUsize::new(0);

/// The record at the start of an arena. Other processes may read it:
/// `docs/published-block.md` has the layout.
#[repr(C)]
struct Arena {
    /// The arena before; arenas are never unmapped.
    before: *const Arena,
    /// Bytes of each stack.
    size: usize,
    /// The slots that are taken.
    taken: AtomicU64,
    /// The slots whose stack was made writable.
    writable: AtomicU64,
    owners: [Owner; SLOTS],
}

const _: () = {
    assert!(size_of::<Arena>() <= page::LEAST);
    assert!(offset_of!(Arena, taken) == 2 * size_of::<usize>());
    assert!(offset_of!(Arena, owners) == 2 * size_of::<usize>() + 16);
    assert!(size_of::<Owner>() == 2 * size_of::<usize>());
};

#[repr(C)]
struct Owner {
    /// Its number; 0 while the slot is on its way to or from a thread; [`LEFT`].
    thread: AtomicI32,
    /// Its thread pointer; 0 if it has ended, or does not use the slot.
    pointer: AtomicUsize,
}

/// In place of a thread's number: it was the stack of a thread of a process from
/// which this one was forked.
const LEFT: c_int = -1;

/// A slot.
#[derive(Clone, Copy)]
pub(crate) struct Slot {
    arena: &'static Arena,
    index: usize,
}

/// Sets the size of the stacks, in bytes. Call this once, at load.
pub(crate) fn prepare(size: usize) {
    SIZE.store(size.next_multiple_of(page::size()), Ordering::Relaxed);
}

/// Whether any thread was ever given a stack: one relaxed load.
#[inline]
pub(crate) fn exist() -> bool {
    !LATEST.load(Ordering::Relaxed).is_null()
}

#[allow(clippy::cast_ptr_alignment, reason = "whole pages")]
fn latest() -> *mut Arena {
    LATEST.load(Ordering::Acquire).cast()
}

fn arenas() -> impl Iterator<Item = &'static Arena> {
    let mut next = latest().cast_const();
    core::iter::from_fn(move || {
        // SAFETY: null, or an arena, which is complete before it is found here.
        let arena = unsafe { next.as_ref() }?;
        next = arena.before;
        Some(arena)
    })
}

/// The slots that are taken.
pub(crate) fn slots() -> impl Iterator<Item = Slot> {
    arenas().flat_map(|arena| {
        let taken = arena.taken.load(Ordering::Acquire);
        let slots = (0..SLOTS).filter(move |index| taken >> index & 1 != 0);
        slots.map(move |index| Slot { arena, index })
    })
}

/// The slot of the thread with this thread pointer.
pub(crate) fn of_thread(pointer: usize) -> Option<Slot> {
    slots().find(|slot| slot.owner().is_some_and(|owner| owner.is_at(pointer)))
}

/// Whether `address` is in a stack or guard of ours; the stack if so.
pub(crate) fn around(address: usize) -> Option<Stack> {
    let arena = arenas().find(|arena| address.wrapping_sub(arena.address()) < arena.length())?;
    let within = address.wrapping_sub(arena.address()).checked_sub(page::size())?;
    let index = within.checked_div(arena.stride())?;
    Some(Slot { arena, index }.stack())
}

/// Takes a slot for the calling thread. `None` if there is no memory for it.
pub(crate) fn take(thread: c_int, pointer: usize) -> Option<Slot> {
    // A thread that had this thread pointer has ended.
    let slot =
        of_thread(pointer).or_else(take_free).or_else(|| make().and_then(|()| take_free()))?;
    if let Some(owner) = slot.owner() {
        owner.thread.store(thread, Ordering::Relaxed);
        owner.pointer.store(pointer, Ordering::Release);
    }
    Some(slot)
}

fn take_free() -> Option<Slot> {
    for arena in arenas() {
        let mut taken = arena.taken.load(Ordering::Relaxed);
        while taken != u64::MAX {
            let index = (!taken).trailing_zeros() as usize;
            let bit = 1 << index;
            taken = arena.taken.fetch_or(bit, Ordering::AcqRel);
            if taken & bit == 0 {
                let slot = Slot { arena, index };
                return slot.make_writable().then_some(slot);
            }
        }
    }
    None
}

/// Adds an arena.
fn make() -> Option<()> {
    let size = SIZE.load(Ordering::Relaxed);
    let length = page::size() + SLOTS * (page::size() + size);
    let start = call::reserve(length, libc::PROT_NONE).ok()?;
    let protection = libc::PROT_READ | libc::PROT_WRITE;
    if call::protect(start, page::size(), protection).is_err() {
        // SAFETY: nobody else knows it.
        let _ = unsafe { call::unmap_memory(start, length) };
        return None;
    }
    let arena = start as *mut Arena;
    let mut before = latest();
    loop {
        // SAFETY: ours alone until it is found in `LATEST`; zeroes are valid for
        // the other fields.
        unsafe {
            (*arena).before = before;
            (*arena).size = size;
        }
        let change = (Ordering::AcqRel, Ordering::Acquire);
        if LATEST.compare_exchange(before.cast(), arena.cast(), change.0, change.1).is_ok() {
            return Some(());
        }
        before = latest();
    }
}

/// Looks at a few slots, in turn: those of threads that ended unseen are free
/// again. `ended` is called first.
pub(crate) fn sweep(exists: impl Fn(c_int) -> bool, ended: impl Fn(Slot)) {
    const AT_ONCE: usize = 2;
    let mut count = 0;
    let hand = HAND.fetch_add(AT_ONCE, Ordering::Relaxed);
    for slot in slots().skip(hand).take(AT_ONCE) {
        count += 1;
        let Some(thread) = slot.thread().filter(|&thread| !exists(thread)) else { continue };
        let Some(owner) = slot.owner() else { continue };
        let ours = owner.thread.compare_exchange(thread, 0, Ordering::AcqRel, Ordering::Relaxed);
        if ours.is_ok() {
            ended(slot);
            slot.free();
        }
    }
    if count < AT_ONCE {
        HAND.store(0, Ordering::Relaxed);
    }
}

impl Arena {
    fn address(&self) -> usize {
        ptr::from_ref(self) as usize
    }

    fn stride(&self) -> usize {
        page::size() + self.size
    }

    fn length(&self) -> usize {
        page::size() + SLOTS * self.stride()
    }
}

impl Owner {
    fn is_at(&self, pointer: usize) -> bool {
        self.pointer.load(Ordering::Acquire) == pointer
    }
}

impl Slot {
    fn owner(self) -> Option<&'static Owner> {
        self.arena.owners.get(self.index)
    }

    fn bit(self) -> u64 {
        1 << (self.index % SLOTS)
    }

    /// The stack, above its guard.
    pub(crate) fn stack(self) -> Stack {
        let guards = page::size().wrapping_mul(self.index + 2);
        let base = self.arena.address() + guards + self.index * self.arena.size;
        Stack { base, size: self.arena.size }
    }

    /// The number of its thread; `None` if it has none now.
    pub(crate) fn thread(self) -> Option<c_int> {
        let thread = self.owner()?.thread.load(Ordering::Relaxed);
        (thread > 0).then_some(thread)
    }

    fn is_writable(self) -> bool {
        self.arena.writable.load(Ordering::Relaxed) & self.bit() != 0
    }

    fn make_writable(self) -> bool {
        let Stack { base, size } = self.stack();
        if self.is_writable() {
            return true;
        }
        if call::protect(base, size, libc::PROT_READ | libc::PROT_WRITE).is_err() {
            self.free();
            return false;
        }
        self.arena.writable.fetch_or(self.bit(), Ordering::Relaxed);
        true
    }

    /// Its thread does not use it any more, but may still be running on it: it
    /// is found by [`sweep`] when the thread has ended.
    pub(crate) fn leave(self) {
        if let Some(owner) = self.owner() {
            owner.pointer.store(0, Ordering::Release);
        }
    }

    /// Gives back its memory and lets another thread have it.
    pub(crate) fn free(self) {
        let Stack { base, size } = self.stack();
        if call::empty(base, size).is_err() {
            // Locked by mlockall(2), for example. The next thread expects
            // zeroes, or its depth would be ours.
            // SAFETY: nobody's stack any more.
            let _ = unsafe { call::write_zeroes(base, size) };
        }
        if let Some(owner) = self.owner() {
            owner.thread.store(0, Ordering::Relaxed);
            owner.pointer.store(0, Ordering::Relaxed);
        }
        self.arena.taken.fetch_and(!self.bit(), Ordering::Release);
    }

    /// In a forked child, whose only thread is a copy of the one with `pointer`.
    /// False if the slot is not that thread's.
    pub(crate) fn follow_fork(self, thread: c_int, pointer: usize) -> bool {
        let own = self.owner().filter(|owner| owner.is_at(pointer));
        if let Some(owner) = own {
            owner.thread.store(thread, Ordering::Relaxed);
        }
        own.is_some()
    }

    /// In a forked child that has no such thread: whether a handler may have
    /// left something there.
    pub(crate) fn was_used(self) -> bool {
        // SAFETY: it is writable, and arenas are never unmapped.
        self.is_writable() && unsafe { stack_memory::was_used(self.stack()) }
    }

    /// In a forked child that has no such thread: keeps what is there.
    pub(crate) fn keep(self) {
        if let Some(owner) = self.owner() {
            owner.thread.store(LEFT, Ordering::Relaxed);
            owner.pointer.store(0, Ordering::Relaxed);
        }
    }
}
