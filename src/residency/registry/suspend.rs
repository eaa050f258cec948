//! Releasing stacks during a memory call of the program's, or while we stand
//! down.

use core::ffi::c_int;

use super::Registry;
use super::lock_or_touch::doubt;
use crate::os::page::Pages;
use crate::residency::page_locks::Memory;
use crate::residency::watched;

impl Registry {
    /// Releases every stack that has any of `pages`, until [`Registry::resume`]
    /// has been called equally often with the same pages: other threads may
    /// make calls on the same ones. Returns how many of the stacks belong to
    /// threads other than `own`, which may meet a page that is not resident
    /// meanwhile.
    pub fn suspend(&mut self, pages: Pages, own: c_int, memory: &mut impl Memory) -> usize {
        self.calls.begin(pages);
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

    /// Holds the suspended stacks that have any of `pages` again, as far as the
    /// memory still exists and no other call needs them released. If
    /// `replaced`, they are no longer proven.
    pub fn resume(&mut self, pages: Pages, replaced: bool, memory: &mut impl Memory) {
        self.calls.end(pages);
        self.each(|registry, record| {
            if record.suspended > 0 && record.concerns(pages) {
                record.suspended -= 1;
                record.proven &= !replaced;
                if record.suspended == 0 {
                    registry.unhold(record, memory);
                    let _ = registry.hold(record, memory);
                } else {
                    registry.restore(record, memory);
                }
            }
        });
        self.flush(memory);
    }

    /// Releases every stack and watches none: memory calls pass from now on.
    pub fn unhold_all(&mut self, memory: &mut impl Memory) {
        self.each(|registry, record| registry.unhold(record, memory));
        watched::shut();
    }

    /// Holds again what [`Registry::unhold_all`] released. No fork was seen
    /// meanwhile.
    pub fn hold_all(&mut self, memory: &mut impl Memory) {
        self.copied = true;
        self.each(|registry, record| {
            registry.unhold(record, memory);
            record.suspended = 0;
            record.proven = false;
            let _ = registry.hold(record, memory);
        });
        self.flush(memory);
    }
}
