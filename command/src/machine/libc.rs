//! Which libcs are installed, seen by their loaders.

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
            let version = || std::fs::read(&path).ok().and_then(|file| musl_version(&file));
            found.0 = found.0.or_else(version);
        } else {
            found.1 |= path.exists();
        }
    }
    found
}

/// The version string in musl's one file, which is its loader too: `\0` `1.2.5` `\0`.
fn musl_version(file: &[u8]) -> Option<(u32, u32, u32)> {
    file.split(|byte| *byte == 0).filter(|text| (5..=8).contains(&text.len())).find_map(|text| {
        let text = std::str::from_utf8(text).ok()?;
        let mut parts = text.split('.').map(|part| part.parse().ok());
        let version = (parts.next()??, parts.next()??, parts.next()??);
        (version.0 == 1 && parts.next().is_none()).then_some(version)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn musl_is_known_by_its_own_version_string() {
        assert_eq!(musl_version(b"x\x001.2.3x\x00\x001.2.5\x00y"), Some((1, 2, 5)));
        assert_eq!(musl_version(b"\x00127.0.0.1\x00255.1.2\x001.2\x00"), None);
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
