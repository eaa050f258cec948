//! What may undo residency, or needs it: calls of the program's, forks, and
//! ends of threads.
//!
//! [`registration`] is sigaltstack(2), [`handlers`] sigaction(2),
//! [`memory_calls`] everything that changes mappings, [`fork`] forks. The hooks
//! call nothing else for these.

pub mod fork;
pub mod handlers;
pub mod memory_calls;
pub mod registration;

use crate::os::call;
use crate::os::signals::Blocked;
use crate::residency::charge::{State, charge};
use crate::residency::page_locks::ThisProcess;
use crate::state::stats;

/// The calling thread is ending: releases its stacks. Async-signal-safe.
pub fn thread_end() {
    charge(&Blocked::all(), |State { registry, .. }| {
        registry.release_thread(call::gettid(), &mut ThisProcess);
        stats::PINNED.set(registry.pinned_pages());
    });
}
