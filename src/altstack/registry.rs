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
    /// How; decides whether `held` is pinned.
    rung: Rung,
    /// Let go of while a memory call is under way.
    suspended: bool,
    /// Kept from being copied by the fork under way.
    wiped: bool,
    /// Fills a mapping of the program's own: see [`origin`].
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

    fn pinned(&self) -> bool {
        !self.held.is_empty() && self.rung < Rung::Touch
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
            rung: Rung::Report,
            suspended: false,
            wiped: false,
            proven: place != Place::Ordinary && origin::proven(wanted.stack),
        };
        let refused = self.hold(&mut record, memory);
        self.release(tid, place, memory);
        if !self.records.insert(record) {
            self.let_go(&mut record, memory);
        }
        Adopted { rung: record.rung, held: record.held, refused, first }
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
                Rung::Lock | Rung::Frame => self.pin(pages, memory).inspect(|()| {
                    // Locking a file's shared pages leaves them read-only.
                    let _ = memory.touch(ladder::frames(wanted.stack, wanted.window));
                }),
                Rung::Touch | Rung::Report => memory.touch(pages),
            };
            match done {
                Ok(()) => {
                    (record.held, record.rung) = (pages, attempt.rung);
                    return refused;
                }
                Err(error) => {
                    reach::lower(pages);
                    // Unmapped memory is no question of limits.
                    let told = attempt.rung < Rung::Touch && error != Errno::EFAULT;
                    refused = if told { Some(error) } else { refused };
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

    /// Lets go of what `record` holds.
    fn let_go(&mut self, record: &mut Record, memory: &mut impl Memory) {
        if record.pinned() {
            self.pins.release(record.held, memory);
        }
        reach::lower(record.held);
        (record.held, record.rung) = (Pages::NONE, Rung::Report);
    }

    /// Moves the record at `from` to `to`, releasing what was there.
    pub fn promote(&mut self, tid: c_int, from: Place, to: Place, memory: &mut impl Memory) {
        if let Some(record) = self.records.remove(key(tid, from)) {
            self.release(tid, to, memory);
            // There is room: one was just taken out.
            let _ = self.records.insert(Record { key: key(tid, to), ..record });
        }
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
    fn each(&mut self, mut change: impl FnMut(&mut Self, &mut Record)) {
        for index in 0..self.records.capacity() {
            if let Some(mut record) = self.records.at(index).copied() {
                change(self, &mut record);
                if let Some(place) = self.records.get_mut(record.key) {
                    *place = record;
                }
            }
        }
    }

    /// Lets go of every stack that holds one of `pages`, until
    /// [`Registry::resume`]. Returns how many of them are not `own`: their
    /// threads may meet a page that is not resident meanwhile.
    pub fn suspend(&mut self, pages: Pages, own: c_int, memory: &mut impl Memory) -> usize {
        let mut others = 0_usize;
        self.each(|registry, record| {
            if !record.held.common(pages).is_empty() {
                others = others.wrapping_add(usize::from(record.tid() != own));
                registry.let_go(record, memory);
                record.suspended = true;
            }
        });
        others
    }

    /// Holds the suspended stacks again, as far as the memory is still there.
    /// With `replaced`, what was proven of it is forgotten.
    pub fn resume(&mut self, replaced: bool, memory: &mut impl Memory) {
        self.each(|registry, record| {
            if record.suspended {
                record.suspended = false;
                record.proven &= !replaced;
                let _ = registry.hold(record, memory);
            }
        });
    }

    /// Tries to hold those stacks by a better rung that are not on their
    /// first: there may be room for locks again.
    pub fn climb(&mut self, memory: &mut impl Memory) {
        self.each(|registry, record| {
            if record.rung == Rung::Touch && record.wanted.start < Rung::Touch {
                registry.let_go(record, memory);
                let _ = registry.hold(record, memory);
            }
        });
    }

    /// Makes the held pages of every stack that holds one of `pages` resident
    /// again, where something may have taken that away.
    pub fn refresh(&mut self, pages: Pages, memory: &mut impl Memory) {
        self.each(|_, record| {
            if !record.held.common(pages).is_empty() {
                restore(record, memory);
            }
        });
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
            record.proven &= record.held.common(pages).is_empty();
        }
    }

    /// A fork is imminent: keeps the proven stacks of threads other than
    /// `own` from being copied.
    pub fn before_fork(&mut self, own: c_int, memory: &mut impl Memory) {
        self.each(|_, record| {
            let candidate = record.proven && record.tid() != own && !record.held.is_empty();
            record.wiped = candidate && memory.wipe_on_fork(record.held, true).is_ok();
        });
    }

    /// After a fork, in the parent: undoes that, and makes what was copied
    /// writable again. Returns how many stacks of other threads were copied.
    pub fn after_fork(&mut self, own: c_int, memory: &mut impl Memory) -> usize {
        let mut windows = 0_usize;
        self.each(|_, record| {
            if record.wiped {
                let _ = memory.wipe_on_fork(record.held, false);
                record.wiped = false;
            } else if !record.held.is_empty() {
                windows = windows.wrapping_add(usize::from(record.tid() != own));
                restore(record, memory);
            }
        });
        windows
    }

    /// After a fork, in the child: a new process with one thread, `new`, which
    /// was `old`, and without any lock. Keeps its stacks only.
    pub fn in_child(&mut self, old: c_int, new: c_int, memory: &mut impl Memory) {
        self.each(|_, record| {
            if record.wiped {
                let _ = memory.wipe_on_fork(record.held, false);
            }
        });
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

/// Makes the held pages of `record` present and writable, in the way of its
/// rung.
fn restore(record: &Record, memory: &mut impl Memory) {
    if record.pinned() {
        let _ = memory.lock(record.held);
    }
    let _ = memory.touch(ladder::frames(record.wanted.stack, record.wanted.window));
}

impl Default for Registry {
    fn default() -> Self {
        Self::new()
    }
}
