//! Whose stacks are adopted, and what is held for each.
//!
//! Work per operation is bounded: a stack has at most
//! [`ladder::LARGEST_WHOLE`] or a window of pages, the tables answer in
//! constant time, and each adoption looks at a few records of other threads
//! to find those that ended unseen. Only what concerns all stacks (a fork, a
//! memory call that hits one) walks over them.

use core::ffi::c_int;

use super::ladder::{self, Rung, Stack};
use super::pins::{Memory, Pins};
use super::table::{Entry, Table};
use super::{origin, reach};
use crate::sys::errno::Errno;
use crate::sys::page::{self, Pages};

/// Most pages that are locked in all: 256 MiB. Beyond it stacks are touched.
pub const MOST_PAGES: usize = (256 << 20) / page::SIZE;

/// Most stacks that are locked in all. Locking a part of a mapping splits it
/// in up to three; twice this number is half of the usual `vm.max_map_count`.
pub const MOST_STACKS: usize = 16_384;

/// Records looked at for dead threads, for each stack that is adopted.
const SWEPT_AT_ONCE: usize = 8;

/// What a stack is to its thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Place {
    /// The alternate stack in force.
    Current,
    /// Made ready for a sigaltstack(2) call that is under way.
    Pending,
    /// Disarmed by `SS_AUTODISARM` while its handler runs: the kernel will
    /// put it back.
    Disarmed,
    /// The thread's own stack, of which a window is held.
    Ordinary,
}

impl Place {
    const ALL: [Place; 4] = [Place::Current, Place::Pending, Place::Disarmed, Place::Ordinary];
}

/// A stack to be made resident.
#[derive(Clone, Copy, Debug)]
pub struct Wanted {
    /// Where it is.
    pub stack: Stack,
    /// Bytes at its top that frames need.
    pub window: usize,
    /// The rung to start from.
    pub start: Rung,
    /// Registered with `SS_AUTODISARM`.
    pub disarms: bool,
}

/// One stack of one thread.
#[derive(Clone, Copy, Debug)]
struct Record {
    key: usize,
    wanted: Wanted,
    /// The pages that were made resident.
    held: Pages,
    /// The pages that memory calls are watched on: what is held, or would be
    /// if there were memory.
    watched: Pages,
    /// How; decides whether `held` is pinned.
    rung: Rung,
    /// How many memory calls are under way for which it is let go of.
    suspended: u32,
    /// Kept from being copied by the fork under way.
    wiped: bool,
    /// Filled a mapping of the program's own when it was adopted (see
    /// [`origin`]), and has been locked by us ever since.
    proven: bool,
}

// SAFETY: zeroes are a record with key 0, which no thread has; `Rung::Lock`
// has discriminant 0.
unsafe impl Entry for Record {
    fn key(&self) -> usize {
        self.key
    }
}

impl Record {
    fn tid(&self) -> c_int {
        (self.key / 4) as c_int
    }

    fn ordinary(&self) -> bool {
        self.key % 4 == Place::Ordinary as usize
    }

    /// Whether the first attempt of the ladder held.
    fn at_its_best(&self) -> bool {
        let Wanted { stack, window, start, .. } = self.wanted;
        let best = ladder::attempts(stack, window, start).next();
        best.is_none_or(|best| best.rung == self.rung)
    }

    fn pinned(&self) -> bool {
        !self.held.is_empty() && self.rung < Rung::Touch
    }

    fn concerns(&self, pages: Pages) -> bool {
        !self.watched.common(pages).is_empty()
    }
}

fn key(tid: c_int, place: Place) -> usize {
    (tid as usize).wrapping_mul(4).wrapping_add(place as usize)
}

/// What came of an adoption.
#[derive(Clone, Copy, Debug)]
pub struct Adopted {
    /// The rung that held.
    pub rung: Rung,
    /// The pages that it holds.
    pub held: Pages,
    /// The error of the last refused lock, if one was.
    pub refused: Option<Errno>,
    /// Whether the thread had no record before.
    pub first: bool,
}

/// All adopted stacks and the pages pinned for them.
pub struct Registry {
    records: Table<Record>,
    pins: Pins,
    /// Where [`Registry::sweep`] goes on.
    hand: usize,
}

