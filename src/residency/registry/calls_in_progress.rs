//! The memory calls in progress for which stacks are released.

use core::sync::atomic::{AtomicBool, Ordering};

use crate::os::page::Pages;

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
    pub(super) fn begin(&mut self, pages: Pages) {
        self.change(Pages::NONE, pages);
    }

    pub(super) fn end(&mut self, pages: Pages) {
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
