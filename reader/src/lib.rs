//! Reads the block that `libsigward.so` publishes, from outside the process.
//! `docs/published-block.md` describes its layout and rules.
//!
//! | module | owns |
//! |---|---|
//! | [`source`] | bytes at addresses: a process's, or a test's |
//! | [`process`] | a real process, through `/proc/PID` |
//! | [`maps`] | what a process has mapped |
//! | [`note`] | finds the blocks by the library's ELF note |
//! | [`record`] | one block, of any version and pointer width |
//! | [`stack`] | one entry of its table of stacks |
//! | [`snapshot`] | both, as they were at one time |
//!
//! For any bytes at all, nothing here panics, loops forever, or allocates without
//! bound. What it reads is the process's own claim, which may be wrong because of a
//! defect or on purpose. Where it matters, ask the kernel too.
#![forbid(unsafe_code)]

pub mod maps;
pub mod note;
pub mod process;
pub mod record;
pub mod snapshot;
pub mod source;
pub mod stack;

mod cursor;

pub use process::Process;
pub use snapshot::{Snapshot, read};
pub use source::{Source, Unreadable};

use core::fmt;

/// Why a block cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Error {
    /// The memory cannot be read.
    Unreadable(Unreadable),
    /// There is no block.
    Foreign,
    /// The block gives this number of bytes per word.
    Width(u8),
    /// The block gives this size in bytes.
    Size(u32),
    /// The block is of this version, which only a newer reader understands.
    TooNew(u16),
    /// The block's description of the table of stacks is impossible or missing.
    Table,
    /// It changed during every attempt to read it.
    Torn,
}

impl From<Unreadable> for Error {
    fn from(why: Unreadable) -> Self {
        Error::Unreadable(why)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Unreadable(why) => why.fmt(f),
            Error::Foreign => f.write_str("there is no sigward block"),
            Error::Width(width) => write!(f, "the block is damaged: words of {width} bytes"),
            Error::Size(size) => write!(f, "the block is damaged: {size} bytes in all"),
            Error::TooNew(version) => {
                write!(f, "the block has version {version}: read it with a newer sigward")
            }
            Error::Table => {
                f.write_str("the block is damaged: there is no table at the address it gives")
            }
            Error::Torn => f.write_str("torn: the block changed during every attempt to read it"),
        }
    }
}

impl std::error::Error for Error {}
