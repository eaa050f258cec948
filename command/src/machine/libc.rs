//! Which libcs are installed, seen by their loaders.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;

const LOADERS: [(&str, bool); 10] = [
    ("lib/ld-musl-x86_64.so.1", true),
    ("lib/ld-musl-aarch64.so.1", true),
    ("lib/ld-musl-riscv64.so.1", true),
    ("lib/ld-musl-i386.so.1", true),
    ("lib/ld-musl-powerpc64le.so.1", true),
    ("lib64/ld-linux-x86-64.so.2", false),
    ("lib/ld-linux-aarch64.so.1", false),
    ("lib/ld-linux-riscv64-lp64d.so.1", false),
    ("lib/ld-linux.so.2", false),
    ("lib64/ld64.so.2", false),
];

/// musl's version, and whether glibc is there.
pub fn installed(root: &Path) -> (Option<(u32, u32, u32)>, bool) {
    let mut found = (None, false);
    for (loader, is_musl) in LOADERS {
        let path = root.join(loader);
        if is_musl {
            found.0 = found.0.or_else(|| musl_version(&File::open(&path).ok()?));
        } else {
            found.1 |= path.exists();
        }
    }
    found
}

/// The version string in musl's one file, which is its loader too: `\0` `1.2.5` `\0`. It is
/// among the strings near the end: the file is read backwards, in parts.
fn musl_version(file: &File) -> Option<(u32, u32, u32)> {
    const PART: u64 = 16 << 10;
    /// More than the string has.
    const OVERLAP: u64 = 32;
    let mut part = vec![0; (PART + OVERLAP) as usize];
    let mut end = file.metadata().ok()?.len();
    while end > 0 {
        let start = end.saturating_sub(PART);
        let read = file.read_at(&mut part, start).ok()?;
        if let Some(version) = version_in(part.get(..read)?) {
            return Some(version);
        }
        end = start;
    }
    None
}

fn version_in(part: &[u8]) -> Option<(u32, u32, u32)> {
    let is_end = |byte: &u8| *byte == 0;
    let start = part.iter().position(is_end)? + 1;
    part.get(start..)?.rsplit(is_end).find_map(|text| {
        let text = std::str::from_utf8(text.strip_prefix(b"1.")?).ok()?;
        let (minor, patch) = text.split_once('.')?;
        Some((1, minor.parse().ok()?, patch.parse().ok()?))
    })
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn musl_is_known_by_its_own_version_string() {
        assert_eq!(version_in(b"x\x001.2.3x\x00\x001.2.5\x00y"), Some((1, 2, 5)));
        assert_eq!(version_in(b"\x00127.0.0.1\x00255.1.2\x001.2\x00"), None);
    }

    #[test]
    fn the_version_is_found_wherever_it_is() {
        let mut file = tempfile::tempfile().expect("a file");
        for before in [0, 1, 20, (16 << 10) - 4, 16 << 10, 100_000] {
            for after in [0, 6000, (16 << 10) - 4, 40_000] {
                let text = [&vec![b'x'; before][..], b"\x001.2.5\x00", &vec![b'y'; after]].concat();
                file.set_len(0).expect("an empty file");
                file.write_all_at(&text, 0).expect("a full file");
                assert_eq!(musl_version(&file), Some((1, 2, 5)), "{before}, {after}");
            }
        }
        file.set_len(0).expect("an empty file");
        assert_eq!(musl_version(&file), None);
        file.write_all(&vec![0; 70_000]).expect("a full file");
        assert_eq!(musl_version(&file), None);
    }

    #[test]
    fn loaders_are_looked_for_below_the_root() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        assert_eq!(installed(folder.path()), (None, false));
        std::fs::create_dir(folder.path().join("lib")).expect("lib");
        let loader = folder.path().join("lib/ld-musl-x86_64.so.1");
        std::fs::write(loader, b"\x7fELF\x00\x00Version\x00\x001.2.6\x00").expect("a loader");
        assert_eq!(installed(folder.path()), (Some((1, 2, 6)), false));
    }
}
