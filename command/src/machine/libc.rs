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
    let mut rest = file;
    loop {
        rest = after(rest, b"\x001.")?;
        let text = rest.split(|byte| *byte == 0).next()?;
        let mut parts = std::str::from_utf8(text).unwrap_or("").split('.');
        let mut next = || parts.next()?.parse().ok();
        if let (Some(minor), Some(patch), None) = (next(), next(), parts.next()) {
            return Some((1, minor, patch));
        }
    }
}

/// What follows the first `needle`. The C library's search: the file has 600 KiB.
fn after<'a>(text: &'a [u8], needle: &[u8]) -> Option<&'a [u8]> {
    // SAFETY: reads as many bytes of both as are there.
    let found = unsafe {
        libc::memmem(text.as_ptr().cast(), text.len(), needle.as_ptr().cast(), needle.len())
    };
    let at = (found as usize).checked_sub(text.as_ptr() as usize)?;
    text.get(at + needle.len()..)
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
