//! Making the pages of a stack resident, and giving them back.

use super::{MOST_PAGES, MOST_STACKS, Record, Registry};
use crate::altstack::known;
use crate::altstack::ladder::{self, Rung};
use crate::altstack::pins::Memory;
use crate::sys::errno::Errno;
use crate::sys::page::Pages;

impl Registry {
    /// Climbs the ladder for `record`, which holds nothing. Returns the error
    /// of the last refused lock.
    pub(super) fn hold(&mut self, record: &mut Record, memory: &mut impl Memory) -> Option<Errno> {
        let wanted = record.wanted;
        if wanted.start == Rung::Report {
            return None;
        }
        record.watched = ladder::wished(wanted.stack, wanted.window);
        self.watch.raise(record.watched);
        record.suspended = self.calls.on(record.watched);
        if record.suspended > 0 {
            // It would fail for a lock, and the last one's end holds this.
            return None;
        }
        let best = record.attempts(record.watched).take(1);
        let mut refused = self.lock(record, best, memory);
        if !record.pinned() {
            let usable = memory.touch_down(record.watched);
            let whole = usable == record.watched;
            if !whole {
                // That was for a hole, not for the limit.
                refused = None;
            }
            let next = record.attempts(usable).skip(usize::from(whole));
            refused = self.lock(record, next, memory).or(refused);
            if !record.pinned() && !usable.is_empty() {
                // By the touch that has been.
                (record.held, record.rung) = (usable, Rung::Touch);
                return refused;
            }
        }
        record.held = ready(record, memory);
        refused
    }

    /// Makes those of `attempts` that lock, up to one that holds. Returns the
    /// error of the last that was refused.
    fn lock(
        &mut self,
        record: &mut Record,
        attempts: impl Iterator<Item = ladder::Attempt>,
        memory: &mut impl Memory,
    ) -> Option<Errno> {
        let mut refused = None;
        for attempt in attempts.filter(|attempt| attempt.rung < Rung::Touch) {
            // First, as locking a file's shared pages leaves them read-only.
            // It also binds the whole mapping to one anon_vma before the lock
            // splits it: else its parts may never merge again, and mremap(2)
            // would fail on them.
            memory.touch(attempt.locked);
            match self.pin(attempt.locked, memory) {
                Ok(()) => {
                    (record.locked, record.rung) = (attempt.locked, attempt.rung);
                    break;
                }
                // Unmapped memory is no question of limits.
                Err(Errno::EFAULT) => {}
                Err(error) => refused = Some(error),
            }
        }
        refused
    }

    fn pin(&mut self, pages: Pages, memory: &mut impl Memory) -> Result<(), Errno> {
        let room = self.pins.count().saturating_add(pages.count()) <= MOST_PAGES
            && self.records.len() < MOST_STACKS;
        if room { self.pins.pin(pages, memory) } else { Err(Errno::EAGAIN) }
    }

    /// Lets go of what `record` holds, and watches it no longer.
    pub(super) fn let_go(&mut self, record: &mut Record, memory: &mut impl Memory) {
        self.unpin(record, memory);
        self.watch.lower(record.watched);
        record.watched = Pages::NONE;
    }

    /// Lets go of what `record` holds.
    pub(super) fn unpin(&mut self, record: &mut Record, memory: &mut impl Memory) {
        if !record.ordinary() {
            known::doubt(record.pointer, record.tid());
        }
        if record.pinned() {
            self.pins.release(record.locked, memory);
        }
        (record.held, record.locked) = (Pages::NONE, Pages::NONE);
        record.rung = Rung::Report;
    }

    /// Tries to hold those stacks by a better rung that are not on their
    /// first: there may be room for locks again. A few refusals are proof
    /// that there is none, and more would only take time.
    pub fn climb(&mut self, memory: &mut impl Memory) {
        const REFUSALS: usize = 4;
        let mut refused = 0;
        self.each(|registry, record| {
            let low = record.rung == Rung::Touch && record.wanted.start < Rung::Touch;
            if low && refused < REFUSALS {
                registry.let_go(record, memory);
                let _ = registry.hold(record, memory);
                refused += usize::from(record.rung == Rung::Touch);
            }
        });
    }

    /// Makes every stack resident again that has pages among `pages`, where
    /// something may have taken them away or brought them back.
    pub fn refresh(&mut self, pages: Pages, memory: &mut impl Memory) {
        self.each(|registry, record| {
            if record.concerns(pages) {
                registry.restore(record, memory);
            }
        });
    }

    /// Makes the held pages of `record` present and writable in the way of its
    /// rung; where that was lost, or more can be held now, it climbs the ladder
    /// anew.
    pub(super) fn restore(&mut self, record: &mut Record, memory: &mut impl Memory) {
        if record.suspended > 0 || record.watched.is_empty() {
            return;
        }
        doubt(record, memory);
        let refused = record.pinned() && memory.lock(record.locked).is_err();
        if !record.held.is_empty() {
            // Also what is locked: a file's shared pages may be read-only.
            memory.touch(record.held);
        }
        if refused {
            // By one page that cannot be used now, as may be, of many.
            memory.touch_down(record.locked);
        }
        let ready = ready(record, memory);
        // mlock(2) also fails for memory that is locked, but unreadable now.
        let mut each =
            record.locked.numbers().map(|first| Pages { first, end: first.wrapping_add(1) });
        let unlocked = refused && !each.all(|page| memory.locked(page) == Ok(true));
        // What lies below the frames is not for the rung to decide.
        let other = record.rung != Rung::Frame && ready != record.held;
        if unlocked || other {
            self.let_go(record, memory);
            let _ = self.hold(record, memory);
            record.proven = false;
        } else {
            record.held = ready;
        }
    }
}

/// Touches what `record` watches and has not locked, down to a hole. Returns
/// that together with what is locked.
pub(super) fn ready(record: &Record, memory: &mut impl Memory) -> Pages {
    let Pages { first, end } = record.watched;
    let end = if record.pinned() { record.locked.first } else { end };
    if first >= end {
        return record.locked;
    }
    memory.touch_down(Pages { first, end }).with(record.locked)
}

/// A stack that is not locked any more was unmapped, and something else may
/// have been mapped in its place, unseen by us: it is proven no longer.
pub(super) fn doubt(record: &mut Record, memory: &mut impl Memory) {
    let locked = record.locked;
    let first = Pages { end: locked.first.wrapping_add(1), ..locked };
    let last = Pages { first: locked.end.wrapping_sub(1), ..locked };
    record.proven =
        record.proven && memory.locked(first) == Ok(true) && memory.locked(last) == Ok(true);
}
