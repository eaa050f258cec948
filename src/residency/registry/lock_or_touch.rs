//! Making the pages of a stack resident, and releasing them. What a stack gets, and
//! why it is only touched, is decided here: a memory call in progress, a refused lock,
//! the most that we lock.

use super::{MOST_BYTES, MOST_STACKS, Record, Registry};
use crate::os::errno::Errno;
use crate::os::page::{self, Pages};
use crate::residency::ladder::{self, Rung};
use crate::residency::page_locks::Memory;
use crate::residency::thread_cache;

impl Registry {
    /// Climbs the ladder for `record`, which holds nothing yet. Returns the
    /// error of the last lock that was refused.
    pub(super) fn hold(&mut self, record: &mut Record, memory: &mut impl Memory) -> Option<Errno> {
        let wanted = record.wanted;
        if wanted.start == Rung::Report {
            return None;
        }
        self.stale |= self.copied;
        record.watched = ladder::wished(wanted.stack, wanted.headroom);
        self.watch.raise(record.watched);
        record.suspended = self.calls.on(record.watched);
        if record.suspended > 0 {
            // A lock now would make a call fail; a touch does not. The end of
            // the last call holds this stack as wanted.
            touch(record, memory);
            return None;
        }
        let best = record.attempts(record.watched).take(1);
        let mut refused = self.lock(record, best, memory);
        if !record.pinned() {
            let usable = memory.touch_down(record.watched);
            let whole = usable == record.watched;
            if !whole {
                // That was because of a hole, not of the limit.
                refused = None;
            }
            let next = record.attempts(usable).skip(usize::from(whole));
            refused = self.lock(record, next, memory).or(refused);
            record.proven &= record.pinned();
            if !record.pinned() && !usable.is_empty() {
                // The touch above has made these pages resident.
                (record.held, record.rung) = (usable, Rung::Touch);
                return refused;
            }
        }
        record.held = ready(record, memory);
        refused
    }

    /// Tries the locking ones of `attempts` until one succeeds. Returns the
    /// error of the last one that was refused.
    fn lock(
        &mut self,
        record: &mut Record,
        attempts: impl Iterator<Item = ladder::Attempt>,
        memory: &mut impl Memory,
    ) -> Option<Errno> {
        let mut refused = None;
        for attempt in attempts.filter(|attempt| attempt.rung < Rung::Touch) {
            // Touch first: locking a file's shared pages leaves them read-only.
            // The touch also binds the whole mapping to one anon_vma before the
            // lock splits it. Otherwise its parts may never merge again, and
            // mremap(2) would fail on them.
            memory.touch(attempt.locked);
            match self.pin(attempt.locked, memory) {
                Ok(()) => {
                    (record.locked, record.rung) = (attempt.locked, attempt.rung);
                    break;
                }
                // Unmapped memory has nothing to do with limits.
                Err(Errno::EFAULT) => {}
                Err(error) => refused = Some(error),
            }
        }
        refused
    }

    fn pin(&mut self, pages: Pages, memory: &mut impl Memory) -> Result<(), Errno> {
        let room = self.page_locks.count().saturating_add(pages.count())
            <= MOST_BYTES / page::size()
            && self.records.len() < MOST_STACKS;
        if room { self.page_locks.pin(pages, memory) } else { Err(Errno::EAGAIN) }
    }

    /// Releases what `record` holds, and stops watching it.
    pub(super) fn unhold(&mut self, record: &mut Record, memory: &mut impl Memory) {
        self.unpin(record, memory);
        self.watch.lower(record.watched);
        record.watched = Pages::NONE;
    }

    /// Releases what `record` holds.
    pub(super) fn unpin(&mut self, record: &mut Record, memory: &mut impl Memory) {
        if !record.ordinary() {
            thread_cache::doubt(record.pointer, record.tid());
        }
        if record.pinned() {
            self.page_locks.release(record.locked, memory);
        }
        (record.held, record.locked) = (Pages::NONE, Pages::NONE);
        record.rung = Rung::Report;
    }

