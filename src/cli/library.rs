//! Finding libsigward.so, and putting it in front of `LD_PRELOAD`.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use object::elf::PT_INTERP;
use object::read::elf::{ElfFile64, ProgramHeader};
use object::{Object, ObjectKind};

use super::failure::Failure;

/// The file name that the command looks for.
pub const NAME: &str = "libsigward.so";

/// A library that the loader will take.
pub struct Library {
    pub path: PathBuf,
    /// `EM_*` of the file: what a target must match.
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
                "the path of the library holds {:?}, at which LD_PRELOAD would cut it: {}",
                char::from(*byte),
                path.display()
            ))
            .remedy("move the library, or name a path without blanks, colons and $ by --library"));
        }
        let bytes = std::fs::read(&path).map_err(|error| {
            Failure::new(format!("cannot read the library {}: {error}", path.display()))
                .remedy("name the file by --library PATH")
        })?;
        match shared_object_machine(&bytes) {
            Some(machine) => Ok(Self { path, machine }),
            None => Err(Failure::new(format!(
                "the library {} is not a 64-bit ELF shared object",
                path.display()
            ))
            .remedy("name another file by --library PATH")),
        }
    }

    /// The value for `LD_PRELOAD`: ours first, then what was there.
    ///
    /// First, because the loader gives a program the first definition of a
    /// name: a preload in front of us that answers `sigaltstack` itself would
    /// hide the call from us, while one behind us is reached as the next
    /// definition and works as before.
    pub fn in_front_of(&self, existing: Option<&OsStr>) -> Result<OsString, Failure> {
        let mut value = self.path.clone().into_os_string().into_vec();
        let entries = existing.map(OsStr::as_bytes).unwrap_or_default();
        for entry in entries.split(|byte| matches!(byte, b' ' | b':')).filter(|e| !e.is_empty()) {
            let path = Path::new(OsStr::from_bytes(entry));
            if same_file(path, &self.path) {
                continue;
            }
            if path.file_name() == Some(OsStr::new(NAME)) {
                return Err(Failure::new(format!(
                    "LD_PRELOAD already holds another {NAME}: {}, ours is {}",
                    path.display(),
                    self.path.display()
                ))
                .remedy("remove one of them: two copies would undo each other's work"));
            }
            value.push(b':');
            value.extend_from_slice(entry);
        }
        Ok(OsString::from_vec(value))
    }
}

/// The machine of a shared object. A position-independent program is of the
/// same ELF type; the loader refuses to preload it, with one line, and goes on.
fn shared_object_machine(bytes: &[u8]) -> Option<u16> {
    let elf = ElfFile64::<object::Endianness>::parse(bytes).ok()?;
    let endian = elf.endian();
    let program = elf.elf_program_headers().iter().any(|s| s.p_type(endian) == PT_INTERP);
    let shared = elf.kind() == ObjectKind::Dynamic && !program;
    shared.then(|| elf.elf_header().e_machine.get(endian))
}

/// Bytes at which ld.so cuts `LD_PRELOAD`, or that it expands.
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
            .remedy("build it by `make build`, or name it by --library PATH")
    })
}
