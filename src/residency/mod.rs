//! Defect `linux-sigframe-fpu`: page faults during writes of signal frames.
//!
//! [`frame`] gives the size of a frame. [`ladder`] chooses the pages to keep
//! resident and how. [`page_locks`] counts locked pages. [`registry`] records
//! whose stacks they are. `charge` is the process's state and who may use it;
//! `adopt` brings stacks into it, and [`thread_cache`] answers from it
//! without a lock. [`ordinary_stacks`] holds a thread's own stack where a handler may
//! run on it, within the [`bounds`] of that stack. [`watched`] says at once
//! which memory calls concern no stack, and [`origin`] which stacks are memory
//! of their own. What may undo residency is in [`crate::events`]. See
//! `docs/linux-sigframe-fpu.md`.

pub(crate) mod adopt;
pub mod bounds;
pub(crate) mod charge;
pub(crate) mod fork_progress;
pub mod frame;
pub mod hash_table;
pub mod ladder;
pub mod ordinary_stacks;
pub mod origin;
pub mod page_locks;
pub mod registry;
pub(crate) mod stack_memory;
mod substitute_records;
pub(crate) mod substitutes;
pub mod thread_cache;
pub mod watched;

pub use adopt::{adopt_current, stacks_on_record};
pub(crate) use charge::is_lent;
pub use charge::{Duty, Policy, on_duty, promise_thread_ends, stand_down, stand_up, take_charge};
