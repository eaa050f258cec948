//! Finds libsigward.so, or makes a copy of the one inside the command, and puts it first in
//! `LD_PRELOAD`.

pub mod both_classes;
pub mod classes;
pub mod command;
mod embedded;
mod place;
mod readable;

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use nix::unistd::geteuid;
use object::Endianness;
use object::elf::{DT_SONAME, EM_386, EM_X86_64, FileHeader32, FileHeader64};
use object::read::ReadRef;
use object::read::elf::{Dyn, ElfFile, FileHeader};

use sigward::config;

use embedded::{Embedded, LIBRARY, LIBRARY_32};

use super::environment::ProgramEnvironment;
use super::failure::Failure;
use super::image::image;
use super::system::{self, preload::entries};

/// The file name to look for, which is also the file's SONAME.
pub const NAME: &str = "libsigward.so";

/// What glibc's loader preloads into every program.
const SYSTEM_PRELOAD: &str = "/etc/ld.so.preload";

/// A library that the loader accepts.
pub struct Library {
    pub path: PathBuf,
    /// `EM_*` of the file. The target's must be the same, or one that [`Library::takes`].
    pub machine: u16,
    /// Whether it is the one inside the command, beside which there may be one for 32-bit programs.
    pub is_own: bool,
}

impl Library {
    /// Takes `given`. Without it, the copy in `/etc/ld.so.preload`, beside the executable or in
    /// `../lib/sigward`, if it is the library inside the command, or else a copy made of that.
    pub fn find(given: Option<&Path>, environment: &ProgramEnvironment) -> Result<Self, Failure> {
        let everywhere = preloaded_everywhere();
        let library = match (given, &LIBRARY) {
            (Some(path), _) => {
                let path = std::path::absolute(path).map_err(|error| {
                    Failure::new(format!("--library {}: {error}", path.display()))
                })?;
                Self::open(path)?.readable_for_others(&everywhere, environment)?
            }
            // Compared with what is inside the command: nothing more is to be asked of it.
            (None, Some(library)) => Self {
                path: own_copy(library, true, &everywhere, environment)?,
                machine: library.machine(),
                is_own: true,
            },
            (None, None) => Self::open(first_installed()?)?,
        };
        library.agrees_with(&everywhere)?;
        Ok(library)
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
        if is_descriptor(&path) {
            return Err(Failure::new(format!(
                "the library {} is a descriptor, which later programs do not have",
                path.display()
            ))
            .remedy("give the path of a file with --library PATH"));
        }
        let cannot = |what: &str, error: &dyn std::fmt::Display| {
            Failure::new(format!("cannot {what} the library {}: {error}", path.display()))
                .remedy("give another path with --library PATH")
        };
        let file = readable::open_as_after_exec(&path).map_err(|error| cannot("read", &error))?;
        if file.metadata().is_ok_and(|found| found.is_file()) {
            place::mappable(&file).map_err(|error| cannot("load", &error))?;
        }
        match machine_if_ours(file) {
            Some(machine) => Ok(Self { path, machine, is_own: false }),
            None => Err(Failure::new(format!(
                "{} is not {NAME}: not an ELF shared object with that SONAME",
                path.display()
            ))
            .remedy("give another file with --library PATH")),
        }
    }

