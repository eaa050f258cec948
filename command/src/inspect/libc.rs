//! Which C library a program uses, and its version.

use std::fs::File;
use std::os::unix::fs::FileExt;

use serde::Serialize;

use super::closure::{Closure, Rules};
use super::elf::Elf;

/// A program's C library.
#[derive(Serialize)]
pub struct Libc {
    pub name: &'static str,
    /// Of the file that its loader would load now.
    pub version: Option<String>,
    /// The least that the program needs.
    pub needs: Option<String>,
}

/// Whose loader this is.
pub fn rules(interpreter: &[u8]) -> Option<Rules> {
    let name = interpreter.rsplit(|byte| *byte == b'/').next()?;
    match name {
        name if name.starts_with(b"ld-musl-") => Some(Rules::Musl),
        name if name.starts_with(b"ld-linux") || name.starts_with(b"ld64.so") => Some(Rules::Glibc),
        name if name.starts_with(b"ld.so") => Some(Rules::Glibc),
        _ => None,
    }
}

/// Describes the C library of `program`.
pub fn of(rules: Rules, program: &Elf, closure: &Closure) -> Libc {
    match rules {
        Rules::Glibc => {
            let libraries = closure.libraries.iter();
            let needed = libraries.clone().flat_map(|library| &library.elf.needs_versions);
            let libc = libraries.clone().find(|library| library.name == b"libc.so.6");
            Libc {
                name: "glibc",
                version: libc.and_then(|library| highest(library.elf.has_versions.iter())),
                needs: highest(program.needs_versions.iter().chain(needed)),
            }
        }
        Rules::Musl => {
            let is_libc = |name: &[u8]| name == b"libc.so" || name.starts_with(b"libc.musl-");
            let libc = closure.libraries.iter().find(|library| is_libc(&library.name));
            let version = libc
                .and_then(|library| musl_version(&File::open(&library.path).ok()?, &library.elf));
            Libc { name: "musl", version, needs: None }
        }
    }
}

/// Whether a library is part of a C library: it has to make system calls itself.
pub fn is_part(name: &[u8]) -> bool {
    const NAMES: [&[u8]; 9] = [
        b"libc.so",
        b"libc.musl-",
        b"ld-",
        b"libpthread.so",
        b"librt.so",
        b"libdl.so",
        b"libm.so",
        b"libanl.so",
        b"libnss_",
    ];
    NAMES.iter().any(|start| name.starts_with(start))
}

/// The highest `GLIBC_` version.
fn highest<'a>(versions: impl Iterator<Item = &'a Vec<u8>>) -> Option<String> {
    let parse = |name: &Vec<u8>| {
        let text = str::from_utf8(name).ok()?.strip_prefix("GLIBC_")?.to_owned();
        let numbers: Option<Vec<u32>> = text.split('.').map(|part| part.parse().ok()).collect();
        Some((numbers?, text))
    };
    versions.filter_map(parse).max().map(|(_, text)| text)
}

/// musl has its version as a text of its own among its constants: three numbers.
fn musl_version(file: &File, elf: &Elf) -> Option<String> {
    const MOST: u64 = 4 << 20;
    let is_version = |text: &&[u8]| {
        let parts: Vec<_> = text.split(|byte| *byte == b'.').collect();
        let number =
            |part: &&[u8]| (1..=3).contains(&part.len()) && part.iter().all(u8::is_ascii_digit);
        parts.len() == 3 && parts.iter().all(number)
    };
    let mut found = Vec::new();
    for &(offset, size) in elf.data.iter().chain(&elf.code) {
        let mut bytes = vec![0; size.min(MOST) as usize];
        let read = file.read_at(&mut bytes, offset).ok()?;
        bytes.truncate(read);
        let texts = bytes.split(|byte| *byte == 0).filter(is_version);
        found.extend(texts.filter_map(|text| String::from_utf8(text.to_vec()).ok()));
    }
    // Another text of that form would make it a guess.
    match &found[..] {
        [one] => Some(one.clone()),
        _ => None,
    }
}
