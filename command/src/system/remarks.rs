//! What `doctor` says about a system-wide preload: what would disturb every program, and what is
//! not reached.

use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::found::{Found, Preload};
use super::{except, layout, place, preload, trial};
use crate::library::both_classes::{EMPTY, VARIABLE, word};

/// What programs of one loader get by our entry. The names are an interface: add, do not rename.
#[derive(Serialize)]
pub struct Served {
    pub bits: u8,
    pub loader: String,
    /// `None`: nothing, and each of them prints a line.
    pub library: Option<String>,
    /// Whether it is one without code, because there was no loader of this class at the install.
    pub is_empty: bool,
}

/// What programs of each loader of glibc here get; nothing if there is no entry of ours.
pub fn served() -> Vec<Served> {
    let Ok(found) = Found::look(true) else { return Vec::new() };
    let Some(entry) = found.entry() else { return Vec::new() };
    // Without starting the loaders. `lib` last: others may contain it as well.
    let mut words: Vec<&str> = found.words().filter(|word| *word != VARIABLE).collect();
    words.sort_by_key(|word| std::cmp::Reverse(word.len()));
    let loaders = trial::loaders().into_iter().filter_map(|path| {
        let bits = layout::bits(&path)?;
        let found = if entry == place::BY_CLASS {
            let loader = fs::read(&path).ok()?;
            word(&loader, &words).map(|word| Path::new(place::FOLDER).join(word).join(place::NAME))
        } else {
            (bits == 64).then(|| place::LIBRARY.into())
        };
        let library = found.and_then(|path| path.canonicalize().ok());
        let is_empty = bits == 32
            && library.as_ref().is_some_and(|it| fs::read(it).is_ok_and(|it| it == EMPTY.bytes));
        let library = library.map(|path| path.display().to_string());
        Some(Served { bits, loader: path.display().to_string(), library, is_empty })
    });
    loaders.collect()
}

/// The library for 32-bit programs that `/etc/ld.so.preload` gives them beside that for others.
pub fn narrow_in_force() -> Option<PathBuf> {
    let text = fs::read(place::PRELOAD).ok()?;
    let is_there = preload::entries(&text).contains(&place::BY_CLASS.as_bytes());
    is_there.then(|| place::NARROW.into())
}

/// Remarks about `/etc/ld.so.preload` as it is now; none if it does not exist.
pub fn notes() -> Vec<String> {
    let Ok(found) = Found::look(true) else { return Vec::new() };
    let mut notes = Vec::new();
    match &found.preload {
        Preload::Absent => return notes,
        Preload::Link(None) => notes.push(format!(
            "the link to {} leads nowhere: nothing is preloaded, and no program says so; \
             systemctl restart sigward-preload",
            place::RUN_PRELOAD
        )),
        Preload::Other(what) => notes.push(format!("it is {what}")),
        _ => {}
    }
    let text = fs::read(place::PRELOAD).unwrap_or_default();
    notes.extend(of_entries(&text, Path::exists));
    notes.extend(served().iter().filter_map(Served::note));
    if found.is_installed() {
        let musl = trial::loaders().into_iter().filter(|loader| {
            loader.file_name().is_some_and(|name| name.as_bytes().starts_with(b"ld-musl-"))
        });
        notes.extend(musl.map(|loader| {
            format!("programs of {} do not read it: start them by sigward run", loader.display())
        }));
        notes.extend(of_exceptions(&found));
    }
    notes
}

impl Served {
    fn note(&self) -> Option<String> {
        let Self { bits, loader, .. } = self;
        if self.is_empty {
            Some(format!(
                "{bits}-bit programs get a library without code: there were none at the install; \
                 sigward install --system"
            ))
        } else if self.library.is_none() {
            Some(format!(
                "programs of {loader} find no library by it, and each prints a line; \
                 sigward install --system"
            ))
        } else {
            None
        }
    }
}

/// Remarks about the names in it.
fn of_entries(text: &[u8], exists: impl Fn(&Path) -> bool) -> Vec<String> {
    let mut notes = Vec::new();
    let mut ours = 0;
    for name in preload::entries(text) {
        let words = String::from_utf8_lossy(name);
        let path = Path::new(std::ffi::OsStr::from_bytes(name));
        // A name without a slash is searched, and one with $ expanded, by each loader for itself.
        if name.contains(&b'/') && !name.contains(&b'$') && !exists(path) {
            notes.push(format!("{words} does not exist: every program of glibc prints a line"));
        }
        if sigward::config::preload::is_ours(name) {
            ours += 1;
        } else {
            notes.push(format!("{words} is another's: sigward leaves it alone"));
        }
    }
    if ours > 1 {
        notes.push("it names our library more than once: copies undo each other's work".to_owned());
    }
    notes
}

/// Remarks about the list of programs that are left alone.
fn of_exceptions(found: &Found) -> Vec<String> {
    if let Some(fault) = &found.except_fault {
        return vec![format!("{}: {fault}, so it is not used", place::EXCEPT)];
    }
    let Some(list) = &found.except else { return Vec::new() };
    let list = String::from_utf8_lossy(list);
    match except::patterns(&list) {
        Err(wrong) => vec![wrong],
        Ok(_) if !found.has_systemd => {
            vec![format!("{} reaches no program: only systemd passes it on", place::EXCEPT)]
        }
        Ok(patterns) if found.defaults != Some(except::defaults(&patterns).into_bytes()) => {
            vec![format!("{} has changed: sigward install --system passes it on", place::EXCEPT)]
        }
        Ok(_) => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::of_entries;

    #[test]
    fn dangling_foreign_and_double_entries_are_named() {
        let notes = |text: &str| of_entries(text.as_bytes(), |path| !path.ends_with("gone.so"));
        assert_eq!(notes("# /gone.so\n"), [""; 0]);
        assert_eq!(notes("/usr/lib/sigward/system/libsigward.so\n"), [""; 0]);
        let found = notes("/a/gone.so x.so /$LIB/gone.so gone.so");
        assert!(found[0].starts_with("/a/gone.so does not exist"), "{found:?}");
        assert_eq!(found.iter().filter(|note| note.contains("does not exist")).count(), 1);
        assert_eq!(found.iter().filter(|note| note.contains("another's")).count(), 4);
        let twice = notes("/a/libsigward.so:/b/libsigward.so");
        assert!(twice[0].contains("more than once"), "{twice:?}");
    }
}
