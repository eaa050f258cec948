//! What is on the host now. The plan is made of this and of nothing else.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::layout::Layout;
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
    /// That for 32-bit programs.
    pub narrow: Option<Vec<u8>>,
    /// The links to both, with their targets.
    pub links: BTreeMap<String, PathBuf>,
    /// The folders in ours, each after the one that it is in.
    pub folders: Vec<String>,
    /// Where an install puts the links, if it was looked for.
    pub layout: Option<Layout>,
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
        matches!(self.preload, Preload::Link(_)) || self.entry().is_some()
    }

    /// Our entry that is in force.
    pub fn entry(&self) -> Option<&'static str> {
        let entries = preload::entries(self.text());
        place::ENTRIES.into_iter().find(|entry| entries.contains(&entry.as_bytes()))
    }

    /// The words for `$LIB` for which there is a link.
    pub fn words(&self) -> impl Iterator<Item = &str> {
        self.links.keys().filter_map(|link| {
            let word = link.strip_prefix(place::FOLDER)?.strip_suffix(place::NAME)?;
            Some(word.trim_matches('/'))
        })
    }

    /// The entry that leads to what is installed.
    pub fn installed_entry(&self) -> &'static str {
        if self.links.is_empty() { place::LIBRARY } else { place::BY_CLASS }
    }

    /// The text that we write: our entry, and what was there before. `None`: there is no place
    /// for our entry in it.
    pub fn ours(&self, entry: &str) -> Option<Vec<u8>> {
        preload::with(entry, self.before.as_deref().unwrap_or_default())
    }

    /// Whether the text that is in force is what we wrote.
    pub fn is_untouched(&self) -> bool {
        match self.entry() {
            Some(entry) => self.ours(entry).is_some_and(|ours| self.text() == ours),
            None => matches!(self.preload, Preload::Link(None)),
        }
    }

    /// Looks where each loader here finds its library.
    pub fn with_layout(self) -> Self {
        Self { layout: Layout::look(), ..self }
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
    let (mut links, mut folders) = (BTreeMap::new(), Vec::new());
    placed(place::FOLDER, &mut links, &mut folders);
    Ok(Found {
        preload: preload_file()?,
        before: read(place::BEFORE)?,
        library: read(place::LIBRARY)?,
        narrow: read(place::NARROW)?,
        links,
        folders,
        layout: None,
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

/// Links that have the library's name, and all folders, below `folder`.
fn placed(folder: &str, links: &mut BTreeMap<String, PathBuf>, folders: &mut Vec<String>) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let Ok(path) = entry.path().into_os_string().into_string() else { continue };
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => {
                folders.push(path.clone());
                placed(&path, links, folders);
            }
            Ok(kind) if kind.is_symlink() && entry.file_name() == place::NAME => {
                links.extend(fs::read_link(&path).map(|target| (path, target)));
            }
            _ => {}
        }
    }
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
