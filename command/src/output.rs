//! Prints reports to stdout, or writes them to a file at once.

use std::ffi::{OsStr, OsString};
use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use serde::Serialize;

use super::failure::Failure;

/// Prints a report, as JSON or as text.
///
/// A reader that has closed the pipe, as in `sigward check | head -1`, has what it
/// wanted: the exit code is still the report's.
pub fn print<R: Serialize>(
    report: &R,
    is_json: bool,
    words: impl FnOnce(&R) -> String,
) -> Result<(), Failure> {
    let text = if is_json { json(report)? } else { words(report) };
    put(&text, None)
}

/// A report as JSON.
pub fn json<R: Serialize>(report: &R) -> Result<String, Failure> {
    let text = serde_json::to_string_pretty(report).map(|json| json + "\n");
    text.map_err(|error| cannot_write("standard output", &error.into()))
}

/// Prints a text, or writes it to a file that has either the old or the new text at any time.
pub fn put(text: &str, file: Option<&Path>) -> Result<(), Failure> {
    let Some(path) = file else { return write(text.as_bytes()) };
    // What a link leads to is replaced, not the link.
    let place = std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    // Collectors ignore names that start with a dot.
    let mut name = OsString::from(".");
    name.push(place.file_name().unwrap_or_default());
    name.push(format!(".{}", std::process::id()));
    let new = place.with_file_name(name);
    let replace = || -> io::Result<()> {
        // A device or a FIFO, also behind a link as /dev/stdout.
        if std::fs::metadata(path).is_ok_and(|there| !there.is_file()) {
            return OpenOptions::new().write(true).open(path)?.write_all(text.as_bytes());
        }
        let mut file = File::create(&new)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        std::fs::rename(&new, &place)
    };
    replace().map_err(|error| {
        let _ = std::fs::remove_file(&new);
        cannot_write(&path.display().to_string(), &error)
    })
}

/// Prints a line.
pub fn line(text: &OsStr) -> Result<(), Failure> {
    write(&[text.as_bytes(), b"\n"].concat())
}

fn write(text: &[u8]) -> Result<(), Failure> {
    match io::stdout().write_all(text) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            Err(cannot_write("standard output", &error))
        }
        _ => Ok(()),
    }
}

fn cannot_write(place: &str, error: &io::Error) -> Failure {
    Failure::new(format!("cannot write to {place}: {error}"))
}
