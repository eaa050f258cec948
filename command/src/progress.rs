//! The progress of a long command: a bar on stderr, if that is a terminal.
//!
//! Drawn by hand: crates for progress bars use hash tables with random seeds, and std
//! panics if there are no random bytes (no /dev, Linux before 5.6).

use std::cell::Cell;
use std::io::{self, IsTerminal, Write};

/// Characters of the bar.
const WIDTH: u64 = 20;

/// A progress bar. Dropping it clears the line.
pub struct Progress {
    whole: u64,
    position: Cell<u64>,
    message: Cell<&'static str>,
    /// Filled characters in the last drawing.
    filled: Cell<u64>,
    terminal: bool,
}

impl Progress {
    /// None of `whole` steps is done.
    pub fn of(whole: u64) -> Self {
        Self {
            whole: whole.max(1),
            position: Cell::new(0),
            message: Cell::new(""),
            filled: Cell::new(0),
            terminal: io::stderr().is_terminal(),
        }
    }

    /// The number of steps done.
    pub fn position(&self) -> u64 {
        self.position.get()
    }

    /// Sets the number of steps done.
    pub fn reach(&self, position: u64) {
        self.position.set(position.min(self.whole));
        let filled = self.position.get() * WIDTH / self.whole;
        if self.filled.replace(filled) != filled {
            self.draw();
        }
    }

    /// Names the current part.
    pub fn name(&self, message: &'static str) {
        self.message.set(message);
        self.draw();
    }

    fn draw(&self) {
        let filled = self.filled.get();
        let bar: String = (0..WIDTH).map(|at| if at < filled { '█' } else { '░' }).collect();
        self.put(&format!("\r\x1b[K{bar} {}", self.message.get()));
    }

    fn put(&self, text: &str) {
        if self.terminal {
            let _ = io::stderr().write_all(text.as_bytes());
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.put("\r\x1b[K");
    }
}
