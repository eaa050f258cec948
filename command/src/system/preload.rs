//! The text of `/etc/ld.so.preload`, as glibc's loader reads it: names, separated by blanks, tabs,
//! line ends and colons; `#` begins a comment.

/// The names in `text`.
pub fn entries(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    let lines = text.split(|byte| *byte == b'\n');
    let code = lines.filter_map(|line| line.split(|byte| *byte == b'#').next());
    code.flat_map(|line| line.split(|byte| separates(*byte))).filter(|name| !name.is_empty())
}

fn separates(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b':' | b'\n')
}

/// `text` with a line for `entry` in front. First, so that the library sees the calls of all
/// others; and nothing in `text` can then change what our line means.
pub fn with(entry: &str, text: &[u8]) -> Vec<u8> {
    [entry.as_bytes(), b"\n", text].concat()
}

/// `text` without `entry`: a line that has nothing else goes, of another line only the name.
pub fn without(entry: &str, text: &[u8]) -> Vec<u8> {
    let mut rest = Vec::with_capacity(text.len());
    for line in text.split_inclusive(|byte| *byte == b'\n') {
        let code = line.split(|byte| *byte == b'#').next().unwrap_or_default();
        let mut names = entries(code);
        if !names.any(|name| name == entry.as_bytes()) {
            rest.extend_from_slice(line);
        } else if code.len() < line.len() || entries(code).any(|name| name != entry.as_bytes()) {
            take_out(entry.as_bytes(), code, &mut rest);
            rest.extend(line.get(code.len()..).unwrap_or_default());
        }
    }
    rest
}

/// Copies `code` without the names that equal `entry`, and without the separator behind each.
fn take_out(entry: &[u8], code: &[u8], into: &mut Vec<u8>) {
    for part in code.split_inclusive(|byte| separates(*byte)) {
        let name = part.split(|byte| separates(*byte)).next().unwrap_or_default();
        if name != entry {
            into.extend_from_slice(part);
        } else if part.ends_with(b"\n") {
            into.push(b'\n');
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{entries, with, without};

    const OURS: &str = "/usr/lib/sigward/system/libsigward.so";

    fn names(text: &str) -> Vec<String> {
        entries(text.as_bytes()).map(|name| String::from_utf8_lossy(name).into_owned()).collect()
    }

    #[test]
    fn names_are_read_as_the_loader_reads_them() {
        assert_eq!(names(""), [""; 0]);
        assert_eq!(
            names("/a.so b.so:c.so\td.so\n\n/e.so"),
            ["/a.so", "b.so", "c.so", "d.so", "/e.so"]
        );
        assert_eq!(names("# /a.so\n/b.so # /c.so\n#"), ["/b.so"]);
        assert_eq!(names("/b.so\r\n"), ["/b.so\r"], "the loader looks for that name");
    }

    #[test]
    fn what_was_put_in_comes_out_again_and_nothing_else() {
        for text in [
            "",
            "\n",
            "/a.so",
            "/a.so\n",
            "# a comment",
            "  \t\n# a comment\n\n/a.so:/b.so # and why\n",
            "/a.so\r\n\r\n",
            "#/usr/lib/sigward/system/libsigward.so\n",
            "/usr/lib/sigward/system/libsigward.so.1\n",
            "\u{fffd}\u{0}",
        ] {
            let both = with(OURS, text.as_bytes());
            assert_eq!(entries(&both).next(), Some(OURS.as_bytes()));
            assert_eq!(entries(&both).count(), entries(text.as_bytes()).count() + 1);
            assert_eq!(String::from_utf8(without(OURS, &both)).unwrap(), text);
        }
    }

    #[test]
    fn of_a_line_that_has_more_only_the_name_goes() {
        let without = |text: &str| {
            let text = text.replace('@', OURS);
            String::from_utf8(without(OURS, text.as_bytes())).unwrap()
        };
        assert_eq!(without("/a.so @ /b.so\n@\n/c.so"), "/a.so /b.so\n/c.so");
        assert_eq!(without("@:/a.so"), "/a.so");
        assert_eq!(without("/a.so:@\n/b.so"), "/a.so:\n/b.so");
        assert_eq!(without("@ # ours\n"), "# ours\n");
        assert_eq!(without("# @\n"), format!("# {OURS}\n"));
        assert_eq!(without("  @  \n/a.so\n"), "/a.so\n");
        assert_eq!(without("@@\n"), format!("{OURS}{OURS}\n"));
    }
}
