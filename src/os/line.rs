//! A line of text on the stack.

use core::fmt;

/// The longest line that is written, in bytes; a longer one is cut.
pub const CAPACITY: usize = 512;

/// Collects one line, then writes it by one call or drops it. Never allocates,
/// never fails.
pub struct Line {
    bytes: [u8; CAPACITY],
    length: usize,
}

impl Default for Line {
    fn default() -> Self {
        Line { bytes: [0; CAPACITY], length: 0 }
    }
}

impl Line {
    /// The text so far.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..self.length).unwrap_or_default()
    }

    /// Ends the line and writes it to standard error, if that can do no harm
    /// ([`stderr`](super::stderr)). Async-signal-safe.
    pub fn emit(mut self) {
        let last = self.length.min(CAPACITY - 1);
        if let Some(end) = self.bytes.get_mut(last) {
            *end = b'\n';
            self.length = last + 1;
        }
        super::stderr::write(self.as_bytes());
    }
}

impl fmt::Write for Line {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for &byte in text.as_bytes() {
            let Some(place) = self.bytes.get_mut(self.length) else { break };
            // One message is one line, whatever a value contains.
            *place = if byte.is_ascii_control() { b'?' } else { byte };
            self.length += 1;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::fmt::Write as _;

    #[test]
    fn a_long_line_is_cut_and_controls_are_masked() {
        let mut line = Line::default();
        write!(line, "a\nb\x1b{}", "x".repeat(2 * CAPACITY)).unwrap();
        assert_eq!(line.as_bytes().len(), CAPACITY);
        assert!(line.as_bytes().starts_with(b"a?b?xxx"));
    }
}
