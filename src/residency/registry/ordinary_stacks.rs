//! Ordinary stacks: a part of each is held if a handler can run there.

use core::ffi::c_int;

use super::{Record, Registry, Role, Wanted, key};
use crate::residency::ladder::Rung;
use crate::residency::page_locks::Memory;
use crate::state::stats;

impl Registry {
    /// Lets `decide` change what is wanted of each thread's own stack, given
    /// whether the thread has an alternate one, and holds the stack
    /// accordingly.
    pub fn review_ordinary(
        &mut self,
        decide: impl Fn(&mut Wanted, bool),
        memory: &mut impl Memory,
    ) {
        self.each(|registry, record| {
            if record.ordinary() {
                registry.review(record, &decide, memory);
            }
        });
        self.flush(memory);
    }

    /// Like [`Registry::review_ordinary`], for thread `tid` only.
    pub fn review_ordinary_of(
        &mut self,
        tid: c_int,
        decide: impl Fn(&mut Wanted, bool),
        memory: &mut impl Memory,
    ) {
        let own = key(tid, Role::Ordinary);
        if let Some(mut record) = self.records.get(own).copied() {
            self.review(&mut record, &decide, memory);
            if let Some(place) = self.records.get_mut(own) {
                *place = record;
            }
            self.flush(memory);
        }
    }

    fn review(
        &mut self,
        record: &mut Record,
        decide: &impl Fn(&mut Wanted, bool),
        memory: &mut impl Memory,
    ) {
        let has = |place| self.records.get(key(record.tid(), place)).is_some();
        let mut wanted = record.wanted;
        decide(&mut wanted, has(Role::Current) || has(Role::Disarmed));
        if wanted.start == record.wanted.start {
            return;
        }
        record.wanted = wanted;
        if record.suspended > 0 {
            // It stays watched, so that the end of the call in progress finds
            // it and holds it as wanted.
            return;
        }
        self.unhold(record, memory);
        if wanted.start < Rung::Report {
            let _ = self.hold(record, memory);
            stats::rung(record.rung).count();
        }
    }

    /// Removes the lock from thread `tid`'s own stack in favour of its
    /// alternate one, whose handlers must be safe. False if there was no lock.
    pub(super) fn yield_ordinary(&mut self, tid: c_int, memory: &mut impl Memory) -> bool {
        let own = self.records.get(key(tid, Role::Ordinary)).copied();
        let Some(mut record) = own.filter(Record::pinned) else { return false };
        self.unhold(&mut record, memory);
        record.wanted.start = Rung::Touch;
        let _ = self.hold(&mut record, memory);
        if let Some(place) = self.records.get_mut(record.key) {
            *place = record;
        }
        true
    }
}