impl Registry {
    /// Nothing adopted.
    #[must_use]
    pub const fn new() -> Self {
        Registry { records: Table::new(), pins: Pins::new(), hand: 0 }
    }

    /// Pages pinned now.
    #[must_use]
    pub const fn pinned_pages(&self) -> usize {
        self.pins.count()
    }

    /// Stacks on record now.
    #[must_use]
    pub const fn stacks(&self) -> usize {
        self.records.len()
    }

    /// Stacks that are locked now. Looks at all records.
    #[must_use]
    pub fn locked_stacks(&self) -> usize {
        self.records.iter().filter(|record| record.rung < Rung::Touch).count()
    }

    /// Makes `wanted` resident for thread `tid` and records it at `place`, in
    /// the stead of what was recorded there.
    pub fn adopt(
        &mut self,
        tid: c_int,
        place: Place,
        wanted: Wanted,
        memory: &mut impl Memory,
    ) -> Adopted {
        let first = Place::ALL.iter().all(|place| self.records.get(key(tid, *place)).is_none());
        let mut record = Record {
            key: key(tid, place),
            wanted,
            held: Pages::NONE,
            watched: Pages::NONE,
            rung: Rung::Report,
            suspended: 0,
            wiped: false,
            proven: false,
        };
        let mut refused = self.hold(&mut record, memory);
        if refused.is_some() && place != Place::Ordinary && self.yield_ordinary(tid, memory) {
            self.let_go(&mut record, memory);
            refused = self.hold(&mut record, memory);
        }
        record.proven = !record.ordinary() && record.pinned() && origin::proven(wanted.stack);
        self.release(tid, place, memory);
        if !self.records.insert(record) {
            self.let_go(&mut record, memory);
        }
        Adopted { rung: record.rung, held: record.held, refused, first }
    }

    /// Takes the lock off the own stack of thread `tid`, for the sake of its
    /// alternate one, whose handlers were meant to be safe. False if there is
    /// none to take.
    fn yield_ordinary(&mut self, tid: c_int, memory: &mut impl Memory) -> bool {
        let own = self.records.get(key(tid, Place::Ordinary)).copied();
        let Some(mut record) = own.filter(Record::pinned) else { return false };
        self.let_go(&mut record, memory);
        record.wanted.start = Rung::Touch;
        let _ = self.hold(&mut record, memory);
        if let Some(place) = self.records.get_mut(record.key) {
            *place = record;
        }
        true
    }

    /// Climbs the ladder for `record`, which holds nothing. Returns the error
    /// of the last refused lock.
    fn hold(&mut self, record: &mut Record, memory: &mut impl Memory) -> Option<Errno> {
        let wanted = record.wanted;
        let mut refused = None;
        for attempt in ladder::attempts(wanted.stack, wanted.window, wanted.start) {
            let pages = attempt.pages;
            reach::raise(pages);
            let done = match attempt.rung {
                Rung::Lock | Rung::Frame => {
                    // First, as locking a file's shared pages leaves them
                    // read-only. It also binds the whole mapping to one
                    // anon_vma before the lock splits it: else its parts may
                    // never merge again, and mremap(2) would fail on them.
                    let _ = memory.touch(ladder::frames(wanted.stack, wanted.window));
                    self.pin(pages, memory)
                }
                Rung::Touch | Rung::Report => memory.touch(pages),
            };
            match done {
                Ok(()) => {
                    (record.held, record.watched, record.rung) = (pages, pages, attempt.rung);
                    return refused;
                }
                // The last attempt: what cannot even be touched is not there,
                // but may come back.
                Err(_) if attempt.rung == Rung::Touch => record.watched = pages,
                Err(error) => {
                    reach::lower(pages);
                    // Unmapped memory is no question of limits.
                    refused = if error == Errno::EFAULT { refused } else { Some(error) };
                }
            }
        }
        (record.held, record.rung) = (Pages::NONE, Rung::Report);
        refused
    }

    fn pin(&mut self, pages: Pages, memory: &mut impl Memory) -> Result<(), Errno> {
        let room = self.pins.count().saturating_add(pages.count()) <= MOST_PAGES
            && self.records.len() < MOST_STACKS;
        if room { self.pins.pin(pages, memory) } else { Err(Errno::EAGAIN) }
    }

