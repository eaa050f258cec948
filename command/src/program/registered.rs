//! Interpreters that are registered with the kernel's binfmt_misc, by the file's first bytes or
//! its name's ending. The kernel asks them before it looks for ELF or `#!`.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

const FOLDER: &str = "/proc/sys/fs/binfmt_misc";

/// The interpreter that the kernel would start for the file at `path` with this `head`.
pub fn interpreter(path: &Path, head: &[u8]) -> Option<PathBuf> {
    let read = |name: &OsStr| fs::read_to_string(Path::new(FOLDER).join(name)).ok();
    let status = read(OsStr::new("status"))?;
    if status.trim() != "enabled" {
        return None;
    }
    let entries = fs::read_dir(FOLDER).ok()?.flatten().map(|entry| entry.file_name());
    let mut texts = entries.filter(|name| name != "status" && name != "register");
    texts.find_map(|name| Entry::parse(&read(&name)?)?.interpreter_of(path, head))
}

/// One registration, as the kernel describes it.
#[derive(Default)]
struct Entry {
    interpreter: PathBuf,
    extension: Option<String>,
    offset: usize,
    magic: Vec<u8>,
    mask: Vec<u8>,
}

impl Entry {
    /// `None` if it is disabled or not understood.
    fn parse(text: &str) -> Option<Self> {
        let mut lines = text.lines();
        if lines.next()? != "enabled" {
            return None;
        }
        let mut entry = Self::default();
        for line in lines {
            match line.split_once(' ') {
                Some(("interpreter", path)) => entry.interpreter = path.into(),
                Some(("extension", ending)) => {
                    entry.extension = Some(ending.trim_start_matches('.').to_owned());
                }
                Some(("offset", number)) => entry.offset = number.trim().parse().ok()?,
                Some(("magic", bytes)) => entry.magic = hexadecimal(bytes)?,
                Some(("mask", bytes)) => entry.mask = hexadecimal(bytes)?,
                _ => {}
            }
        }
        Some(entry)
    }

    fn interpreter_of(self, path: &Path, head: &[u8]) -> Option<PathBuf> {
        let fits = if let Some(ending) = &self.extension {
            let name = path.file_name().map(OsStr::as_bytes).unwrap_or_default();
            let found = name.rsplit(|byte| *byte == b'.').next();
            name.contains(&b'.') && found == Some(ending.as_bytes())
        } else {
            let found = head.get(self.offset..self.offset.checked_add(self.magic.len())?)?;
            let mask = self.mask.iter().chain(std::iter::repeat(&0xff));
            let same = |((found, magic), mask): ((&u8, &u8), &u8)| (found ^ magic) & mask == 0;
            found.iter().zip(&self.magic).zip(mask).all(same)
        };
        fits.then_some(self.interpreter)
    }
}

fn hexadecimal(text: &str) -> Option<Vec<u8>> {
    let (pairs, rest) = text.trim().as_bytes().as_chunks::<2>();
    let byte = |pair: &[u8; 2]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
    if rest.is_empty() { pairs.iter().map(byte).collect() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ARM64: &str = "enabled\ninterpreter /usr/bin/qemu-aarch64\nflags: OCF\noffset 0\n\
        magic 7f454c460201010000000000000000000200b700\n\
        mask ffffffffffffff00fffffffffffffffffeffffff\n";

    fn found(text: &str, path: &str, head: &[u8]) -> Option<PathBuf> {
        Entry::parse(text)?.interpreter_of(Path::new(path), head)
    }

    #[test]
    fn files_are_matched_by_magic_and_mask() {
        let mut head = *b"\x7fELF\x02\x01\x01\x03\0\0\0\0\0\0\0\0\x03\0\xb7\0more";
        assert_eq!(found(ARM64, "x", &head), Some("/usr/bin/qemu-aarch64".into()));
        head[18] = 62;
        assert_eq!(found(ARM64, "x", &head), None);
        assert_eq!(found(ARM64, "x", b"\x7fELF"), None);
        assert_eq!(found(&ARM64.replace("enabled", "disabled"), "x", &head), None);
        let jar = "enabled\ninterpreter /usr/bin/jexec\nflags:\noffset 0\nmagic 504b0304\n";
        assert_eq!(found(jar, "x", b"PK\x03\x04rest"), Some("/usr/bin/jexec".into()));
    }

    #[test]
    fn files_are_matched_by_extension() {
        let text = "enabled\ninterpreter /usr/bin/wine\nflags: \nextension .exe\n";
        assert_eq!(found(text, "/a.b/c.exe", b""), Some("/usr/bin/wine".into()));
        assert_eq!(found(text, "/a.exe/c", b""), None);
        assert_eq!(found(text, "exe", b""), None);
    }
}
