//! The `log` facade's sink: one line, one write by [`crate::os::stderr`].

use core::fmt::Write;

use log::{LevelFilter, Log, Metadata, Record};

use crate::os::line::Line;
use crate::os::{call, stderr};

/// Async-signal-safe: a buffer on the stack, raw calls, no lock.
struct Sink;

impl Log for Sink {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        stderr::is_open() // if open, the facade's maximum level decides
    }

    fn log(&self, record: &Record<'_>) {
        // If a filter forbids writing, getpid(2) and gettid(2) may be forbidden
        // too.
        if !self.enabled(record.metadata()) {
            return;
        }
        let mut line = Line::default();
        // Writing to a `Line` cannot fail.
        let _ = write!(
            line,
            "sigward[{}/{}] {}: {}",
            call::getpid(),
            call::gettid(),
            record.level(),
            record.args()
        );
        line.emit();
    }

    fn flush(&self) {}
}

/// Enables messages up to `level`. Call it once, at load.
pub fn listen(level: LevelFilter) {
    static SINK: Sink = Sink;
    if level != LevelFilter::Off && log::set_logger(&SINK).is_ok() {
        log::set_max_level(level);
    }
}
