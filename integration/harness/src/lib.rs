//! Test support: builds what is tested, runs it with and without `libsigward.so`,
//! and counts the page faults that the kernel takes while it writes signal frames.
//!
//! | module | owns |
//! |---|---|
//! | [`artifacts`] | `libsigward.so` and the workspace's commands, never stale |
//! | [`programs`] | the C programs of `integration/programs`, for glibc and musl |
//! | [`run`] | one run of a program: library, user, limits, dead-man's switch |
//! | [`frames`] | the ptrace meter: faults per signal delivery, from outside |
//!
//! Nothing in here is shipped. Functions return errors that name the command that
//! failed; tests unwrap them.

pub mod artifacts;
mod deadman;
pub mod frames;
pub mod programs;
pub mod run;

pub use run::{Outcome, Run};
