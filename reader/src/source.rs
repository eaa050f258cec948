//! Bytes at addresses.

use core::fmt;
use std::io::ErrorKind;

/// Memory that can be read while it changes.
pub trait Source {
    /// Reads from `address` into `buffer`, up to the first byte that is not there.
    /// Returns the number of bytes.
    ///
    /// # Errors
    /// If not one byte can be read.
    fn read_at(&self, address: u64, buffer: &mut [u8]) -> Result<usize, Unreadable>;

    /// Fills `buffer`.
    ///
    /// # Errors
    /// If a byte cannot be read.
    fn fill(&self, address: u64, buffer: &mut [u8]) -> Result<(), Unreadable> {
        let mut done = 0;
        while let Some(rest) = buffer.get_mut(done..).filter(|rest| !rest.is_empty()) {
            let here = address.checked_add(done as u64).ok_or(Unreadable::Unmapped(address))?;
            match self.read_at(here, rest)? {
                0 => return Err(Unreadable::Unmapped(here)),
                more => done = done.saturating_add(more),
            }
        }
        Ok(())
    }
}

/// Why memory cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unreadable {
    /// Nothing is mapped at this address.
    Unmapped(u64),
    /// We lack the permission.
    Denied,
    /// The process has ended, or executes another program now.
    Gone,
    /// Another error.
    Failed(ErrorKind),
}

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Unreadable::Unmapped(address) => write!(f, "nothing is mapped at {address:#x}"),
            Unreadable::Denied => f.write_str(
                "permission denied: only root (CAP_SYS_PTRACE) and the process's own user may read \
                 its memory; with kernel.yama.ptrace_scope=1, only root and its ancestors",
            ),
            Unreadable::Gone => f.write_str("the process has ended, or executes another program"),
            Unreadable::Failed(kind) => write!(f, "its memory cannot be read: {kind}"),
        }
    }
}

impl std::error::Error for Unreadable {}