    /// Tries to hold those stacks better that were only touched although they
    /// may be locked: there may be room for locks again. A few refusals prove
    /// that there is none, and more tries would only take time.
    pub fn climb(&mut self, memory: &mut impl Memory) {
        const REFUSALS: usize = 4;
        let mut refused = 0;
        self.each(|registry, record| {
            let low = record.rung == Rung::Touch && record.wanted.start < Rung::Touch;
            if low && record.suspended == 0 && refused < REFUSALS {
                registry.unhold(record, memory);
                let _ = registry.hold(record, memory);
                refused += usize::from(record.rung == Rung::Touch);
            }
        });
        self.flush(memory);
    }

    /// Makes every stack resident again that has pages among `pages`, where
    /// something may have removed them or brought them back.
    pub fn refresh(&mut self, pages: Pages, memory: &mut impl Memory) {
        self.each(|registry, record| {
            if record.concerns(pages) {
                registry.restore(record, memory);
            }
        });
        self.flush(memory);
    }

    /// Ends every operation that may have made pages writable: no processor may
    /// still take them for read-only.
    pub(super) fn flush(&mut self, memory: &mut impl Memory) {
        if core::mem::take(&mut self.stale) {
            memory.flush(&mut self.tlb);
        }
    }

    /// Makes the held pages of `record` present and writable again, by its
    /// rung. If its lock was lost, or the pages that can be held have changed,
    /// climbs the ladder again.
    pub(super) fn restore(&mut self, record: &mut Record, memory: &mut impl Memory) {
        if record.watched.is_empty() {
            return;
        }
        self.stale |= self.copied;
        if record.suspended > 0 {
            touch(record, memory);
            return;
        }
        doubt(record, memory);
        let refused = record.pinned() && memory.lock(record.locked).is_err();
        if !record.held.is_empty() {
            // Touch the locked pages too: a file's shared pages may be
            // read-only.
            memory.touch(record.held);
        }
        if refused {
            // Perhaps only one of many pages cannot be used now.
            memory.touch_down(record.locked);
        }
        let ready = ready(record, memory);
        // mlock(2) also fails for memory that is still locked but is not
        // readable now.
        let mut each =
            record.locked.numbers().map(|first| Pages { first, end: first.wrapping_add(1) });
        let unlocked = refused && !each.all(|page| memory.locked(page) == Ok(true));
        // Pages below the frames do not affect the rung.
        let other = record.rung != Rung::Frame && ready != record.held;
        if unlocked || other {
            self.unhold(record, memory);
            let _ = self.hold(record, memory);
            record.proven = false;
        } else {
            record.held = ready;
        }
    }
}

/// Holds `record`, of which nothing may be locked now, by a touch.
fn touch(record: &mut Record, memory: &mut impl Memory) {
    if record.wanted.start == Rung::Report {
        return;
    }
    record.held = memory.touch_down(record.watched);
    record.rung = if record.held.is_empty() { Rung::Report } else { Rung::Touch };
}

/// Touches the pages that `record` watches and has not locked, down to a hole.
/// Returns them together with the locked ones.
pub(super) fn ready(record: &Record, memory: &mut impl Memory) -> Pages {
    let Pages { first, end } = record.watched;
    let end = if record.pinned() { record.locked.first } else { end };
    if first >= end {
        return record.locked;
    }
    memory.touch_down(Pages { first, end }).with(record.locked)
}

/// Whether memory that we locked is still the same: something else may have
/// been mapped in its place without our seeing it. Checking the first page is
/// enough, because no thread can use a stack whose top was replaced. Of a stack
/// that is released for a memory call nothing is locked.
pub(super) fn is_locked_still(locked: Pages, memory: &mut impl Memory) -> bool {
    !locked.is_empty()
        && memory.locked(Pages { end: locked.first.wrapping_add(1), ..locked }) == Ok(true)
}

/// Drops the proof if the stack is no longer locked: then it was unmapped, and
/// something else may have been mapped in its place without our seeing it.
pub(super) fn doubt(record: &mut Record, memory: &mut impl Memory) {
    let last = Pages { first: record.locked.end.wrapping_sub(1), ..record.locked };
    record.proven =
        record.proven && is_locked_still(record.locked, memory) && memory.locked(last) == Ok(true);
}
