//! `/etc/ld.so.cache`: where glibc's loader finds libraries by name.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// The format since glibc 2.2; an older one may stand before it in the same file.
const MAGIC: &[u8] = b"glibc-ld.so.cache1.1";
const HEADER: usize = 48;
const ENTRY: usize = 24;

/// The cache, or an empty one where there is none.
pub struct Cache(Vec<u8>);

impl Cache {
    /// The cache under `root`.
    pub fn read(root: &Path) -> Self {
        let mut bytes = fs::read(root.join("etc/ld.so.cache")).unwrap_or_default();
        let start = bytes.windows(MAGIC.len()).position(|window| window == MAGIC);
        bytes.drain(..start.unwrap_or(bytes.len()));
        Cache(bytes)
    }

    /// The paths of the libraries with this name, for any machine.
    pub fn find(&self, name: &[u8]) -> Vec<PathBuf> {
        let count = self.word(20).unwrap_or(0) as usize;
        let most = self.0.len().saturating_sub(HEADER) / ENTRY;
        (0..count.min(most))
            .filter_map(|index| {
                let entry = HEADER + index * ENTRY;
                let is = self.string(self.word(entry + 4)?)? == name;
                let path = self.string(self.word(entry + 8)?)?;
                is.then(|| PathBuf::from(OsStr::from_bytes(path)))
            })
            .collect()
    }

    fn word(&self, at: usize) -> Option<u32> {
        let bytes = self.0.get(at..at.checked_add(4)?)?;
        Some(u32::from_ne_bytes(bytes.try_into().ok()?))
    }

    /// The string at an offset from the format's start.
    fn string(&self, at: u32) -> Option<&[u8]> {
        self.0.get(at as usize..)?.split(|byte| *byte == 0).next()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cache() -> Vec<u8> {
        let mut bytes = b"what an older format wrote".to_vec();
        let strings = b"libone.so.1\0/lib/libone.so.1\0";
        bytes.extend(MAGIC);
        bytes.extend(1_u32.to_ne_bytes());
        bytes.extend((strings.len() as u32).to_ne_bytes());
        bytes.extend([0; 20]);
        let at = (HEADER + ENTRY) as u32;
        for word in [0x303, at, at + 12, 0, 0, 0_u32] {
            bytes.extend(word.to_ne_bytes());
        }
        bytes.extend(strings);
        bytes
    }

    fn parsed(bytes: &[u8]) -> Cache {
        let folder = tempfile::TempDir::new().unwrap();
        fs::create_dir(folder.path().join("etc")).unwrap();
        fs::write(folder.path().join("etc/ld.so.cache"), bytes).unwrap();
        Cache::read(folder.path())
    }

    #[test]
    fn a_name_is_found() {
        let cache = parsed(&cache());
        assert_eq!(cache.find(b"libone.so.1"), [Path::new("/lib/libone.so.1")]);
        assert!(cache.find(b"libone.so").is_empty());
    }

    #[test]
    fn any_bytes_are_taken() {
        let whole = cache();
        for length in 0..whole.len() {
            let _ = parsed(&whole[..length]).find(b"libone.so.1");
            let mut damaged = whole.clone();
            damaged[length] ^= 0xff;
            let _ = parsed(&damaged).find(b"libone.so.1");
        }
        assert!(parsed(b"").find(b"libone.so.1").is_empty());
    }
}
