//! What a fork does to the stacks on record: see [`crate::altstack::fork`].

use core::ffi::c_int;

use super::{Place, Record, Registry, key, ready};
use crate::altstack::pins::Memory;
use crate::altstack::{ladder, origin, reach};
use crate::sys::page::Pages;

/// A flag set and undone takes as long as so many copies of pages, about.
const WORTH: usize = 3;

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
        let mut others = false;
        self.each(|_, record| {
            record.wiped = Pages::NONE;
            let planted = planted(record, own);
            if !(planted || spared(record)) {
                return;
            }
            record.proven = record.proven && is_locked_still(record.locked, memory);
            let mut pages = match (planted, record.proven) {
                (true, _) => record.held,
                (false, true) => record.locked,
                (false, false) => Pages::NONE,
            };
            if record.tid() == own && !planted {
                pages = memory.blank(pages);
                if pages.count() <= WORTH {
                    return;
                }
            }
            if wipe_on_fork(pages, memory) {
                record.wiped = pages;
                others |= record.tid() != own;
            }
        });
        // Whose flags the child is to undo it must know.
        self.records.leave_behind(!others);
        self.keep(own);
    }

    /// Notes what [`Registry::in_child`] needs. Included in
    /// [`Registry::before_fork`].
    pub fn keep(&mut self, own: c_int) {
        self.own = Place::ALL
            .map(|place| self.records.get(key(own, place)).copied().unwrap_or(Record::NONE));
        self.pins.leave_behind();
    }

    /// Undoes [`Registry::before_fork`], on either side.
    pub fn spare_no_more(&mut self, memory: &mut impl Memory) {
        for record in self.records.iter().filter(|record| !record.wiped.is_empty()) {
            let _ = memory.wipe_on_fork(record.wiped, false);
        }
    }

    /// After a fork, in the parent: undoes what was done before it, and makes
    /// what was copied writable again, first where a signal may come first.
    /// Returns how many stacks of other threads were copied.
    pub fn after_fork(&mut self, own: c_int, memory: &mut impl Memory) -> usize {
        let others = |record: &Record| {
            record.wiped.is_empty() && !record.held.is_empty() && record.tid() != own
        };
        let mut windows = 0_usize;
        // Whether more is to be done than for the frames.
        let mut more = false;
        self.each_that(
            |record| others(record) && !record.ordinary(),
            |_, record| {
                windows = windows.wrapping_add(1);
                more |= !make_ready(record, memory);
            },
        );
        if more {
            self.each_that(
                |record| others(record) && !record.ordinary(),
                |registry, record| registry.hold_copied(record, memory),
            );
        }
        // Only what is locked was spared.
        self.each_that(
            |record| {
                !record.wiped.is_empty() && record.held != record.locked && record.tid() != own
            },
            |_, record| record.held = ready(record, memory),
        );
        self.each_that(
            |record| others(record) && record.ordinary(),
            |registry, record| {
                windows = windows.wrapping_add(1);
                if !make_ready(record, memory) {
                    registry.hold_copied(record, memory);
                }
            },
        );
        // No signal reaches this thread until we are done.
        self.each_that(
            |record| record.tid() == own && record.wiped != record.held,
            |registry, record| {
                if !make_ready(record, memory) {
                    registry.hold_copied(record, memory);
                }
            },
        );
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
            if record.key == 0 {
                continue;
            }
            if !record.wiped.is_empty() {
                let _ = memory.wipe_on_fork(record.wiped, false);
            }
            self.adopt(new, place, record.wanted, memory);
        }
    }
}

/// Makes the pages of `record` writable again that the next frames need: by a
/// lock, which is faster, where they are locked. True if that is all it holds.
fn make_ready(record: &mut Record, memory: &mut impl Memory) -> bool {
    record.proven = record.proven && is_locked_still(record.locked, memory);
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
