//! The value of `LD_PRELOAD`.

use super::base_name;

/// How the library's file names begin.
const OURS: &[u8] = b"libsigward";

/// Whether an entry of `LD_PRELOAD` names the library.
#[must_use]
pub fn is_ours(entry: &[u8]) -> bool {
    base_name(entry).starts_with(OURS)
}

/// Takes our entries out of a value of `LD_PRELOAD`. What is left moves to its
/// beginning; zeroes follow. Async-signal-safe.
pub fn take_out_ours(value: &mut [u8]) {
    let (mut from, mut kept) = (0, 0);
    while let Some(rest) = value.get(from..).filter(|rest| !rest.is_empty()) {
        let end = |byte: &u8| matches!(byte, b' ' | b':');
        let length = rest.iter().position(end).unwrap_or(rest.len());
        let entry = rest.get(..length).unwrap_or(b"");
        if !entry.is_empty() && !is_ours(entry) {
            // The separator of what was kept is not needed any more.
            if kept > 0 {
                put(value, kept, b':');
                kept += 1;
            }
            for at in from..from + length {
                let byte = value.get(at).copied().unwrap_or(0);
                put(value, kept, byte);
                kept += 1;
            }
        }
        from += length + 1;
    }
    value.iter_mut().skip(kept).for_each(|byte| *byte = 0);
}

fn put(value: &mut [u8], at: usize, byte: u8) {
    if let Some(place) = value.get_mut(at) {
        *place = byte;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_our_entries_are_taken_out() {
        for (value, left) in [
            ("", ""),
            ("/a/libsigward.so", ""),
            ("/a/libsigward-0123.so:/b.so", "/b.so"),
            ("/b.so:/a/libsigward.so", "/b.so"),
            ("/b.so libsigward.so  /c.so", "/b.so:/c.so"),
            ("::/b.so:", "/b.so"),
            ("/libsigward/b.so", "/libsigward/b.so"),
            ("a:b:c", "a:b:c"),
        ] {
            let mut bytes = value.as_bytes().to_vec();
            take_out_ours(&mut bytes);
            let mut expected = left.as_bytes().to_vec();
            expected.resize(value.len(), 0);
            assert_eq!(bytes, expected, "{value:?}");
        }
    }
}
