//! Why a block cannot be read.

use core::fmt;

use crate::source::Unreadable;

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
