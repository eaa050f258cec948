//! Which stacks are adopted for which threads, and what is held for each.
//!
//! The work per operation is bounded: a stack has at most
//! [`LARGEST_WHOLE`](super::ladder::LARGEST_WHOLE) or its headroom in pages, the
//! tables answer in constant time, and each adoption checks a few records of
//! other threads to find threads whose end was not seen. Only operations that
//! affect all stacks (a fork, a memory call that hits one) walk over all of
//! them.
//!
//! This file adopts and releases stacks. Beside it are `record` for one stack,
//! `lock_or_touch` for making its pages resident, `suspend` for memory calls, `fork` for
//! forks, and `ordinary` for handlers that run on ordinary stacks. `queries`
//! changes nothing.

mod calls_in_progress;
mod fork;
mod lock_or_touch;
mod ordinary_stacks;
mod queries;
mod record;
mod spared;
mod suspend;

use core::ffi::c_int;

use super::hash_table::HashTable;
use super::ladder::Rung;
use super::page_locks::{Memory, PageLocks};
use super::{origin, thread_cache, watched};
use crate::arch;
use crate::os::errno::Errno;
use crate::os::page::Pages;
use crate::os::tlb::Tlb;
use crate::state::stats;
use calls_in_progress::Calls;
pub use calls_in_progress::note_unended;
use record::{Record, key};
pub use record::{Role, Wanted};
use spared::Spared;

/// The most bytes that are locked in all. Stacks beyond that are touched.
pub const MOST_BYTES: usize = 256 << 20;

/// The most stacks that are locked in all. Locking a part of a mapping splits
/// it into up to three; twice this number is half of the usual
/// `vm.max_map_count`.
pub const MOST_STACKS: usize = 16_384;

/// How many records each adoption checks for dead threads.
const SWEPT_AT_ONCE: usize = 8;

/// The result of an adoption.
#[derive(Clone, Copy, Debug)]
pub struct Adopted {
    /// The rung that succeeded.
    pub rung: Rung,
    /// The pages that are held.
    pub held: Pages,
    /// The error of the last refused lock, if any.
    pub refused: Option<Errno>,
    /// Whether the thread had no record before.
    pub first: bool,
}

/// All adopted stacks and the pages pinned for them.
pub struct Registry {
    records: HashTable<Record>,
    page_locks: PageLocks,
    watch: watched::Watch,
    calls: Calls,
    /// Where [`Registry::sweep`] continues.
    hand: usize,
    /// The forking thread's own stacks, saved for the child.
    own: [Record; Role::ALL.len()],
    /// What the current fork, or the last one, does not copy.
    spared: Spared,
    /// Whether this process is a copy, or was ever copied: pages that no record
    /// concerns may still be write-protected.
    copied: bool,
    /// Whether pages have been made writable that a processor may remember as
    /// read-only.
    stale: bool,
    tlb: Tlb,
}

impl Registry {
    /// A registry without stacks.
    #[must_use]
    pub const fn new() -> Self {
        Registry {
            records: HashTable::new(),
            page_locks: PageLocks::new(),
            watch: watched::Watch::new(),
            calls: Calls::new(),
            hand: 0,
            own: [Record::NONE; Role::ALL.len()],
            spared: Spared::none(),
            copied: false,
            stale: false,
            tlb: Tlb::new(),
        }
    }

