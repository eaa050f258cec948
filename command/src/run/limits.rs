//! The limits that the program gets.

use std::str::FromStr;

use nix::errno::Errno;
use nix::sys::resource::{Resource, getrlimit, setrlimit};

use crate::cures;
use crate::failure::Failure;

/// A limit on locked memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Memlock {
    /// The hard limit.
    Max,
    Bytes(u64),
}

impl FromStr for Memlock {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "max" {
            return Ok(Self::Max);
        }
        let (number, unit) = match text.as_bytes().last() {
            Some(b'K') => (text.strip_suffix('K'), 1 << 10),
            Some(b'M') => (text.strip_suffix('M'), 1 << 20),
            Some(b'G') => (text.strip_suffix('G'), 1 << 30),
            _ => (Some(text), 1),
        };
        let bytes = number.and_then(|number| number.parse::<u64>().ok());
        let bytes = bytes.and_then(|number| number.checked_mul(unit));
        bytes.map(Self::Bytes).ok_or_else(|| {
            "accepted: max, or a number of bytes, which may end with K, M or G".to_owned()
        })
    }
}

/// Raises the soft limits on locked memory and queued signals to the hard ones, which every
/// process may. At the second, the kernel delivers a SIGSEGV without its address. If even that
/// fails, the library logs what it could not lock.
pub fn raise() {
    for limit in [Resource::RLIMIT_MEMLOCK, Resource::RLIMIT_SIGPENDING] {
        cures::raise(limit);
    }
}

/// Sets the soft limit on locked memory.
///
/// # Errors
/// If it is above the hard limit, and we may not raise that.
pub fn set_memlock(wanted: Memlock) -> Result<(), Failure> {
    let limit = Resource::RLIMIT_MEMLOCK;
    let (_, hard) = getrlimit(limit).unwrap_or((0, u64::MAX));
    let wanted = match wanted {
        Memlock::Max => hard,
        Memlock::Bytes(bytes) => bytes,
    };
    setrlimit(limit, wanted, hard.max(wanted)).map_err(|error| {
        let why = match error {
            Errno::EPERM => format!("above the hard limit of {hard} bytes"),
            other => other.desc().to_owned(),
        };
        Failure::new(format!("--memlock {wanted}: {why}"))
            .remedy("raise the hard limit where the service or the container is defined")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_units() {
        for (text, bytes) in
            [("0", 0), ("65536", 65536), ("64K", 65536), ("8M", 8 << 20), ("1G", 1 << 30)]
        {
            assert_eq!(text.parse(), Ok(Memlock::Bytes(bytes)), "{text}");
        }
        assert_eq!("max".parse(), Ok(Memlock::Max));
        for text in ["", "K", "-1", "1k", "1.5M", "99999999999G"] {
            assert!(text.parse::<Memlock>().is_err(), "{text}");
        }
    }
}
