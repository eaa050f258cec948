//! The program's own memory calls that affect a stack we hold. Each returns
//! what it would return without us, and afterwards the stacks are resident
//! again, as far as the memory still exists.
//!
//! If our lock would change the outcome of a call, the stack is released before
//! it and held again afterwards, with signals blocked on the calling thread.
//! For stacks of other threads that leaves a window, which is counted. A call
//! on the memory that the caller is running on leaves a window too, because
//! signals are not blocked during it: the call may remove the stack or make it
//! read-only, and then the program's handlers must see the result.

mod advice;
pub(crate) mod dangling;
mod locks;
mod release;

pub use advice::{advise, advising_ranges, flags_a_fork, may_be_refused_by_a_lock};
pub use dangling::returned;
pub use locks::{ending_heap, locking, mapping, unlocking};
pub use release::{Commit, CommitOn, appeared, replacing, unmapping, weakening};
