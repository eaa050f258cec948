//! Reads the block that `libsigward.so` publishes in a process, from outside:
//! `docs/published-block.md` has its layout and its rules.
//!
//! | module | owns |
//! |---|---|
//! | [`source`] | bytes at addresses: a process, or what a test makes up |
//! | [`process`] | a real process, by `/proc/PID` |
//! | [`maps`] | what a process has mapped |
//! | [`note`] | where the blocks are: the library's ELF note |
//! | [`record`] | one block, of any version and pointer width |
//! | [`entry`] | one entry of its table of stacks |
//! | [`snapshot`] | both, such as they were at one time |
//!
//! Whatever the bytes are, nothing here panics, loops without end, or takes
//! memory without bound. What is read is the process's own word: it may be wrong
//! by a defect, or on purpose. Where it matters, ask the kernel too.
#![forbid(unsafe_code)]

pub mod entry;
pub mod maps;
pub mod note;
pub mod process;
pub mod record;
pub mod snapshot;
pub mod source;

mod cursor;

pub use process::Process;
pub use snapshot::{Snapshot, read};
pub use source::{Source, Unreadable};

use core::fmt;

/// Why a block cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Error {
    /// Memory that cannot be read.
    Unreadable(Unreadable),
    /// No block is there.
    Foreign,
    /// The block says that its words have this many bytes.
    Width(u8),
    /// The block says that it is this many bytes large.
    Size(u32),
    /// The block is of this version, which only a newer reader understands.
    TooNew(u16),
    /// What is said of the table of stacks cannot be so, or is not there.
    Table,
    /// It changed each time that it was read.
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
            Error::Foreign => f.write_str("there is no block of sigward's"),
            Error::Width(width) => write!(f, "the block is damaged: words of {width} bytes"),
            Error::Size(size) => write!(f, "the block is damaged: {size} bytes in all"),
            Error::TooNew(version) => {
                write!(f, "the block is of version {version}: read it with a newer sigward")
            }
            Error::Table => f.write_str("the block is damaged: no table where it says"),
            Error::Torn => f.write_str("torn: the block changed each time that it was read"),
        }
    }
}

impl std::error::Error for Error {}
