//! Prints reports to stdout.

use std::ffi::OsStr;
use std::io::{self, ErrorKind, Write};
use std::os::unix::ffi::OsStrExt;

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
    text.map_err(|error| unwritten(&error)).and_then(|text| write(text.as_bytes()))
}

/// Prints a line.
pub fn line(text: &OsStr) -> Result<(), Failure> {
    write(&[text.as_bytes(), b"\n"].concat())
}

fn write(text: &[u8]) -> Result<(), Failure> {
    match io::stdout().write_all(text) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(unwritten(&error)),
        _ => Ok(()),
    }
}

fn unwritten(error: &io::Error) -> Failure {
    Failure::new(format!("cannot write to standard output: {error}"))
}
