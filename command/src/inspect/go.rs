//! Go's build info: which Go built a program.

use std::fs::File;
use std::os::unix::fs::FileExt;

/// It stands at a multiple of 16 bytes in a data segment.
const MAGIC: &[u8] = b"\xff Go buildinf:";
const ALIGN: usize = 16;
const CHUNK: usize = 1 << 20;
/// No more than this of each segment is read: it stands near the beginning.
const MOST: u64 = 64 << 20;

/// The version, such as `go1.19.8`; empty if it is an older Go's, which keeps it
/// elsewhere. `None` if there is no build info.
pub fn version(file: &File, data: &[(u64, u64)]) -> Option<String> {
    let mut buffer = vec![0; CHUNK];
    for &(offset, size) in data {
        // Offsets in the file and addresses are the same but for whole pages.
        let Some(mut at) = offset.checked_next_multiple_of(ALIGN as u64) else { continue };
        let end = offset.saturating_add(size.min(MOST));
        while at < end {
            let want = usize::try_from(end - at).unwrap_or(CHUNK).min(CHUNK);
            let read = file.read_at(buffer.get_mut(..want)?, at).ok()?;
            let bytes = buffer.get(..read)?;
            let found = bytes.chunks(ALIGN).position(|chunk| chunk.starts_with(MAGIC));
            if let Some(place) = found {
                return Some(inline(file, at + (place * ALIGN) as u64).unwrap_or_default());
            }
            if read == 0 {
                break;
            }
            at = at.saturating_add(read.next_multiple_of(ALIGN) as u64);
        }
    }
    None
}

/// Since Go 1.18 the version follows the 32 bytes of the head, as a length and the text.
fn inline(file: &File, at: u64) -> Option<String> {
    const FLAGS: usize = 15;
    const INLINE: u8 = 2;
    let mut bytes = [0; 32 + 1 + 127];
    let read = file.read_at(&mut bytes, at).ok()?;
    let bytes = bytes.get(..read)?;
    if bytes.get(FLAGS)? & INLINE == 0 {
        return None;
    }
    let length = usize::from(*bytes.get(32)?);
    let text = str::from_utf8(bytes.get(33..33 + length)?).ok()?;
    text.chars().all(|letter| letter.is_ascii_graphic() || letter == ' ').then(|| text.to_owned())
}
