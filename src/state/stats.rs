//! The counters. They are in the published [`published_block`](crate::state::published_block), and
//! [`summary`](crate::summary) prints them.

use crate::plan::Rung;
use crate::state::published_block::{BLOCK, Counter, Gauge};

/// Alternate stacks that were set or found.
pub const STACKS: &Counter = &BLOCK.counters.stacks;
/// Alternate stacks that were too small for a frame.
pub const SMALL: &Counter = &BLOCK.counters.small;
/// Locks that were refused.
pub const REFUSED: &Counter = &BLOCK.counters.refused;
/// Pages pinned for stacks.
pub const PINNED: &Gauge = &BLOCK.counters.pinned;
/// How often a stack of another thread was not resident for a moment: see
/// `docs/limits.md`.
pub const WINDOWS: &Counter = &BLOCK.counters.windows;

/// The number of stacks that were held by `rung`.
#[must_use]
pub fn rung(rung: Rung) -> &'static Counter {
    let [lock, frame, touch, report] = &BLOCK.counters.rungs;
    match rung {
        Rung::Lock => lock,
        Rung::Frame => frame,
        Rung::Touch => touch,
        Rung::Report => report,
    }
}