    /// Lets go of what `record` holds, and watches it no longer.
    fn let_go(&mut self, record: &mut Record, memory: &mut impl Memory) {
        self.unpin(record, memory);
        reach::lower(record.watched);
        record.watched = Pages::NONE;
    }

    /// Lets go of what `record` holds.
    fn unpin(&mut self, record: &mut Record, memory: &mut impl Memory) {
        if record.pinned() {
            self.pins.release(record.held, memory);
        }
        (record.held, record.rung) = (Pages::NONE, Rung::Report);
    }

    /// Moves the record at `from` to `to`, releasing what was there.
    pub fn promote(&mut self, tid: c_int, from: Place, to: Place, memory: &mut impl Memory) {
        let Some(mut record) = self.records.remove(key(tid, from)) else { return };
        self.release(tid, to, memory);
        if !record.at_its_best() {
            // What was released may have left room for a lock.
            self.let_go(&mut record, memory);
            let _ = self.hold(&mut record, memory);
        }
        // There is room: one was just taken out.
        let _ = self.records.insert(Record { key: key(tid, to), ..record });
    }

    /// The stack recorded at `place`.
    #[must_use]
    pub fn wanted(&self, tid: c_int, place: Place) -> Option<Wanted> {
        self.records.get(key(tid, place)).map(|record| record.wanted)
    }

    /// Forgets the stack at `place` and lets go of its pages.
    pub fn release(&mut self, tid: c_int, place: Place, memory: &mut impl Memory) {
        if let Some(mut record) = self.records.remove(key(tid, place)) {
            self.let_go(&mut record, memory);
        }
    }

    /// Forgets all stacks of a thread that ends.
    pub fn release_thread(&mut self, tid: c_int, memory: &mut impl Memory) {
        for place in Place::ALL {
            self.release(tid, place, memory);
        }
    }

    /// Looks at the next few records and releases those of threads that
    /// `exists` does not know: their end was not seen.
    pub fn sweep(&mut self, exists: impl Fn(c_int) -> bool, memory: &mut impl Memory) {
        for _ in 0..SWEPT_AT_ONCE {
            match self.records.at(self.hand).map(Record::tid) {
                // The gap may be filled with another: look there again.
                Some(tid) if !exists(tid) => self.release_thread(tid, memory),
                _ => self.hand = self.hand.wrapping_add(1),
            }
        }
    }

    /// Runs `change` on every record and the pins.
    fn each(&mut self, change: impl FnMut(&mut Self, &mut Record)) {
        self.each_that(|_| true, change);
    }

    /// Runs `change` on the pins and every record for which `wanted`.
    fn each_that(
        &mut self,
        wanted: impl Fn(&Record) -> bool,
        mut change: impl FnMut(&mut Self, &mut Record),
    ) {
        for index in 0..self.records.capacity() {
            let record = self.records.at(index).filter(|record| wanted(record));
            if let Some(mut record) = record.copied() {
                change(self, &mut record);
                if let Some(place) = self.records.get_mut(record.key) {
                    *place = record;
                }
            }
        }
    }

    /// Lets go of every stack that has one of `pages`, until as many calls of
    /// [`Registry::resume`] with the same pages: other threads may be at the
    /// same. Returns how many of them are not `own`: their threads may meet a
    /// page that is not resident meanwhile.
    pub fn suspend(&mut self, pages: Pages, own: c_int, memory: &mut impl Memory) -> usize {
        let mut others = 0_usize;
        self.each(|registry, record| {
            if record.concerns(pages) {
                let loses = record.tid() != own && !record.held.is_empty();
                others = others.wrapping_add(usize::from(loses));
                if record.suspended == 0 {
                    doubt(record, memory);
                }
                registry.unpin(record, memory);
                record.suspended = record.suspended.saturating_add(1);
            }
        });
        others
    }

    /// Holds the suspended stacks that have one of `pages` again, as far as
    /// the memory is still there and no other call needs them let go of. With
    /// `replaced`, what was proven of it is forgotten.
    pub fn resume(&mut self, pages: Pages, replaced: bool, memory: &mut impl Memory) {
        self.each(|registry, record| {
            if record.suspended > 0 && record.concerns(pages) {
                record.suspended -= 1;
                record.proven &= !replaced;
                if record.suspended == 0 {
                    registry.let_go(record, memory);
                    let _ = registry.hold(record, memory);
                    record.proven &= record.pinned();
                }
            }
        });
    }

