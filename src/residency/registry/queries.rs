//! Questions about the records that change nothing.

use core::ffi::c_int;

use super::{Record, Registry, Role, Wanted, key};
use crate::os::page::Pages;
use crate::residency::ladder::Rung;
use crate::residency::thread_cache::Steady;

impl Registry {
    /// How many pages are pinned.
    #[must_use]
    pub const fn pinned_pages(&self) -> usize {
        self.page_locks.count()
    }

    /// How many stacks are on record.
    #[must_use]
    pub const fn stacks(&self) -> usize {
        self.records.len()
    }

    /// How many stacks are locked. Walks over all records.
    #[must_use]
    pub fn locked_stacks(&self) -> usize {
        self.records.iter().filter(|record| record.rung < Rung::Touch).count()
    }

    /// Whether thread `tid` has a record.
    #[must_use]
    pub fn has(&self, tid: c_int) -> bool {
        Role::ALL.iter().any(|role| self.records.get(key(tid, *role)).is_some())
    }

    /// The alternate stack that thread `tid` has in force, if it is locked as
    /// well as possible and setting it again would change nothing.
    #[must_use]
    pub fn steady(&self, tid: c_int) -> Option<Steady> {
        let record = self.records.get(key(tid, Role::Current))?;
        let best = record.at_its_best() && record.pinned() && record.held == record.watched;
        // The kernel will restore a disarmed stack, which then replaces this
        // one.
        let disarmed = self.records.get(key(tid, Role::Disarmed)).is_some();
        let steady = record.suspended == 0 && !record.wanted.disarms && !disarmed;
        let Record { wanted: Wanted { stack, .. }, held, rung, .. } = *record;
        (best && steady).then_some(Steady { stack, held, rung })
    }

    /// The stack recorded at `role`.
    #[must_use]
    pub fn wanted(&self, tid: c_int, role: Role) -> Option<Wanted> {
        self.records.get(key(tid, role)).map(|record| record.wanted)
    }

    /// Whether every page in `pages` that is held firmly belongs to a stack
    /// that is proven to be private anonymous memory, and the program has
    /// locked none of `pages`.
    #[must_use]
    pub fn all_proven(&self, pages: Pages) -> bool {
        let unproven = |record: &Record| {
            let certain = record.proven && record.pinned();
            !certain && !record.firm().common(pages).is_empty()
        };
        !self.records.iter().any(unproven) && !self.page_locks.any_programs(pages)
    }

    /// The first run of firmly held pages within `pages` that begins at or
    /// above page `from`.
    #[must_use]
    pub fn held_run(&self, pages: Pages, from: usize) -> Pages {
        let within = |record: &Record| {
            record.firm().common(pages).common(Pages { first: from, end: usize::MAX })
        };
        let parts = || self.records.iter().map(within).filter(|part| !part.is_empty());
        let Some(mut run) = parts().min_by_key(|part| part.first) else { return Pages::NONE };
        // Parts that touch or overlap belong to the same run.
        while let Some(end) = parts()
            .filter(|part| part.first <= run.end && part.end > run.end)
            .map(|part| part.end)
            .max()
        {
            run.end = end;
        }
        run
    }

    /// Whether no thread but `tid` holds pages within `pages`.
    #[must_use]
    pub fn only(&self, tid: c_int, pages: Pages) -> bool {
        !self
            .records
            .iter()
            .any(|record| record.tid() != tid && !record.held.common(pages).is_empty())
    }
}
