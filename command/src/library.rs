//! Finds libsigward.so and puts it first in `LD_PRELOAD`.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use object::elf::DT_SONAME;
use object::read::elf::{Dyn, ElfFile64};

use super::failure::Failure;
use super::image::image;

/// The file name to look for, which is also the file's SONAME.
pub const NAME: &str = "libsigward.so";

/// A library that the loader accepts.
pub struct Library {
    pub path: PathBuf,
    /// `EM_*` of the file. The target's must be the same.
    pub machine: u16,
}

impl Library {
    /// Takes `given`, or looks beside the executable and in `../lib/sigward`.
    pub fn find(given: Option<&Path>) -> Result<Self, Failure> {
        let path = match given {
            Some(path) => std::path::absolute(path)
                .map_err(|error| Failure::new(format!("--library {}: {error}", path.display())))?,
            None => installed()?,
        };
        Self::open(path)
    }

    fn open(path: PathBuf) -> Result<Self, Failure> {
        if let Some(byte) = path.as_os_str().as_bytes().iter().find(|byte| splits(**byte)) {
            return Err(Failure::new(format!(
                "the path of the library contains {:?}, where the loader would split it: {}",
                char::from(*byte),
                path.display()
            ))
            .remedy(
                "move the library, or give a path without blanks, colons and $ with --library",
            ));
        }
        let file = File::open(&path).map_err(|error| {
            Failure::new(format!("cannot read the library {}: {error}", path.display()))
                .remedy("give its path with --library PATH")
        })?;
        match machine_if_ours(file) {
            Some(machine) => Ok(Self { path, machine }),
            None => Err(Failure::new(format!(
                "{} is not {NAME}: not a 64-bit ELF shared object with that SONAME",
                path.display()
            ))
            .remedy("give another file with --library PATH")),
        }
    }

    /// The value for `LD_PRELOAD`: our library first, then what was there.
    ///
    /// First, because the loader binds a name to its first definition. A preload in front
    /// of us that handles `sigaltstack` itself would hide the call from us. One behind us
    /// is the next definition: we call it, and it works as before.
    pub fn in_front_of(&self, existing: Option<&OsStr>) -> Result<OsString, Failure> {
        let mut value = self.path.clone().into_os_string().into_vec();
        let entries = existing.map(OsStr::as_bytes).unwrap_or_default();
        for entry in entries.split(|byte| matches!(byte, b' ' | b':')).filter(|e| !e.is_empty()) {
            let path = Path::new(OsStr::from_bytes(entry));
            if same_file(path, &self.path) {
                continue;
            }
            if is_ours(path) {
                return Err(Failure::new(format!(
                    "LD_PRELOAD already holds another {NAME}: {}, ours is {}",
                    path.display(),
                    self.path.display()
                ))
                .remedy("remove one of them: two copies undo each other's work"));
            }
            value.push(b':');
            value.extend_from_slice(entry);
        }
        Ok(OsString::from_vec(value))
    }
}

/// The library's ELF machine, or `None` if `file` is not our library. Judged by its
/// SONAME: any other shared object would be preloaded silently and protect nothing.
fn machine_if_ours(file: File) -> Option<u16> {
    let data = image(file);
    let elf = ElfFile64::<object::Endianness, _>::parse(&data).ok()?;
    let (endian, sections) = (elf.endian(), elf.elf_section_table());
    let (entries, names) = sections.dynamic(endian, &data).ok()??;
    let names = sections.strings(endian, &data, names).ok()?;
    let soname = entries.iter().find(|entry| entry.tag(endian) == DT_SONAME)?;
    let ours = names.get(soname.val32(endian)?) == Ok(NAME.as_bytes());
    ours.then(|| elf.elf_header().e_machine.get(endian).0)
}

/// Whether an entry of `LD_PRELOAD` is our library. Judged by its file name if the loader
/// must search for it, or if it cannot be read.
fn is_ours(entry: &Path) -> bool {
    match File::open(entry) {
        Ok(file) => machine_if_ours(file).is_some(),
        Err(_) => entry.file_name() == Some(OsStr::new(NAME)),
    }
}

/// Whether ld.so splits `LD_PRELOAD` at this byte, or expands it.
fn splits(byte: u8) -> bool {
    byte.is_ascii_whitespace() || matches!(byte, b':' | b'$')
}

fn same_file(one: &Path, other: &Path) -> bool {
    one == other
        || matches!((one.canonicalize(), other.canonicalize()), (Ok(one), Ok(other)) if one == other)
}

fn installed() -> Result<PathBuf, Failure> {
    let executable = std::env::current_exe()
        .map_err(|error| Failure::new(format!("cannot find my own executable: {error}")))?;
    let beside = executable.with_file_name(NAME);
    let installed = executable.parent().and_then(Path::parent).map(|prefix| {
        let mut path = prefix.to_owned();
        path.extend(["lib", "sigward", NAME]);
        path
    });
    let places: Vec<PathBuf> = std::iter::once(beside).chain(installed).collect();
    places.iter().find(|path| path.exists()).cloned().ok_or_else(|| {
        let list: Vec<String> = places.iter().map(|path| path.display().to_string()).collect();
        Failure::new(format!("no {NAME} at {}", list.join(" or ")))
            .remedy("build it with `make build`, or give its path with --library PATH")
    })
}
