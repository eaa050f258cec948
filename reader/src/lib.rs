//! Reads the block that `libsigward.so` publishes, from outside the process.
//! `docs/published-block.md` describes its layout and rules.
//!
//! | module | owns |
//! |---|---|
//! | [`source`] | bytes at addresses: a process's, or a test's |
//! | [`process`] | a real process, through `/proc/PID` |
//! | [`maps`] | what a process has mapped |
//! | [`note`] | finds the blocks by the library's ELF note |
//! | [`block`] | one block, of any version and pointer width |
//! | [`stack`] | one entry of its table of stacks |
//! | [`substitute`] | larger stacks that stand in for the program's |
//! | [`measured`] | stacks whose depth can be seen |
//! | [`snapshot`] | all of it, as they were at one time |
//!
//! For any bytes at all, nothing here panics, loops forever, or allocates without
//! bound. What it reads is the process's own claim, which may be wrong because of a
//! defect or on purpose. Where it matters, ask the kernel too.
#![forbid(unsafe_code)]

pub mod block;
pub mod maps;
pub mod measured;
pub mod note;
pub mod process;
pub mod snapshot;
pub mod source;
pub mod stack;
pub mod substitute;

mod cursor;
mod error;

pub use error::Error;
pub use process::Process;
pub use snapshot::{Snapshot, read};
pub use source::{Source, Unreadable};
