//! The records of stacks of ours that stand in for the program's: pages of them,
//! linked from the published block. Other processes may read them.

use core::ffi::c_int;
use core::mem::offset_of;
use core::sync::atomic::{AtomicI32, AtomicPtr, AtomicU32, AtomicUsize, Ordering};

use super::ladder::Stack;
use super::stack_memory::{stays, unmap, was_used};
use crate::os::{call, page};
use crate::state::published_block::BLOCK;

/// No record.
pub(super) const FREE: u32 = 0;
/// Somebody changes it. Readers may use what it says if it has an address.
pub(super) const TAKEN: u32 = 1;
/// The stack exists, and a context of the program's may be on it.
pub(super) const IDLE: u32 = 2;
/// The kernel has the stack for the thread, as far as we have seen.
pub(super) const IN_FORCE: u32 = 3;

/// One stack of ours, and the one that it stands in for.
///
/// `docs/published-block.md` has the layout.
#[repr(C, align(64))]
pub(crate) struct Substitute {
    state: AtomicU32,
    /// The thread's id, or 0 if it was not asked for.
    pub(super) tid: AtomicI32,
    /// The pointer of the thread that registered it; 0 once that has ended.
    pub(super) thread: AtomicUsize,
    asked: Place,
    pub(super) actual: Place,
    usable: AtomicU32,
    needed: AtomicU32,
    /// When it was set: how many times one had been before.
    age: AtomicU32,
}

/// How often one was set.
static TIMES: AtomicU32 = AtomicU32::new(0);

/// A stack of the program's that is to be replaced.
#[derive(Clone, Copy)]
pub(crate) struct Replaced {
    /// As the program gave it.
    pub(crate) stack: Stack,
    /// How many bytes of it can be used.
    pub(crate) usable: usize,
    /// How many are needed.
    pub(crate) needed: usize,
}

const _: () = assert!(size_of::<Substitute>() == 64, "one line of the cache");

pub(super) struct Place {
    base: AtomicUsize,
    size: AtomicUsize,
}

impl Place {
    fn get(&self) -> Stack {
        let read = |word: &AtomicUsize| word.load(Ordering::Relaxed);
        Stack { base: read(&self.base), size: read(&self.size) }
    }

