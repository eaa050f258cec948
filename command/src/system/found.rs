//! What is on the host now. The plan is made of this and of nothing else.

use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::place;
use super::preload;
use crate::failure::Failure;

/// What `/etc/ld.so.preload` is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Preload {
    Absent,
    File(Vec<u8>),
    /// Our link into /run, and what it leads to now.
    Link(Option<Vec<u8>>),
    /// Something that we do not touch.
    Other(String),
}

#[derive(Clone, Debug)]
#[allow(clippy::struct_excessive_bools, reason = "each is an independent fact")]
pub struct Found {
    pub preload: Preload,
    /// The file that was there before us.
    pub before: Option<Vec<u8>>,
    pub library: Option<Vec<u8>>,
    pub command: Option<Vec<u8>>,
    pub unit: Option<Vec<u8>>,
    pub is_wanted: bool,
    pub except: Option<Vec<u8>>,
    /// Why the list of exceptions must not be believed.
    pub except_fault: Option<String>,
    pub defaults: Option<Vec<u8>>,
    /// Whether systemd is installed.
    pub has_systemd: bool,
    /// Whether it runs, and is that of this root.
    pub runs_systemd: bool,
    /// Whether this is the running host rather than a folder.
    pub is_live: bool,
}

impl Found {
    pub fn look(is_live: bool) -> Result<Self, Failure> {
        look(is_live).map_err(|(path, error)| Failure::new(format!("cannot read {path}: {error}")))
    }

    /// The text that is in force, as far as it is ours to change.
    pub fn text(&self) -> &[u8] {
        match &self.preload {
            Preload::File(text) | Preload::Link(Some(text)) => text,
            _ => &[],
        }
    }

    /// Whether our entry is in force, or will be after the next boot.
    pub fn is_installed(&self) -> bool {
        matches!(self.preload, Preload::Link(_))
            || preload::entries(self.text()).contains(&place::LIBRARY.as_bytes())
    }

    /// The text that we write: our entry, and what was there before. `None`: there is no place
    /// for our entry in it.
    pub fn ours(&self) -> Option<Vec<u8>> {
        preload::with(place::LIBRARY, self.before.as_deref().unwrap_or_default())
    }
}

fn look(is_live: bool) -> Result<Found, (&'static str, io::Error)> {
    let is_file = |path: &&str| Path::new(path).exists();
    let except_fault = match fs::symlink_metadata(place::EXCEPT) {
        Ok(found) if !found.is_file() => Some("it is not a plain file".to_owned()),
        Ok(found) if found.uid() != 0 => Some(format!("it belongs to user {}", found.uid())),
        Ok(found) if found.mode() & 0o022 != 0 => Some("others can write to it".to_owned()),
        _ => None,
    };
    Ok(Found {
        preload: preload_file()?,
        before: read(place::BEFORE)?,
        library: read(place::LIBRARY)?,
        command: read(place::COMMAND)?,
        unit: read(place::UNIT)?,
        is_wanted: fs::symlink_metadata(place::WANTED).is_ok(),
        except: if except_fault.is_none() { read(place::EXCEPT)? } else { None },
        except_fault,
        defaults: read(place::DEFAULTS)?,
        has_systemd: ["/lib/systemd/systemd", "/usr/lib/systemd/systemd"].iter().any(is_file),
        runs_systemd: is_live && Path::new("/run/systemd/system").is_dir(),
        is_live,
    })
}

fn preload_file() -> Result<Preload, (&'static str, io::Error)> {
    let failed = |error| (place::PRELOAD, error);
    let found = match fs::symlink_metadata(place::PRELOAD) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Preload::Absent),
        other => other.map_err(failed)?,
    };
    if found.is_symlink() {
        let target = fs::read_link(place::PRELOAD).map_err(failed)?;
        return Ok(if target == Path::new(place::RUN_PRELOAD) {
            Preload::Link(read(place::RUN_PRELOAD)?)
        } else {
            Preload::Other(format!("a link to {}", target.display()))
        });
    }
    if !found.is_file() {
        return Ok(Preload::Other("no plain file".to_owned()));
    }
    Ok(read(place::PRELOAD)?.map_or(Preload::Absent, Preload::File))
}

/// The bytes of a file; `None` if there is none.
fn read(path: &'static str) -> Result<Option<Vec<u8>>, (&'static str, io::Error)> {
    use io::Read;
    let mut bytes = Vec::new();
    match File::open(path).and_then(|mut file| file.read_to_end(&mut bytes)) {
        Ok(_) => Ok(Some(bytes)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err((path, error)),
    }
}
