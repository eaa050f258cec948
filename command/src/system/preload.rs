//! The text of `/etc/ld.so.preload`: names, separated by blanks, tabs, line ends and colons; `#`
//! begins a comment.
//!
//! glibc does not find every comment. It looks for the next `#` from the file's start again, in
//! as many bytes as follow the comment before: a second comment near the end of the file is taken
//! for names, and each program prints a line for each. A line more in front can make this happen
//! to comments that were found before. So we read the text exactly as glibc does, and put our
//! entry where it changes nothing else.

/// The names in `text`, as glibc's loader reads them.
pub fn entries(text: &[u8]) -> Vec<&[u8]> {
    let end = text.iter().position(|byte| *byte == 0).unwrap_or(text.len());
    names(text, &comments(text), 0..end)
}

/// Which bytes glibc takes for a comment.
fn comments(text: &[u8]) -> Vec<bool> {
    let mut is_comment = vec![false; text.len()];
    let mut rest = text.len();
    while rest > 0 {
        let open = |at: &usize| text.get(*at) == Some(&b'#') && is_comment.get(*at) == Some(&false);
        let Some(mut at) = (0..rest).find(open) else { break };
        rest -= at;
        loop {
            if let Some(byte) = is_comment.get_mut(at) {
                *byte = true;
            }
            rest -= 1;
            at += 1;
            if rest == 0 || text.get(at) == Some(&b'\n') {
                break;
            }
        }
    }
    is_comment
}

fn names<'text>(
    text: &'text [u8],
    is_comment: &[bool],
    range: std::ops::Range<usize>,
) -> Vec<&'text [u8]> {
    let mut names = Vec::new();
    let mut start = None;
    for at in range.clone() {
        let is_part = is_comment.get(at) == Some(&false)
            && text.get(at).is_some_and(|byte| !separates(*byte));
        match (is_part, start) {
            (true, None) => start = Some(at),
            (false, Some(from)) => {
                names.extend(text.get(from..at));
                start = None;
            }
            _ => {}
        }
    }
    names.extend(start.and_then(|from| text.get(from..range.end)));
    names
}

fn separates(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b':' | b'\n')
}

/// `text` with a line for `entry`, where the loader still reads all else as before: in front, so
/// that the library sees the calls of all others, or else at the end.
///
/// `None`: there is no such place, or the text has zero bytes.
pub fn with(entry: &str, text: &[u8]) -> Option<Vec<u8>> {
    let before = entries(text);
    let ours = entry.as_bytes();
    let first = [ours, b"\n", text].concat();
    let end: &[u8] = if text.is_empty() || text.ends_with(b"\n") { b"" } else { b"\n" };
    let last = [text, end, ours, b"\n"].concat();
    if text.contains(&0) {
        None
    } else if entries(&first) == [&[ours], &before[..]].concat() {
        Some(first)
    } else {
        Some(last).filter(|last| entries(last) == [&before[..], &[ours]].concat())
    }
}

/// `text` with `new` in the place of `old`. `None`: the loader would read something else differently.
pub fn exchanged(old: &str, new: &str, text: &[u8]) -> Option<Vec<u8>> {
    let before = entries(text);
    let is_ours = |name: &[u8]| name == old.as_bytes();
    let wanted: Vec<&[u8]> =
        before.iter().map(|name| if is_ours(name) { new.as_bytes() } else { *name }).collect();
    let mut exchanged = Vec::with_capacity(text.len() + new.len());
    for part in text.split_inclusive(|byte| separates(*byte)) {
        let name = part.split(|byte| separates(*byte)).next().unwrap_or_default();
        let (name, rest) = part.split_at(name.len());
        exchanged.extend_from_slice(if is_ours(name) { new.as_bytes() } else { name });
        exchanged.extend_from_slice(rest);
    }
    Some(exchanged).filter(|exchanged| entries(exchanged) == wanted)
}