    pub(super) fn set(&self, stack: Stack) {
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

    /// What it stands in for. Only for whoever took the record.
    pub(super) fn stand_in_for(&self, asked: Replaced) {
        let store = |place: &AtomicU32, bytes: usize| {
            place.store(u32::try_from(bytes).unwrap_or(u32::MAX), Ordering::Relaxed);
        };
        store(&self.usable, asked.usable);
        store(&self.needed, asked.needed);
        self.asked.set(asked.stack);
    }

    /// It is being set. Only for whoever took the record.
    pub(super) fn is_latest(&self) {
        let times = TIMES.fetch_add(1, Ordering::Relaxed);
        self.age.store(times, Ordering::Relaxed);
    }

    /// Puts it among the `latest`, in place of the one that was set first.
    /// Returns that, which is this one if all others were set later.
    pub(super) fn outlasts(
        &'static self,
        latest: &mut [Option<&'static Substitute>],
    ) -> Option<&'static Substitute> {
        let now = TIMES.load(Ordering::Relaxed);
        let age = |it: &Substitute| now.wrapping_sub(it.age.load(Ordering::Relaxed));
        let mut out = self;
        for slot in latest {
            match slot {
                Some(it) if age(it) <= age(out) => {}
                Some(it) => core::mem::swap(it, &mut out),
                None => {
                    *slot = Some(out);
                    return None;
                }
            }
        }
        Some(out)
    }

    pub(super) fn state(&self) -> u32 {
        self.state.load(Ordering::Acquire)
    }

    pub(super) fn take(&self, from: u32) -> bool {
        self.state.compare_exchange(from, TAKEN, Ordering::Acquire, Ordering::Relaxed).is_ok()
    }

    /// Takes it if `holds`, which must hold once nobody else can change it: until
    /// then another thread may give it back and use it again.
    #[inline(never)] // for size
    pub(super) fn take_if(&self, from: u32, holds: &dyn Fn(&Self) -> bool) -> bool {
        if self.state() != from || !holds(self) || !self.take(from) {
            return false;
        }
        let still = holds(self);
        if !still {
            self.become_(from);
        }
        still
    }

    pub(super) fn become_(&self, state: u32) {
        self.state.store(state, Ordering::Release);
    }

    pub(super) fn is_own(&self, thread: usize) -> bool {
        self.thread.load(Ordering::Relaxed) == thread
    }

    /// Nobody has it in force, and its thread has ended. Only for whoever took
    /// the record.
    pub(super) fn orphan(&self) {
        self.thread.store(0, Ordering::Relaxed);
        self.become_(IDLE);
    }

    pub(super) fn is_orphan(&self) -> bool {
        self.is_own(0) && self.state() == IDLE
    }

    /// Whether the stack stands in for nothing: nobody has a context there.
    pub(super) fn is_vacant(&self) -> bool {
        self.asked() == NOWHERE && self.is_own(0)
    }

    /// Its thread has ended with it: keeps it if a handler has ever run there, as
    /// another thread may resume a context on it. Only for whoever took the
    /// record.
    pub(super) fn leave(&self) {
        // SAFETY: `make` made it; only this thread may unmap it.
        if unsafe { was_used(self.actual()) } {
            self.orphan();
        } else {
            self.give_back();
        }
    }

    /// Unmaps the stack, or lets another thread have it. Only for whoever took
    /// the record.
    pub(super) fn give_back(&self) {
        let stack = self.actual();
        self.asked.set(NOWHERE);
        self.thread.store(0, Ordering::Relaxed);
        if stays() && stack.base != 0 {
            self.become_(IDLE);
            return;
        }
        self.actual.set(NOWHERE);
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
    next: AtomicPtr<u8>,
    each: [Substitute; page::LEAST / size_of::<Substitute>() - 1],
}

// `docs/published-block.md` states this.
const _: () = {
    assert!(size_of::<Records>() == page::LEAST);
    assert!(offset_of!(Records, each) == 64);
    assert!(offset_of!(Substitute, asked) == 8 + size_of::<usize>());
    assert!(offset_of!(Substitute, usable) == 8 + 5 * size_of::<usize>());
};

const FIRST: &AtomicPtr<u8> = &BLOCK.force.substitutes;

/// The page that `link` leads to.
#[allow(clippy::cast_ptr_alignment, reason = "whole pages")]
fn behind(link: &AtomicPtr<u8>) -> Option<&'static Records> {
    // SAFETY: null, or a page that is never unmapped.
    unsafe { link.load(Ordering::Acquire).cast::<Records>().as_ref() }
}

/// Whether there was ever a stack of ours: one load.
#[inline]
pub(crate) fn any() -> bool {
    !FIRST.load(Ordering::Relaxed).is_null()
}

/// All records, used or not.
pub(super) fn records() -> All {
    All { page: behind(FIRST), at: 0 }
}

/// A walk over all records.
pub(super) struct All {
    page: Option<&'static Records>,
    at: usize,
}

impl Iterator for All {
    type Item = &'static Substitute;

    #[inline(never)] // for size
    fn next(&mut self) -> Option<&'static Substitute> {
        loop {
            let page = self.page?;
            if let Some(record) = page.each.get(self.at) {
                self.at = self.at.wrapping_add(1);
                return Some(record);
            }
            *self = All { page: behind(&page.next), at: 0 };
        }
    }
}

/// A free record, taken. `None` if the kernel gives no memory.
pub(super) fn free() -> Option<&'static Substitute> {
    loop {
        if let Some(free) = records().find(|it| it.state() == FREE && it.take(FREE)) {
            return Some(free);
        }
        let mut last = FIRST;
        while let Some(page) = behind(last) {
            last = &page.next;
        }
        let fresh = call::map_memory(page::size()).ok()?;
        let null = core::ptr::null_mut();
        let order = (Ordering::AcqRel, Ordering::Relaxed);
        // Zeroes are free records.
        if last.compare_exchange(null, fresh as *mut u8, order.0, order.1).is_err() {
            // SAFETY: nobody else has seen it.
            let _ = unsafe { call::unmap_memory(fresh, page::size()) };
        }
    }
}
