//! Larger stacks that stand in for the program's: a list of pages of records.

use std::collections::BTreeSet;

use crate::cursor::Cursor;
use crate::measured;
use crate::source::{Source, Unreadable};

/// Bytes of a page of records, of a record, and of what precedes the first.
const PAGE: usize = 4096;
const RECORD: usize = 64;

/// The most pages that are read: more than the library ever makes.
const MOST_PAGES: usize = 1024;

const TAKEN: u32 = 1;
const IN_FORCE: u32 = 3;

/// A larger stack, and the one of the program's that it stands in for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Substitute {
    /// Whether the kernel has it for its thread, as far as the library saw. If not, a
    /// context of the program's may be on it.
    pub in_force: bool,
    /// The id of the thread that set it, in its own pid namespace; `None` if the library
    /// did not ask for it.
    pub thread: Option<i32>,
    /// The program's own stack: its lowest address.
    pub asked: u64,
    /// Its size in bytes.
    pub asked_size: u64,
    /// Bytes of it that can be used.
    pub usable: u32,
    /// Bytes that are needed.
    pub needed: u32,
    /// The lowest address of the stack that the kernel has.
    pub base: u64,
    /// Its size in bytes.
    pub size: u64,
}

impl Substitute {
    /// `None` if there is nothing, or it is changing.
    fn parse(bytes: &[u8], width: u8) -> Option<Self> {
        let mut cursor = Cursor::new(bytes, width);
        let (state, thread, _pointer) = (cursor.u32()?, cursor.i32()?, cursor.word()?);
        let (asked, asked_size) = (cursor.word()?, cursor.word()?);
        let (base, size) = (cursor.word()?, cursor.word()?);
        let (usable, needed) = (cursor.u32()?, cursor.u32()?);
        let possible = (TAKEN + 1..=IN_FORCE).contains(&state)
            && base != 0
            && base.checked_add(size).is_some()
            && asked.checked_add(asked_size).is_some();
        possible.then_some(Substitute {
            in_force: state == IN_FORCE,
            thread: Some(thread).filter(|thread| *thread > 0),
            asked,
            asked_size,
            usable,
            needed,
            base,
            size,
        })
    }

    /// The most bytes of the larger stack that were ever used, counted from its top to its
    /// lowest byte that is not zero: it was all zeroes when it was made.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn deepest(&self, source: &impl Source) -> Result<u64, Unreadable> {
        measured::deepest(source, self.base, self.size)
    }
}

/// All records from the page at `first` on; those that are changing are left out.
pub(crate) fn all(
    source: &impl Source,
    first: u64,
    width: u8,
) -> Result<Vec<Substitute>, Unreadable> {
    let (mut found, mut seen) = (Vec::new(), BTreeSet::new());
    let (mut once, mut again) = (vec![0; PAGE], vec![0; PAGE]);
    let mut page = first;
    while page != 0 && seen.insert(page) && seen.len() <= MOST_PAGES {
        source.fill(page, &mut once)?;
        source.fill(page, &mut again)?;
        let records = once.chunks_exact(RECORD).zip(again.chunks_exact(RECORD)).skip(1);
        let settled = records.filter(|(once, again)| once == again);
        found.extend(settled.filter_map(|(record, _)| Substitute::parse(record, width)));
        page = Cursor::new(&once, width).word().unwrap_or(0);
    }
    Ok(found)
}