/// `text` without `entry`, when it is not what we wrote any more: a line that has nothing else
/// goes, of another line only the name.
pub fn without(entry: &str, text: &[u8]) -> Vec<u8> {
    let ours = entry.as_bytes();
    let mut rest = Vec::with_capacity(text.len());
    for line in text.split_inclusive(|byte| *byte == b'\n') {
        let code = line.split(|byte| *byte == b'#').next().unwrap_or_default();
        let in_line = names(code, &vec![false; code.len()], 0..code.len());
        if !in_line.contains(&ours) {
            rest.extend_from_slice(line);
        } else if code.len() < line.len() || in_line.iter().any(|name| *name != ours) {
            take_out(ours, code, &mut rest);
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
    use super::{entries, exchanged, with, without};

    const OURS: &str = "/usr/lib/sigward/system/libsigward.so";

    fn names(text: &str) -> Vec<String> {
        let names = entries(text.as_bytes()).into_iter();
        names.map(|name| String::from_utf8_lossy(name).into_owned()).collect()
    }

    /// What glibc 2.36 complains of where none of them exists; `command/tests/system` asks it again.
    #[test]
    fn names_are_read_as_the_loader_reads_them() {
        assert_eq!(names(""), [""; 0]);
        assert_eq!(names("\n"), [""; 0]);
        assert_eq!(names("/a.so b.so:c.so\td\n\n/e.so"), ["/a.so", "b.so", "c.so", "d", "/e.so"]);
        assert_eq!(names("/b.so\r\n"), ["/b.so\r"]);
        assert_eq!(names("/a.so:/b.so#c"), ["/a.so", "/b.so"]);
        assert_eq!(names("#/x\n/b.so#y\n"), ["/b.so#y"], "the second comment is not found");
        assert_eq!(names("# a\n/x.so\n# b\n"), ["/x.so", "b"], "nor is all of this one");
        assert_eq!(names("#a\n#b\n/a/long/name.so\n"), ["/a/long/name.so"]);
        assert_eq!(names("/p.so\n#a\n#b\n/x.so\n"), ["/p.so", "b", "/x.so"]);
        assert_eq!(names("/a.so\0/b.so /c.so\n"), ["/a.so"]);
    }

    #[test]
    fn all_else_is_read_as_before_and_what_was_put_in_comes_out_again() {
        let mut last = 0;
        for text in [
            "",
            "\n",
            "/a.so",
            "/a.so\n",
            "# a comment",
            "  \t\n# a comment\n\n/a.so:/b.so\n",
            "/a.so\r\n\r\n",
            "#/usr/lib/sigward/system/libsigward.so\n",
            "/usr/lib/sigward/system/libsigward.so.1\n",
            "#a\n#b\n/a/long/name.so\n",
            "#a\n#b\n/a/long/name.so",
        ] {
            let both = with(OURS, text.as_bytes()).expect("there is a place");
            let mut all = names(&String::from_utf8(both.clone()).unwrap());
            last += usize::from(all.first().is_none_or(|name| name != OURS));
            all.retain(|name| name != OURS);
            assert_eq!(all, names(text), "{text:?}");
            let rest = String::from_utf8(without(OURS, &both)).unwrap();
            assert_eq!(rest.trim_end_matches('\n'), text.trim_end_matches('\n'));
        }
        assert_eq!(last, 2, "in front is not always the right place");
        assert_eq!(with(OURS, b"/a.so\0"), None);
    }

    #[test]
    fn one_name_takes_the_place_of_another() {
        const NEW: &str = "/usr/lib/sigward/system/$LIB/libsigward.so";
        for text in ["@\n", "# why\n/a.so:@ /b.so\n", "/a.so\n@", "@ # ours\n"] {
            let old = text.replace('@', OURS);
            let new = exchanged(OURS, NEW, old.as_bytes()).unwrap();
            assert_eq!(String::from_utf8(new.clone()).unwrap(), text.replace('@', NEW));
            assert_eq!(exchanged(NEW, OURS, &new).unwrap(), old.as_bytes());
        }
        // Before a shorter name glibc would not find the second comment, and take it for a name.
        let text = format!("# a comment of some length\n#b\n{OURS}\n");
        assert_eq!(names(&text), [OURS], "{text}");
        assert_eq!(exchanged(OURS, "/a.so", text.as_bytes()), None);
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
