//! What a fork does not copy.

use crate::os::page::Pages;

/// What a fork does not copy, for both sides to undo. As long as the ranges fit
/// in here, on a page that every fork writes to, the table of records need not
/// be copied; copying it would take longer than the few ranges are worth.
pub(super) struct Spared {
    /// How many ranges there are.
    pub(super) count: usize,
    /// The ranges, as far as there is room.
    pages: [Pages; 64],
}

impl Spared {
    pub(super) const fn none() -> Self {
        Spared { count: 0, pages: [Pages::NONE; 64] }
    }

    pub(super) fn add(&mut self, pages: Pages) {
        if let Some(place) = self.pages.get_mut(self.count) {
            *place = pages;
        }
        self.count = self.count.wrapping_add(1);
    }

    /// All ranges; `None` if there was no room for them.
    pub(super) fn all(&self) -> Option<&[Pages]> {
        self.pages.get(..self.count)
    }
}
