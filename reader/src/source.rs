//! Bytes at addresses.

use core::fmt;
use std::io::ErrorKind;

/// Memory that can be read, and changes meanwhile.
pub trait Source {
    /// Reads from `address` on into `buffer`, up to the first byte that is not
    /// there. Returns how many bytes.
    ///
    /// # Errors
    /// Where not one byte can be read.
    fn read_at(&self, address: u64, buffer: &mut [u8]) -> Result<usize, Unreadable>;

    /// Fills `buffer`.
    ///
    /// # Errors
    /// Where a byte cannot be read.
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
    /// We may not.
    Denied,
    /// The process has ended, or executes another program now.
    Gone,
    /// For another reason.
    Failed(ErrorKind),
}

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Unreadable::Unmapped(address) => write!(f, "nothing is mapped at {address:#x}"),
            Unreadable::Denied => f.write_str(
                "permission denied: another process's memory is read by root (CAP_SYS_PTRACE) or \
                 by its own user; where kernel.yama.ptrace_scope is 1, by root or an ancestor",
            ),
            Unreadable::Gone => f.write_str("the process has ended, or executes another program"),
            Unreadable::Failed(kind) => write!(f, "its memory cannot be read: {kind}"),
        }
    }
}

impl std::error::Error for Unreadable {}
