//! What a fork does to the stacks on record: see [`crate::altstack::fork`].

use core::ffi::c_int;

use super::hold::ready;
use super::{Place, Record, Registry, key};
use crate::altstack::pins::Memory;
use crate::altstack::{ladder, origin, reach};
use crate::sys::page::Pages;

/// A flag set and undone takes as long as so many copies of pages, about.
const WORTH: usize = 3;

/// What a fork is kept from copying, for both sides to undo it. As long as it
/// is noted here, on a page that every fork writes to, the table of records is
/// not copied: that takes longer than what it says.
pub(super) struct Spared {
    /// How many there are.
    count: usize,
    /// All of them, if there is room.
    pages: [Pages; 64],
}

impl Spared {
    pub(super) const fn none() -> Self {
        Spared { count: 0, pages: [Pages::NONE; 64] }
    }

    fn add(&mut self, pages: Pages) {
        if let Some(place) = self.pages.get_mut(self.count) {
            *place = pages;
        }
        self.count = self.count.wrapping_add(1);
    }

    /// All of them; `None` if there was no room.
    fn all(&self) -> Option<&[Pages]> {
        self.pages.get(..self.count)
    }
}

/// What of a stack a fork has copied, and so write-protected in the parent.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Copied {
    Nothing,
    /// What lies below the spared part of another thread's stack: only what is
    /// locked was spared.
    Below,
    /// Another thread's alternate stack.
    Alternate,
    /// Another thread's own stack.
    Ordinary,
    /// A stack of the forking thread's.
    Own,
}

impl Copied {
    fn of(record: &Record, own: c_int) -> Self {
        match record.wiped.is_empty() {
            _ if record.tid() == own && record.wiped != record.held => Copied::Own,
            _ if record.tid() == own || record.held.is_empty() => Copied::Nothing,
            false if record.held == record.locked => Copied::Nothing,
            false => Copied::Below,
            true if record.ordinary() => Copied::Ordinary,
            true => Copied::Alternate,
        }
    }
}

impl Registry {
    /// A fork is imminent: keeps from being copied, if they are their threads'
    /// still,
    /// - the proven stacks of threads other than `own`, unless `own`, whose
    ///   stack pointer is `here`, may be running on the same memory;
    /// - of those of `own` that it is not running on, what is blank: the child
    ///   finds the zeroes that a copy would have. Nobody else writes there.
    ///
    /// Two calls for each, and one to undo it: they are most of what a fork
    /// beside many threads costs.
    pub fn before_fork(
        &mut self,
        own: c_int,
        here: usize,
        exists: impl Fn(c_int) -> bool,
        memory: &mut impl Memory,
    ) {
        let under_own_feet = Place::ALL.map(|place| {
            let stack = self.wanted(own, place).map(|wanted| wanted.stack);
            stack.and_then(|stack| Some(Pages::around(stack.base, stack.top()?)))
        });
        let apart =
            |pages: Pages| under_own_feet.iter().flatten().all(|own| pages.common(*own).is_empty());
        let spared = |record: &Record| {
            let others = || apart(record.held) && exists(record.tid());
            record.proven
                && !origin::under_feet(record.wanted.stack, here)
                && (record.tid() == own || others())
        };
        let mut wiped = |record: &mut Record| {
            let planted = planted(record, own);
            if !(planted || spared(record)) {
                return Pages::NONE;
            }
            if !planted && !is_locked_still(record.locked, memory) {
                record.proven = false;
                return Pages::NONE;
            }
            let mut pages = if planted { record.held } else { record.locked };
            if record.tid() == own && !planted {
                pages = memory.blank(pages);
                if pages.count() <= WORTH {
                    return Pages::NONE;
                }
            }
            if wipe_on_fork(pages, memory) { pages } else { Pages::NONE }
        };
        self.spared.count = 0;
        for record in self.records.iter_mut() {
            let wiped = wiped(record);
            if !wiped.is_empty() {
                self.spared.add(wiped);
            }
            // After a fork the kernel copies what is written to.
            if record.wiped != wiped {
                record.wiped = wiped;
            }
        }
        // What the child is to undo it must know.
        self.records.leave_behind(self.spared.all().is_some());
        self.keep(own);
    }

    /// Notes what [`Registry::in_child`] needs. Included in
    /// [`Registry::before_fork`].
    pub fn keep(&mut self, own: c_int) {
        for (kept, place) in self.own.iter_mut().zip(Place::ALL) {
            *kept = self.records.get(key(own, place)).copied().unwrap_or(Record::NONE);
        }
        self.pins.leave_behind();
    }

