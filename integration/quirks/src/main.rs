//! Turns the kernel CNA's records (one JSON file per CVE, from the kernel's vulns tree) into
//! the data of the command's table of defects, `command/src/quirks/records.rs`.
//!
//! Take the newest edition of each record: later ones list more stable branches.

mod data;
mod record;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::{fs, io};

use clap::Parser;
use record::Record;

/// Import the kernel CNA's records into the table of defects
#[derive(Parser)]
enum Tool {
    /// Print the data file made from the records in FOLDER
    Import {
        /// A folder of CVE-*.json files
        folder: PathBuf,
    },
    /// Write the part of each record that the import reads (versions and ids, no sentences)
    Extract {
        /// A folder of CVE-*.json files
        folder: PathBuf,
        /// Where the extracts go
        into: PathBuf,
    },
}

fn main() -> ExitCode {
    let done = match Tool::parse() {
        Tool::Import { folder } => records(&folder).map(|all| print!("{}", data::file(&all))),
        Tool::Extract { folder, into } => extract(&folder, &into),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("sigward-quirks: {why}");
            ExitCode::FAILURE
        }
    }
}

/// The records of a folder, in the order of their ids.
fn records(folder: &Path) -> Result<Vec<Record>, String> {
    let mut all = Vec::new();
    for (path, text) in files(folder)? {
        let record = record::parse(&text).map_err(|why| format!("{}: {why}", path.display()))?;
        all.push(record);
    }
    all.sort_by_key(Record::order);
    match all.windows(2).find(|pair| pair[0].cve == pair[1].cve) {
        Some([one, _]) => Err(format!("two editions of {}: give only the newest", one.cve)),
        _ => Ok(all),
    }
}

fn extract(folder: &Path, into: &Path) -> Result<(), String> {
    fs::create_dir_all(into).map_err(|error| format!("{}: {error}", into.display()))?;
    for (path, text) in files(folder)? {
        let part = record::extract(&text).map_err(|why| format!("{}: {why}", path.display()))?;
        let file = into.join(path.file_name().unwrap_or_default());
        fs::write(&file, part).map_err(|error| format!("{}: {error}", file.display()))?;
    }
    Ok(())
}

/// The paths and texts of the records in a folder.
fn files(folder: &Path) -> Result<Vec<(PathBuf, String)>, String> {
    let read = || -> io::Result<Vec<(PathBuf, String)>> {
        let mut found = Vec::new();
        for entry in fs::read_dir(folder)? {
            let path = entry?.path();
            if path.extension().is_some_and(|ending| ending == "json") {
                found.push((path.clone(), fs::read_to_string(path)?));
            }
        }
        found.sort();
        Ok(found)
    };
    match read() {
        Ok(found) if found.is_empty() => Err(format!("{}: no *.json files", folder.display())),
        Ok(found) => Ok(found),
        Err(error) => Err(format!("{}: {error}", folder.display())),
    }
}
