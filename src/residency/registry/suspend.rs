//! Releasing stacks during a memory call of the program's, or while we stand
//! down.

use core::ffi::c_int;
use core::sync::atomic::{AtomicBool, Ordering};

use super::Registry;
use super::hold::doubt;
use crate::os::page::Pages;
use crate::residency::page_locks::Memory;
use crate::residency::watched;

/// Whether some stacks were released for a call whose end was not recorded.
static UNENDED: AtomicBool = AtomicBool::new(false);

/// The end of a memory call could not be recorded: the registry was not
/// available.
#[cold]
pub fn note_unended() {
    UNENDED.store(true, Ordering::Relaxed);
}

/// Whether each released stack will be held again when its call ends.
fn all_end() -> bool {
    !UNENDED.load(Ordering::Relaxed)
}

/// The memory calls in progress for which stacks are released. A stack that is
/// adopted meanwhile must not make them fail.
pub(super) struct Calls {
    pages: [Pages; 8],
}

impl Calls {
    pub(super) const fn new() -> Self {
        Calls { pages: [Pages::NONE; 8] }
    }

    /// Records one more call; forgets it if there are too many.
    fn begin(&mut self, pages: Pages) {
        self.change(Pages::NONE, pages);
    }

    fn end(&mut self, pages: Pages) {
        self.change(pages, Pages::NONE);
    }

    fn change(&mut self, from: Pages, to: Pages) {
        if let Some(place) = self.pages.iter_mut().find(|pages| **pages == from) {
            *place = to;
        }
    }

    /// How many calls are in progress on `pages`; 0 if some call may never end.
    pub(super) fn on(&self, pages: Pages) -> u32 {
        let on = self.pages.iter().filter(|call| !call.common(pages).is_empty());
        if all_end() { on.count() as u32 } else { 0 }
    }
}

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
                }
            }
        });
    }

    /// Releases every stack and watches none: memory calls pass from now on.
    pub fn unhold_all(&mut self, memory: &mut impl Memory) {
        self.each(|registry, record| registry.unhold(record, memory));
        watched::shut();
    }

    /// Holds again what [`Registry::unhold_all`] released.
    pub fn hold_all(&mut self, memory: &mut impl Memory) {
        self.each(|registry, record| {
            registry.unhold(record, memory);
            record.suspended = 0;
            record.proven = false;
            let _ = registry.hold(record, memory);
        });
    }
}
