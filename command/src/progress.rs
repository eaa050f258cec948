//! How far a long command is: a bar on stderr, if that is a terminal.
//!
//! By hand: crates that draw bars keep hash tables, whose seeds are random
//! bytes, and where none can be had (no /dev, Linux before 5.6) std panics.

use std::cell::Cell;
use std::io::{self, IsTerminal, Write};

/// Characters of the bar.
const WIDTH: u64 = 20;

/// Cleared away when dropped.
pub struct Progress {
    whole: u64,
    position: Cell<u64>,
    message: Cell<&'static str>,
    /// Characters that are filled, as drawn last.
    filled: Cell<u64>,
    terminal: bool,
}

impl Progress {
    /// Of `whole` steps none is done.
    pub fn of(whole: u64) -> Self {
        Self {
            whole: whole.max(1),
            position: Cell::new(0),
            message: Cell::new(""),
            filled: Cell::new(0),
            terminal: io::stderr().is_terminal(),
        }
    }

    /// The steps that are done.
    pub fn position(&self) -> u64 {
        self.position.get()
    }

    /// So many steps are done.
    pub fn reach(&self, position: u64) {
        self.position.set(position.min(self.whole));
        let filled = self.position.get() * WIDTH / self.whole;
        if self.filled.replace(filled) != filled {
            self.draw();
        }
    }

    /// What is done now.
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