    /// Lets go of every stack and watches none: memory calls pass from now on.
    pub fn let_go_of_all(&mut self, memory: &mut impl Memory) {
        self.each(|registry, record| registry.let_go(record, memory));
        reach::clear();
    }

    /// Holds again what [`Registry::let_go_of_all`] let go of.
    pub fn hold_all(&mut self, memory: &mut impl Memory) {
        self.each(|registry, record| {
            registry.let_go(record, memory);
            record.suspended = 0;
            record.proven = false;
            let _ = registry.hold(record, memory);
        });
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
    /// rung; where nothing was held, or that was lost, it climbs the ladder
    /// anew.
    fn restore(&mut self, record: &mut Record, memory: &mut impl Memory) {
        if record.suspended > 0 {
            return;
        }
        doubt(record, memory);
        let pinned = record.pinned();
        // mlock(2) also fails for memory that is locked, but unreadable now.
        let mut each =
            record.held.numbers().map(|first| Pages { first, end: first.wrapping_add(1) });
        let unlocked = pinned
            && memory.lock(record.held).is_err()
            && !each.all(|page| memory.locked(page) == Ok(true));
        let frames = ladder::frames(record.wanted.stack, record.wanted.window);
        let untouchable = memory.touch(frames).is_err() && !pinned;
        if record.held.is_empty() || unlocked || untouchable {
            self.let_go(record, memory);
            let _ = self.hold(record, memory);
            record.proven = false;
        }
    }

    /// Whether every held page in `pages` belongs to a stack which is proven
    /// to be private anonymous memory, and is not locked by the program.
    #[must_use]
    pub fn all_proven(&self, pages: Pages) -> bool {
        let unproven = |record: &Record| {
            let certain = record.proven && record.pinned();
            !certain && !record.held.common(pages).is_empty()
        };
        !self.records.iter().any(unproven) && !self.pins.any_programs(pages)
    }

    /// The held pages within `pages`, run by run, lowest first: the first run
    /// that begins at or above page `from`.
    #[must_use]
    pub fn held_run(&self, pages: Pages, from: usize) -> Pages {
        let within = |record: &Record| {
            record.held.common(pages).common(Pages { first: from, end: usize::MAX })
        };
        let parts = || self.records.iter().map(within).filter(|part| !part.is_empty());
        let Some(mut run) = parts().min_by_key(|part| part.first) else { return Pages::NONE };
        // Neighbours that touch or overlap belong to the same run.
        while let Some(end) = parts()
            .filter(|part| part.first <= run.end && part.end > run.end)
            .map(|part| part.end)
            .max()
        {
            run.end = end;
        }
        run
    }

    /// Whether thread `tid` alone holds pages within `pages`.
    #[must_use]
    pub fn only(&self, tid: c_int, pages: Pages) -> bool {
        !self
            .records
            .iter()
            .any(|record| record.tid() != tid && !record.held.common(pages).is_empty())
    }

    /// The program locked (`true`) or unlocked `pages` itself.
    pub fn program_locked(&mut self, pages: Pages, locked: bool) {
        self.pins.mark(pages, locked);
    }

    /// The program tried to unlock `pages`, and failed: a part may be unlocked.
    pub fn program_unlocked_some(&mut self, pages: Pages, memory: &mut impl Memory) {
        self.pins.mark_unlocked(pages, memory);
    }

    /// What is proven of the stacks that touch `pages` holds no longer.
    pub fn disprove(&mut self, pages: Pages) {
        for record in self.records.iter_mut() {
            record.proven &= !record.concerns(pages);
        }
    }
}

/// A stack that is not locked any more was unmapped, and something else may
/// have been mapped in its place, unseen by us: it is proven no longer.
fn doubt(record: &mut Record, memory: &mut impl Memory) {
    let held = record.held;
    let first = Pages { end: held.first.wrapping_add(1), ..held };
    let last = Pages { first: held.end.wrapping_sub(1), ..held };
    record.proven =
        record.proven && memory.locked(first) == Ok(true) && memory.locked(last) == Ok(true);
}

impl Default for Registry {
    fn default() -> Self {
        Self::new()
    }
}

#[path = "registry_fork.rs"]
mod fork;

#[cfg(test)]
#[path = "registry_tests.rs"]
mod tests;
