//! Alternate stacks that were all zeroes when they were set, so that how deep they were
//! used can be seen: the program's own that were painted, and those for threads without one.

use std::collections::BTreeSet;

use crate::cursor::Cursor;
use crate::source::{Source, Unreadable};

/// Bytes that are read at once.
const AT_ONCE: usize = 4096;

/// The most entries of the list of painted stacks, and the most arenas, that are read: more
/// than the library ever makes.
const MOST_SETS: u64 = 4096;
const MOST_ARENAS: usize = 1024;

/// The stacks of an arena.
const SLOTS: u64 = 64;

/// Where the lists are; 0 for one that does not exist.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lists {
    /// The address of the list of the program's own that were painted.
    pub sets: u64,
    /// The address of the latest arena of stacks for threads without one.
    pub arenas: u64,
}

/// An alternate stack that was all zeroes when it was set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Measured {
    /// The id of its thread, in its own pid namespace.
    pub thread: i32,
    /// Its lowest address.
    pub base: u64,
    /// Its size in bytes.
    pub size: u64,
    /// Whether the program set it. If not, its thread has it while it sets none.
    pub own: bool,
}

impl Measured {
    /// The most bytes of it that were used since it was set.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn deepest(&self, source: &impl Source) -> Result<u64, Unreadable> {
        deepest(source, self.base, self.size)
    }

    fn is_possible(&self) -> bool {
        self.thread > 0 && self.base != 0 && self.base.checked_add(self.size).is_some()
    }
}

/// Bytes from the lowest one that is not zero to the top.
pub(crate) fn deepest(source: &impl Source, base: u64, size: u64) -> Result<u64, Unreadable> {
    let mut bytes = [0; AT_ONCE];
    let top = base.saturating_add(size);
    let mut at = base;
    while at < top {
        let length = (top - at).min(AT_ONCE as u64);
        let bytes = bytes.get_mut(..length as usize).unwrap_or_default();
        source.fill(at, bytes)?;
        if let Some(place) = bytes.iter().position(|byte| *byte != 0) {
            return Ok(top - at - place as u64);
        }
        at += length;
    }
    Ok(0)
}

/// What both lists have; what is changing is left out. `page`: bytes of a page.
pub(crate) fn all(
    source: &impl Source,
    lists: Lists,
    width: u8,
    page: u32,
) -> Result<Vec<Measured>, Unreadable> {
    let mut found = sets(source, lists.sets, width)?;
    let (mut next, mut seen) = (lists.arenas, BTreeSet::new());
    while next != 0 && seen.insert(next) && seen.len() <= MOST_ARENAS {
        next = arena(source, next, width, page.into(), &mut found)?;
    }
    found.retain(Measured::is_possible);
    Ok(found)
}

/// The painted stacks of the list at `address`.
fn sets(source: &impl Source, address: u64, width: u8) -> Result<Vec<Measured>, Unreadable> {
    if address == 0 {
        return Ok(Vec::new());
    }
    let word = u64::from(width);
    let mut count = [0; 8];
    source.fill(address, count.get_mut(..width.into()).unwrap_or_default())?;
    let count = Cursor::new(&count, width).word().unwrap_or(0).min(MOST_SETS);
    let entry = (8 + 2 * word) as usize;
    let read = twice(source, address.wrapping_add(word), count as usize * entry)?;
    let entries = read[0].chunks_exact(entry).zip(read[1].chunks_exact(entry));
    let parsed = entries.filter(|(once, again)| once == again).filter_map(|(entry, _)| {
        let mut cursor = Cursor::new(entry, width);
        let (thread, guarded) = (cursor.i32()?, cursor.u8()?);
        cursor.go_to(8);
        let (base, size) = (cursor.word()?, cursor.word()?);
        // Those that are guarded are among the larger stacks.
        (guarded == 0).then_some(Measured { thread, base, size, own: true })
    });
    Ok(parsed.collect())
}

/// Adds the stacks of the arena at `address`. Returns the address of the one before.
fn arena(
    source: &impl Source,
    address: u64,
    width: u8,
    page: u64,
    found: &mut Vec<Measured>,
) -> Result<u64, Unreadable> {
    let word = u64::from(width);
    let read = twice(source, address, (2 * word + 16 + SLOTS * 2 * word) as usize)?;
    let mut cursor = Cursor::new(&read[0], width);
    let head = (cursor.word(), cursor.word(), cursor.u32(), cursor.u32());
    let (Some(before), Some(size), Some(low), Some(high)) = head else { return Ok(0) };
    let taken = u64::from(high) << 32 | u64::from(low);
    for slot in (0..SLOTS).filter(|slot| taken >> slot & 1 != 0) {
        let at = (2 * word + 16 + slot * 2 * word) as usize;
        let owner = |bytes: &[u8]| {
            let mut cursor = Cursor::new(bytes, width);
            cursor.go_to(at);
            cursor.i32()
        };
        // The guards of this slot and those before it, after the page of the record.
        let stacks = size.checked_mul(slot).and_then(|it| it.checked_add(page * (slot + 2)));
        let base = stacks.and_then(|stacks| address.checked_add(stacks));
        if let (Some(base), Some(thread)) = (base, owner(&read[0]))
            && owner(&read[1]) == Some(thread)
        {
            found.push(Measured { thread, base, size, own: false });
        }
    }
    Ok(before)
}

/// The same bytes, read two times.
fn twice(source: &impl Source, address: u64, length: usize) -> Result<[Vec<u8>; 2], Unreadable> {
    let mut both = [vec![0; length], vec![0; length]];
    for read in &mut both {
        source.fill(address, read)?;
    }
    Ok(both)
}
