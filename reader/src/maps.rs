//! A process's mappings, from `/proc/PID/maps`.

/// One mapping.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mapping {
    /// The address of its first byte.
    pub start: u64,
    /// The address after its last byte.
    pub end: u64,
    /// Whether it is writable.
    pub writable: bool,
    /// Whether writes stay in this process.
    pub private: bool,
    /// Its offset in the file.
    pub offset: u64,
    /// The file's inode; 0 if there is no file.
    pub inode: u64,
    /// The file's path: any bytes, a newline as `\012`.
    pub path: Vec<u8>,
    /// Whether the path no longer refers to this file: a memfd, or a library that was
    /// replaced.
    pub deleted: bool,
}

/// Parses all lines that have the kernel's format and skips the others.
#[must_use]
pub fn parse(text: &[u8]) -> Vec<Mapping> {
    text.split(|&byte| byte == b'\n').filter_map(line).collect()
}

fn line(line: &[u8]) -> Option<Mapping> {
    let mut rest = line;
    let mut word = || {
        let start = rest.iter().position(|&byte| byte != b' ')?;
        let from = rest.get(start..)?;
        let end = from.iter().position(|&byte| byte == b' ').unwrap_or(from.len());
        let (word, after) = from.split_at_checked(end)?;
        rest = after;
        str::from_utf8(word).ok()
    };
    let number = |text: &str, base| u64::from_str_radix(text, base).ok();
    let (start, end) = word()?.split_once('-')?;
    let flags = word()?.as_bytes();
    let offset = number(word()?, 16)?;
    let _device = word()?;
    let inode = number(word()?, 10)?;
    let path = rest.trim_ascii_start();
    let named = path.strip_suffix(b" (deleted)");
    Some(Mapping {
        start: number(start, 16)?,
        end: number(end, 16)?,
        writable: flags.get(1) == Some(&b'w'),
        private: flags.get(3) == Some(&b'p'),
        offset,
        inode,
        path: named.unwrap_or(path).to_vec(),
        deleted: named.is_some(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_kernels_lines_are_understood() {
        let text = b"\
55d0a0000000-55d0a0001000 r--p 00000000 fe:00 12    /usr/bin/true\n\
7f0000000000-7f0000001000 rw-p 0001f000 00:01 2052  /memfd:a b (deleted)\n\
7f0000001000-7f0000002000 rw-s 00000000 00:05 7     /dev/zero (deleted)\n\
7f0000002000-7f0000003000 rw-p 00000000 00:00 0\n\
ffffffffff600000-ffffffffff601000 --xp 00000000 00:00 0  [vsyscall]\n\
no line\n";
        let all = parse(text);
        let short: Vec<_> = all
            .iter()
            .map(|it| (it.writable, it.private, it.deleted, str::from_utf8(&it.path).unwrap()))
            .collect();
        assert_eq!(
            short,
            [
                (false, true, false, "/usr/bin/true"),
                (true, true, true, "/memfd:a b"),
                (true, false, true, "/dev/zero"),
                (true, true, false, ""),
                (false, true, false, "[vsyscall]"),
            ]
        );
        assert_eq!((all[1].start, all[1].end), (0x7f00_0000_0000, 0x7f00_0000_1000));
        assert_eq!((all[1].offset, all[1].inode), (0x1f000, 2052));
    }

    proptest! {
        #[test]
        fn any_bytes_are_taken(text in prop::collection::vec(prop_oneof![
            any::<u8>(), prop::sample::select(b" \n-0f:rwp".as_slice())
        ], 0..200)) {
            let _ = parse(&text);
        }
    }
}