    /// Undoes [`Registry::before_fork`], on either side.
    pub fn spare_no_more(&mut self, memory: &mut impl Memory) {
        if let Some(all) = self.spared.all() {
            for pages in all {
                let _ = memory.wipe_on_fork(*pages, false);
            }
        } else {
            for record in self.records.iter().filter(|record| !record.wiped.is_empty()) {
                let _ = memory.wipe_on_fork(record.wiped, false);
            }
        }
        self.spared.count = 0;
    }

    /// After a fork, in the parent: undoes what was done before it, and makes
    /// what was copied writable again, first where a signal may come first.
    /// Returns how many stacks of other threads were copied.
    pub fn after_fork(&mut self, own: c_int, memory: &mut impl Memory) -> usize {
        let mut windows = 0_usize;
        // What is left to do once all the next frames are safe: mostly nothing.
        let (mut rest, mut below, mut ordinary, mut ours) = (false, false, false, false);
        for record in self.records.iter_mut() {
            match Copied::of(record, own) {
                Copied::Nothing => {}
                Copied::Below => below = true,
                Copied::Ordinary => ordinary = true,
                Copied::Own => ours = true,
                Copied::Alternate => {
                    windows = windows.wrapping_add(1);
                    rest |= !make_ready(record, memory);
                }
            }
        }
        if rest {
            self.each_that(
                |record| Copied::of(record, own) == Copied::Alternate,
                |registry, record| registry.hold_copied(record, memory),
            );
        }
        if below {
            self.each_that(
                |record| Copied::of(record, own) == Copied::Below,
                |_, record| record.held = ready(record, memory),
            );
        }
        let mut both = |registry: &mut Self, record: &mut Record| {
            if !make_ready(record, memory) {
                registry.hold_copied(record, memory);
            }
        };
        if ordinary {
            self.each_that(
                |record| Copied::of(record, own) == Copied::Ordinary,
                |registry, record| {
                    windows = windows.wrapping_add(1);
                    both(registry, record);
                },
            );
        }
        // No signal reaches this thread until we are done.
        if ours {
            self.each_that(|record| Copied::of(record, own) == Copied::Own, both);
        }
        self.spare_no_more(memory);
        windows
    }

    /// Has the lock fault in what [`make_ready`] left.
    fn hold_copied(&mut self, record: &mut Record, memory: &mut impl Memory) {
        if record.pinned() && memory.lock(record.locked).is_ok() {
            record.held = ready(record, memory);
        } else {
            self.restore(record, memory);
        }
    }

    /// After a fork, in the child: a new process with one thread, `new`, and
    /// without any lock. Keeps the stacks that [`Registry::keep`] noted.
    pub fn in_child(&mut self, new: c_int, memory: &mut impl Memory) {
        self.spare_no_more(memory);
        let own = self.own;
        *self = Registry::new();
        reach::clear();
        for (place, record) in Place::ALL.into_iter().zip(own) {
            if record.key != 0 {
                self.adopt(new, place, record.wanted, memory);
            }
        }
    }
}

/// Makes the pages of `record` writable again that the next frames need: by a
/// lock, which is faster, where they are locked. True if that is all it holds.
fn make_ready(record: &mut Record, memory: &mut impl Memory) -> bool {
    if record.proven && !is_locked_still(record.locked, memory) {
        record.proven = false;
    }
    let frames = ladder::frames(record.wanted.stack, record.wanted.window).common(record.held);
    let locked = record.pinned() && frames.common(record.locked) == frames;
    if !(locked && memory.lock(frames).is_ok()) {
        memory.touch(frames);
        // That does not tell, and ends at a hole.
        let lowest = Pages { end: frames.first.wrapping_add(1), ..frames };
        if record.pinned() || memory.touch_down(lowest).is_empty() {
            return false;
        }
    }
    frames == record.held
}

/// Whether memory that we locked is what it was: something else may have been
/// mapped in its place, unseen by us. The first page tells, as no thread can
/// use a stack of which the top was replaced.
fn is_locked_still(locked: Pages, memory: &mut impl Memory) -> bool {
    memory.locked(Pages { end: locked.first.wrapping_add(1), ..locked }) == Ok(true)
}

/// Flags `pages`: all of them, or none. True if there are some, and they were.
fn wipe_on_fork(pages: Pages, memory: &mut impl Memory) -> bool {
    let flagged = !pages.is_empty() && memory.wipe_on_fork(pages, true).is_ok();
    if !flagged && !pages.is_empty() {
        // A failure may have flagged a part.
        let _ = memory.wipe_on_fork(pages, false);
    }
    flagged
}

/// Wrong choices, for the tests that must fail with them.
fn planted(record: &Record, own: c_int) -> bool {
    let others = record.tid() != own;
    cfg!(sigward_plant = "wipe_heap") && others && !record.ordinary()
        || cfg!(sigward_plant = "wipe_ordinary") && others && record.ordinary()
        || cfg!(sigward_plant = "wipe_own") && !others && !record.ordinary()
}
