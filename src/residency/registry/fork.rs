//! What a fork does to the recorded stacks: see [`crate::events::fork`].

use core::ffi::c_int;

use super::lock_or_touch::{is_locked_still, ready};
use super::{Record, Registry, Role, key};
use crate::os::page::Pages;
use crate::residency::page_locks::Memory;
use crate::residency::{ladder, origin, watched};

/// Setting and clearing a flag takes about as long as copying this many pages.
const WORTH: usize = 3;

/// Which part of a stack a fork copied, and so write-protected in the parent.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Copied {
    Nothing,
    /// What lies below the spared part of another thread's stack: only the
    /// locked part was spared.
    Below,
    /// Another thread's alternate stack.
    Alternate,
    /// Another thread's own stack.
    Ordinary,
    /// A stack of the forking thread.
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
    /// Called just before a fork. Exempts from copying, if they are still in
    /// use as their threads' stacks,
    ///
    /// - the proven stacks of threads other than `own`, unless `own`, whose
    ///   stack pointer is `here`, may be running on the same memory;
    /// - the blank pages of those stacks of `own` that it is not running on:
    ///   the child finds the zeroes that it would find in a copy. Nobody else
    ///   writes there.
    ///
    /// Each stack costs two calls here and one to undo it. They are most of the
    /// cost of a fork beside many threads.
    pub fn before_fork(
        &mut self,
        own: c_int,
        here: usize,
        exists: impl Fn(c_int) -> bool,
        memory: &mut impl Memory,
    ) {
        let under_own_feet = Role::ALL.map(|role| {
            let stack = self.wanted(own, role).map(|wanted| wanted.stack);
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
            // After a fork the kernel copies every page that is written to.
            if record.wiped != wiped {
                record.wiped = wiped;
            }
        }
        // The table must reach the child if the child needs it to undo this.
        self.records.leave_behind(self.spared.all().is_some());
        self.keep(own);
    }

    /// Saves what [`Registry::in_child`] needs. [`Registry::before_fork`] calls
    /// this.
    pub fn keep(&mut self, own: c_int) {
        for (kept, role) in self.own.iter_mut().zip(Role::ALL) {
            *kept = self.records.get(key(own, role)).copied().unwrap_or(Record::NONE);
        }
        self.page_locks.leave_behind();
        self.copied = true;
    }

    /// Undoes [`Registry::before_fork`], on either side of the fork.
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

    /// After a fork, in the parent: undoes what [`Registry::before_fork`] did,
    /// and makes what was copied writable again, starting where a signal may
    /// arrive first. Returns how many stacks of other threads were copied.
    pub fn after_fork(&mut self, own: c_int, memory: &mut impl Memory) -> usize {
        let mut windows = 0_usize;
        // What is left to do once all the next frames are safe: usually
        // nothing.
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
        self.stale |= below || ours || windows > 0;
        self.flush(memory);
        self.spare_no_more(memory);
        windows
    }

    /// Makes the rest of a copied stack resident after [`make_ready`], by a
    /// lock if it was locked.
    fn hold_copied(&mut self, record: &mut Record, memory: &mut impl Memory) {
        if record.pinned() && memory.lock(record.locked).is_ok() {
            record.held = ready(record, memory);
        } else {
            self.restore(record, memory);
        }
    }

    /// After a fork, in the child: a new process with one thread, `new`, and no
    /// locks. Adopts the stacks that [`Registry::keep`] saved.
    pub fn in_child(&mut self, new: c_int, memory: &mut impl Memory) {
        self.spare_no_more(memory);
        let (own, tlb) = (self.own, core::mem::take(&mut self.tlb));
        *self = Registry { tlb, ..Registry::new() };
        watched::clear();
        for (role, record) in Role::ALL.into_iter().zip(own) {
            if record.key != 0 {
                self.adopt(new, role, record.wanted, memory);
            }
        }
        // Until now nothing has been read.
        self.copied = true;
    }
}

/// Makes the pages of `record` that the next frames need writable again. Uses a
/// lock where they are locked, which is faster. True if the record holds no
/// other pages.
fn make_ready(record: &mut Record, memory: &mut impl Memory) -> bool {
    if record.proven && !is_locked_still(record.locked, memory) {
        record.proven = false;
    }
    let frames = ladder::frames(record.wanted.stack, record.wanted.headroom).common(record.held);
    let locked = record.pinned() && frames.common(record.locked) == frames;
    if !(locked && memory.lock(frames).is_ok()) {
        // One call copies them all, but does not report where it stopped.
        memory.touch(frames);
        if record.pinned() || memory.touch_down(frames) != frames {
            return false;
        }
    }
    frames == record.held
}

/// Flags all of `pages` or none. True if `pages` is not empty and all were
/// flagged.
fn wipe_on_fork(pages: Pages, memory: &mut impl Memory) -> bool {
    let flagged = !pages.is_empty() && memory.wipe_on_fork(pages, true).is_ok();
    if !flagged && !pages.is_empty() {
        // A failure may have flagged a part.
        let _ = memory.wipe_on_fork(pages, false);
    }
    flagged
}

/// Deliberately wrong choices, for tests that must fail with them.
fn planted(record: &Record, own: c_int) -> bool {
    let others = record.tid() != own;
    cfg!(sigward_plant = "wipe_heap") && others && !record.ordinary()
        || cfg!(sigward_plant = "wipe_ordinary") && others && record.ordinary()
        || cfg!(sigward_plant = "wipe_own") && !others && !record.ordinary()
}