    /// Makes `wanted` resident for the calling thread, `tid`, and records it at
    /// `role`, replacing what was recorded there.
    pub fn adopt(
        &mut self,
        tid: c_int,
        role: Role,
        wanted: Wanted,
        memory: &mut impl Memory,
    ) -> Adopted {
        let first = !self.has(tid);
        let mut record = Record {
            key: key(tid, role),
            pointer: arch::thread_pointer(),
            wanted,
            held: Pages::NONE,
            locked: Pages::NONE,
            thread: tid,
            role,
            rung: Rung::Report,
            proven: false,
            suspended: 0,
            watched: Pages::NONE,
            wiped: Pages::NONE,
        };
        let mut refused = self.hold(&mut record, memory);
        if refused.is_some() && role != Role::Ordinary && self.yield_ordinary(tid, memory) {
            self.unhold(&mut record, memory);
            refused = self.hold(&mut record, memory);
        }
        // Until then its thread may meet a page that is not resident.
        stats::WINDOWS.add(usize::from(record.suspended > 0));
        record.proven = !record.ordinary() && record.pinned() && origin::proven(wanted.stack);
        self.release(tid, role, memory);
        if !self.records.insert(record) {
            self.unhold(&mut record, memory);
        }
        self.flush(memory);
        Adopted { rung: record.rung, held: record.held, refused, first }
    }

    /// Moves the record at `from` to `to`, and releases what was there.
    pub fn promote(&mut self, tid: c_int, from: Role, to: Role, memory: &mut impl Memory) {
        let Some(mut record) = self.records.remove(key(tid, from)) else { return };
        self.release(tid, to, memory);
        if record.suspended == 0 && !record.at_its_best() {
            // The release may have made room for a lock.
            self.unhold(&mut record, memory);
            let _ = self.hold(&mut record, memory);
        }
        // There is room: one was just removed.
        let _ = self.records.insert(Record { key: key(tid, to), role: to, ..record });
        self.flush(memory);
    }

    /// Forgets the stack at `role` and releases its pages.
    pub fn release(&mut self, tid: c_int, role: Role, memory: &mut impl Memory) {
        if let Some(mut record) = self.records.remove(key(tid, role)) {
            self.unhold(&mut record, memory);
        }
    }

    /// Forgets all stacks of a thread that is ending.
    pub fn release_thread(&mut self, tid: c_int, memory: &mut impl Memory) {
        for role in Role::ALL {
            if let Some(record) = self.records.get(key(tid, role)) {
                thread_cache::forget(record.pointer, tid);
            }
            self.release(tid, role, memory);
        }
    }

    /// Checks the next few records, and releases those whose threads no longer
    /// exist according to `exists`: their end was not seen.
    pub fn sweep(&mut self, exists: impl Fn(c_int) -> bool, memory: &mut impl Memory) {
        for _ in 0..SWEPT_AT_ONCE {
            match self.records.at(self.hand).map(Record::tid) {
                // Removal may move another record here: check the same slot
                // again.
                Some(tid) if !exists(tid) => self.release_thread(tid, memory),
                _ => self.hand = self.hand.wrapping_add(1),
            }
        }
    }

    /// Runs `change` on every record.
    fn each(&mut self, change: impl FnMut(&mut Self, &mut Record)) {
        self.each_that(|_| true, change);
    }

    /// Runs `change` on every record for which `wanted` is true.
    fn each_that(
        &mut self,
        wanted: impl Fn(&Record) -> bool,
        mut change: impl FnMut(&mut Self, &mut Record),
    ) {
        for index in 0..self.records.capacity() {
            let before = self.records.at(index).filter(|record| wanted(record)).copied();
            let Some(mut record) = before else { continue };
            change(self, &mut record);
            // After a fork the kernel copies every page that is written to.
            if before != Some(record)
                && let Some(place) = self.records.get_mut(record.key)
            {
                *place = record;
            }
        }
    }

    /// The program locked `pages` itself, or unlocked them if `locked` is
    /// false.
    pub fn program_locked(&mut self, pages: Pages, locked: bool) {
        self.page_locks.mark(pages, locked);
    }

    /// The program tried to unlock `pages` and failed: some of them may be
    /// unlocked.
    pub fn program_unlocked_some(&mut self, pages: Pages, memory: &mut impl Memory) {
        self.page_locks.mark_unlocked(pages, memory);
    }

    /// The stacks that touch `pages` are no longer proven.
    pub fn disprove(&mut self, pages: Pages) {
        for record in self.records.iter_mut() {
            record.proven &= !record.concerns(pages);
        }
    }
}

impl Default for Registry {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests;
