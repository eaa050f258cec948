//! Whose stacks are adopted, and what was done for each.
//!
//! Work per operation is bounded: a stack has at most
//! [`ladder::LARGEST_WHOLE`] or a frame window of pages, the tables answer in
//! constant time, and each adoption looks at a few records of other threads
//! to find those that ended unseen.

use core::ffi::c_int;

use super::ladder::{self, Rung, Stack};
use super::pins::{Memory, Pins};
use super::table::{Entry, Table};
use crate::sys::errno::Errno;
use crate::sys::page::Pages;

/// How the registry is to act; fixed at load.
#[derive(Clone, Copy, Debug)]
pub struct Policy {
    /// The rung to start from.
    pub start: Rung,
    /// Bytes at the top of a stack that frames need.
    pub window: usize,
}

/// Most pages that are locked in all: 256 MiB. Beyond it stacks are touched.
pub const MOST_PAGES: usize = (256 << 20) / crate::sys::page::SIZE;

/// Most stacks that are locked in all. Locking a part of a mapping splits it
/// in up to three; twice this number is half of the usual `vm.max_map_count`.
pub const MOST_STACKS: usize = 16_384;

/// Records looked at for dead threads, for each stack that is adopted.
const SWEPT_AT_ONCE: usize = 8;

/// What a thread's stack is to the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Place {
    /// The one in force.
    Current,
    /// Made ready for a sigaltstack(2) call that is under way.
    Pending,
    /// Disarmed by `SS_AUTODISARM` while its handler runs: the kernel will
    /// put it back.
    Disarmed,
}

impl Place {
    const ALL: [Place; 3] = [Place::Current, Place::Pending, Place::Disarmed];
}

/// One thread's stack.
#[derive(Clone, Copy, Debug)]
struct Record {
    key: usize,
    stack: Stack,
    /// What is pinned for it; none on the lower rungs.
    pinned: Pages,
    /// Registered with `SS_AUTODISARM`.
    disarms: bool,
}

// SAFETY: zeroes are a record with key 0, which no thread has.
unsafe impl Entry for Record {
    fn key(&self) -> usize {
        self.key
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
    /// Bytes pinned for this stack.
    pub bytes: usize,
    /// The error of the last refused lock, if one was.
    pub refused: Option<Errno>,
    /// Whether the thread had no record before.
    pub first: bool,
}

/// All adopted stacks and the pages pinned for them.
pub struct Registry {
    /// How it acts.
    pub policy: Policy,
    records: Table<Record>,
    pins: Pins,
    hand: usize,
}

impl Registry {
    /// Nothing adopted, and a policy that does nothing but report.
    #[must_use]
    pub const fn new() -> Self {
        let policy = Policy { start: Rung::Report, window: 0 };
        Registry { policy, records: Table::new(), pins: Pins::new(), hand: 0 }
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

    /// Makes `stack` resident for thread `tid` and records it at `place`, in
    /// the stead of what was recorded there.
    pub fn adopt(
        &mut self,
        tid: c_int,
        place: Place,
        stack: Stack,
        disarms: bool,
        memory: &mut impl Memory,
    ) -> Adopted {
        let policy = self.policy;
        let first = Place::ALL.iter().all(|place| self.records.get(key(tid, *place)).is_none());
        let mut adopted = Adopted { rung: Rung::Report, bytes: 0, refused: None, first };
        let mut pinned = Pages::NONE;
        for attempt in ladder::attempts(stack, policy.window, policy.start) {
            let done = match attempt.rung {
                Rung::Lock | Rung::Frame => self.pin(attempt.pages, memory).inspect(|()| {
                    pinned = attempt.pages;
                    // A shared mapping may be read-only to the kernel still.
                    let frames = Pages::around(
                        stack.base.max(stack.top().unwrap_or(0).saturating_sub(policy.window)),
                        stack.top().unwrap_or(0),
                    );
                    let _ = memory.touch(frames);
                }),
                Rung::Touch => memory.touch(attempt.pages),
                Rung::Report => Ok(()),
            };
            match done {
                Ok(()) => {
                    adopted.rung = attempt.rung;
                    break;
                }
                Err(error) if attempt.rung < Rung::Touch => adopted.refused = Some(error),
                Err(_) => {}
            }
        }
        adopted.bytes = pinned.bytes();
        self.release(tid, place, memory);
        let record = Record { key: key(tid, place), stack, pinned, disarms };
        if !self.records.insert(record) {
            self.pins.release(pinned, memory);
        }
        adopted
    }

    fn pin(&mut self, pages: Pages, memory: &mut impl Memory) -> Result<(), Errno> {
        let room = self.pins.count().saturating_add(pages.count()) <= MOST_PAGES
            && self.records.len() < MOST_STACKS;
        if room { self.pins.pin(pages, memory) } else { Err(Errno::EAGAIN) }
    }

    /// Moves the record at `from` to `to`, releasing what was there.
    pub fn promote(&mut self, tid: c_int, from: Place, to: Place, memory: &mut impl Memory) {
        if let Some(record) = self.records.remove(key(tid, from)) {
            self.release(tid, to, memory);
            // There is room: one was just taken out.
            let _ = self.records.insert(Record { key: key(tid, to), ..record });
        }
    }

    /// The stack recorded at `place`, and whether it disarms.
    #[must_use]
    pub fn stack(&self, tid: c_int, place: Place) -> Option<(Stack, bool)> {
        self.records.get(key(tid, place)).map(|record| (record.stack, record.disarms))
    }

    /// Forgets the stack at `place` and releases its pages.
    pub fn release(&mut self, tid: c_int, place: Place, memory: &mut impl Memory) {
        if let Some(record) = self.records.remove(key(tid, place)) {
            self.pins.release(record.pinned, memory);
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
            let found = self.records.at(self.hand).map(|record| (record.key / 4) as c_int);
            match found {
                // The gap may be filled with another: look there again.
                Some(tid) if !exists(tid) => self.release_thread(tid, memory),
                _ => self.hand = self.hand.wrapping_add(1),
            }
        }
    }
}

impl Default for Registry {
    fn default() -> Self {
        Self::new()
    }
}