    /// Root may start a program that drops to another user, who then could not read the library:
    /// then a copy of it.
    fn readable_for_others(
        self,
        everywhere: &[PathBuf],
        environment: &ProgramEnvironment,
    ) -> Result<Self, Failure> {
        if !geteuid().is_root() || readable::by_all(&self.path) {
            return Ok(self);
        }
        let closed = |why: &dyn std::fmt::Display| {
            let path = self.path.display();
            Failure::new(format!("other users cannot read the library {path}, and {why}"))
                .remedy("move it to where all can read it")
        };
        let bytes = std::fs::read(&self.path).map_err(|error| closed(&error))?;
        let copy = match &LIBRARY {
            Some(library) if library.bytes == bytes => {
                own_copy(library, true, everywhere, environment)
            }
            _ => {
                let digest = format!("{:016x}", place::digest(&bytes));
                let library = Embedded { digest: &digest, bytes: &bytes };
                let runtime = environment.get(b"XDG_RUNTIME_DIR");
                place::place(&library, false, runtime, environment.get(b"TMPDIR"))
            }
        };
        let path = copy.map_err(|failure| closed(&failure.message()))?;
        Ok(Self { path, ..self })
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
            if same_file(path, &self.path) || self.is_own && is_inside(path) {
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

    /// Checks that the library in the program will find itself in `LD_PRELOAD`.
    pub fn require_own_name(&self) -> Result<(), Failure> {
        if config::preload::is_ours(self.path.as_os_str().as_bytes()) {
            return Ok(());
        }
        Err(Failure::new(format!(
            "SIGWARD_INHERIT=off: the library would not know {} as its own name",
            self.path.display()
        ))
        .remedy("give it a name that begins with libsigward"))
    }

    /// Checks that no other copy is preloaded by other means.
    fn agrees_with(&self, others: &[PathBuf]) -> Result<(), Failure> {
        let mut others = others.iter().filter(|other| !same_file(other, &self.path));
        others.next().map_or(Ok(()), |other| {
            Err(Failure::new(format!(
                "{SYSTEM_PRELOAD} already holds another {NAME}: {}, ours is {}",
                other.display(),
                self.path.display()
            ))
            .remedy("remove one of them: two copies undo each other's work"))
        })
    }
}

/// The library's ELF machine, or `None` if `file` is not our library. Judged by its
/// SONAME: any other shared object would be preloaded silently and protect nothing.
fn machine_if_ours(file: File) -> Option<u16> {
    let data = image(file);
    read_machine_if_ours::<FileHeader64<Endianness>, _>(&data)
        .or_else(|| read_machine_if_ours::<FileHeader32<Endianness>, _>(&data))
}

fn read_machine_if_ours<'data, H, R>(data: R) -> Option<u16>
where
    H: FileHeader<Endian = Endianness>,
    R: ReadRef<'data>,
{
    let elf = ElfFile::<'data, H, R>::parse(data).ok()?;
    let (endian, sections) = (elf.endian(), elf.elf_section_table());
    let (entries, names) = sections.dynamic(endian, data).ok()??;
    let names = sections.strings(endian, data, names).ok()?;
    let soname = entries.iter().find(|entry| entry.tag(endian) == DT_SONAME)?;
    let ours = names.get(soname.val32(endian)?) == Ok(NAME.as_bytes());
    ours.then(|| elf.elf_header().e_machine(endian).0)
}

/// The bytes of the library inside the command.
pub fn inside() -> Result<Vec<u8>, Failure> {
    let library = LIBRARY.as_ref().ok_or_else(|| {
        Failure::new("this sigward was built without the library")
            .remedy("build it with `make build`")
    })?;
    Ok(library.bytes.to_vec())
}

/// Whether an entry of `LD_PRELOAD` is our library. Judged by its file name if the loader
/// must search for it, or if it cannot be read.
fn is_ours(entry: &Path) -> bool {
    match File::open(entry) {
        Ok(file) => machine_if_ours(file).is_some(),
        Err(_) => config::preload::is_ours(entry.as_os_str().as_bytes()),
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

/// Whether the path leads to a descriptor of whoever opens it.
fn is_descriptor(path: &Path) -> bool {
    let folder = path.parent().and_then(|folder| folder.canonicalize().ok());
    folder.is_some_and(|folder| folder.starts_with("/proc"))
}

/// Our libraries in `/etc/ld.so.preload`, which is read as glibc does.
fn preloaded_everywhere() -> Vec<PathBuf> {
    let Ok(text) = std::fs::read(SYSTEM_PRELOAD) else { return Vec::new() };
    let paths = entries(&text).into_iter().map(|entry| PathBuf::from(OsStr::from_bytes(entry)));
    paths.filter(|path| path.file_name().is_some() && is_ours(path)).collect()
}

/// Whether `/etc/ld.so.preload` names it: then it is in every program.
pub fn is_everywhere(path: &Path) -> bool {
    preloaded_everywhere().iter().any(|entry| same_file(entry, path))
}

/// Whether an entry of `LD_PRELOAD` is a copy of what is inside the command.
fn is_inside(entry: &Path) -> bool {
    [&LIBRARY, &LIBRARY_32].into_iter().flatten().any(|library| {
        File::open(entry).is_ok_and(|file| {
            file.metadata().is_ok_and(|found| found.is_file()) && place::holds(file, library.bytes)
        })
    })
}

/// Whether the file at `path` is `library`, and the loader can load it in every program to come.
fn is_usable(path: &Path, library: &Embedded<'_>) -> bool {
    let is_split = || path.as_os_str().as_bytes().iter().any(|byte| splits(*byte));
    // Of the entry with `$LIB`, this reads what 64-bit programs get.
    (path == Path::new(system::ENTRY) || !is_split())
        && readable::open_as_after_exec(path)
            .is_ok_and(|file| place::mappable(&file).is_ok() && place::holds(file, library.bytes))
        && (!geteuid().is_root() || readable::by_all(path))
}

/// Where a copy of `library` is: an installed one, or one that is made.
fn own_copy(
    library: &Embedded<'_>,
    for_both: bool,
    everywhere: &[PathBuf],
    environment: &ProgramEnvironment,
) -> Result<PathBuf, Failure> {
    let is_for_32_bit = library.machine() == EM_386.0;
    let mut places = everywhere.iter().cloned().chain(places(is_for_32_bit));
    let installed = places.find(|path| is_usable(path, library));
    let for_both = for_both
        && everywhere.is_empty()
        && library.machine() == EM_X86_64.0
        && both_classes::are_here();
    let runtime = environment.get(b"XDG_RUNTIME_DIR");
    let place = || place::place(library, for_both, runtime, environment.get(b"TMPDIR"));
    match installed {
        None => place(),
        Some(installed) if !for_both => Ok(installed),
        // Only for the sake of 32-bit programs.
        Some(installed) => {
            Ok(place().ok().filter(|path| both_classes::serves(path)).unwrap_or(installed))
        }
    }
}

/// Where `make install` puts a library, as seen from our executable.
fn places(is_for_32_bit: bool) -> Vec<PathBuf> {
    let Ok(executable) = std::env::current_exe() else { return Vec::new() };
    let installed = executable.parent().and_then(Path::parent);
    let folder = if is_for_32_bit { "lib/sigward/i386" } else { "lib/sigward" };
    let installed = installed.map(|prefix| prefix.join(folder).join(NAME));
    let beside = (!is_for_32_bit).then(|| executable.with_file_name(NAME));
    beside.into_iter().chain(installed).collect()
}

fn first_installed() -> Result<PathBuf, Failure> {
    let places = places(false);
    places.iter().find(|path| path.exists()).cloned().ok_or_else(|| {
        let list: Vec<String> = places.iter().map(|path| path.display().to_string()).collect();
        Failure::new(format!("no {NAME} at {}", list.join(" or ")))
            .remedy("build it with `make build`, or give its path with --library PATH")
    })
}
