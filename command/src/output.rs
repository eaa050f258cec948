//! Prints reports to stdout.

use std::io::{self, ErrorKind, Write};

use serde::Serialize;

use super::failure::Failure;

/// Prints a report, as JSON or as text.
///
/// A reader that has closed the pipe, as in `sigward check | head -1`, has what it
/// wanted: the exit code is still the report's.
pub fn print<R: Serialize>(
    report: &R,
    json: bool,
    words: impl FnOnce(&R) -> String,
) -> Result<(), Failure> {
    let text = if json {
        serde_json::to_string_pretty(report).map(|json| json + "\n").map_err(io::Error::from)
    } else {
        Ok(words(report))
    };
    match text.and_then(|text| io::stdout().write_all(text.as_bytes())) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            Err(Failure::new(format!("cannot write to standard output: {error}")))
        }
        _ => Ok(()),
    }
}
