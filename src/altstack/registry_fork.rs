//! What a fork does to the stacks on record: see [`crate::altstack::fork`].

use core::ffi::c_int;

use super::{Place, Record, Registry, key, ready};
use crate::altstack::pins::Memory;
use crate::altstack::{ladder, origin, reach};
use crate::sys::page::Pages;

impl Registry {
    /// A fork is imminent: keeps the proven stacks of threads other than `own`
    /// from being copied, if they are their threads' still, and unless `own`,
    /// whose stack pointer is `here`, may be running on the same memory.
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
        let spared = |record: &Record| {
            record.proven
                && record.tid() != own
                && !origin::under_feet(record.wanted.stack, here)
                && under_own_feet.iter().flatten().all(|own| record.held.common(*own).is_empty())
                && exists(record.tid())
        };
        let candidate = |record: &Record| spared(record) || planted(record, own);
        self.each_that(candidate, |_, record| {
            record.proven = record.proven && is_locked_still(record.locked, memory);
            record.wiped =
                (record.proven || planted(record, own)) && wipe_on_fork(record.firm(), memory);
        });
    }

    /// Undoes [`Registry::before_fork`], on either side.
    pub fn spare_no_more(&mut self, memory: &mut impl Memory) {
        self.each_that(
            |record| record.wiped,
            |_, record| {
                let _ = memory.wipe_on_fork(record.firm(), false);
                record.wiped = false;
            },
        );
    }

    /// After a fork, in the parent: undoes what was done before it, and makes
    /// what was copied writable again, first where a signal may come first.
    /// Returns how many stacks of other threads were copied.
    pub fn after_fork(&mut self, own: c_int, memory: &mut impl Memory) -> usize {
        let copied = |record: &Record| !record.wiped && !record.held.is_empty();
        let others = |record: &Record| copied(record) && record.tid() != own;
        let mut windows = 0_usize;
        self.each_that(
            |record| others(record) && !record.ordinary(),
            |_, record| make_ready(record, memory),
        );
        self.each_that(
            |record| others(record) && !record.ordinary(),
            |registry, record| {
                registry.hold_copied(record, memory);
                windows = windows.wrapping_add(1);
            },
        );
        // Only what is locked was spared.
        self.each_that(
            |record| record.wiped && record.held != record.locked,
            |_, record| record.held = ready(record, memory),
        );
        self.each_that(
            |record| others(record) && record.ordinary(),
            |registry, record| {
                make_ready(record, memory);
                registry.hold_copied(record, memory);
                windows = windows.wrapping_add(1);
            },
        );
        // No signal reaches this thread until we are done.
        self.each_that(
            |record| copied(record) && record.tid() == own,
            |registry, record| {
                make_ready(record, memory);
                registry.hold_copied(record, memory);
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

    /// After a fork, in the child: a new process with one thread, `new`, which
    /// was `old`, and without any lock. Keeps its stacks only.
    pub fn in_child(&mut self, old: c_int, new: c_int, memory: &mut impl Memory) {
        self.spare_no_more(memory);
        let own = Place::ALL.map(|place| (place, self.records.get(key(old, place)).copied()));
        *self = Registry::new();
        reach::clear();
        for (place, record) in own {
            if let Some(record) = record {
                self.adopt(new, place, record.wanted, memory);
            }
        }
    }
}

/// Makes the pages of `record` writable again that the next frames need. By a
/// lock, which is faster, and where the memory may not be private by a touch.
fn make_ready(record: &mut Record, memory: &mut impl Memory) {
    record.proven = record.proven && is_locked_still(record.locked, memory);
    let frames = ladder::frames(record.wanted.stack, record.wanted.window).common(record.held);
    let locked = frames.common(record.locked);
    if !(record.proven && locked == frames && memory.lock(locked).is_ok()) {
        memory.touch(frames);
    }
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
