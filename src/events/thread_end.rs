//! The end of a thread.

use super::memory_calls::dangling;
use crate::os::call;
use crate::os::signals::Blocked;
use crate::residency::charge::{State, charge};
use crate::residency::page_locks::ThisProcess;
use crate::residency::substitutes;
use crate::small_stacks::every_thread;
use crate::state::stats;

/// The calling thread is ending: releases its stacks. Async-signal-safe.
pub fn thread_end() {
    charge(&Blocked::all(), |State { registry, .. }| {
        registry.release_thread(call::gettid(), &mut ThisProcess);
        stats::PINNED.set(registry.pinned_pages());
    });
    // First, as it measures what the next one unmaps.
    every_thread::thread_end();
    substitutes::thread_end();
    dangling::forget();
}
