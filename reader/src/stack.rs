//! One entry of the table of stacks.

use sigward::state::published_block::names;

use crate::cursor::Cursor;

/// A range of addresses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Range {
    /// The first address.
    pub start: u64,
    /// The address after the last.
    pub end: u64,
}

impl Range {
    /// Its size in bytes.
    #[must_use]
    pub fn bytes(self) -> u64 {
        self.end.saturating_sub(self.start)
    }

    fn holds(self, other: Range) -> bool {
        other.bytes() == 0 || self.start <= other.start && other.end <= self.end
    }
}

/// A stack of one thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stack {
    /// Identifies the stack; it has no other meaning.
    pub key: u64,
    /// The thread's id in the process's own pid namespace.
    pub thread: i32,
    /// Its role for the thread: [`names::ROLE`].
    pub role: u8,
    /// Its lowest address, as the program gave it.
    pub base: u64,
    /// Its size in bytes, as the program gave it.
    pub size: u64,
    /// Bytes at its top that frames need.
    pub headroom: u64,
    /// The rung that was tried first: [`names::RUNG`].
    pub start: u8,
    /// How it is held: [`names::RUNG`].
    pub rung: u8,
    /// Registered with `SS_AUTODISARM`.
    pub disarms: bool,
    /// Known to be nothing but a stack, so a fork need not copy it.
    pub proven: bool,
    /// The number of memory calls in progress for which it is released.
    pub suspended: u32,
    /// What was made resident.
    pub held: Range,
    /// The locked part of that.
    pub locked: Range,
}

/// The content of a slot of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Slot {
    /// Nothing.
    Empty,
    /// A stack.
    Stack(Stack),
    /// Impossible content: a mixture of two entries, or damage.
    Torn,
}

/// How to read the entries of a table.
#[derive(Clone, Copy, Debug)]
pub struct EntryLayout {
    /// Bytes per word.
    pub width: u8,
    /// Bytes per page.
    pub page: u32,
    /// Whether there may be values that this reader does not know.
    pub newer: bool,
}

impl EntryLayout {
    /// The published bytes of an entry, the same in all versions.
    #[must_use]
    pub fn least(width: u8) -> usize {
        if width == 4 { 48 } else { 88 }
    }
}

impl Slot {
    /// Reads the published part of an entry.
    #[must_use]
    pub fn parse(bytes: &[u8], layout: EntryLayout) -> Self {
        let Some((stack, pages)) = fields(bytes, layout) else { return Slot::Torn };
        if stack.key == 0 {
            return Slot::Empty;
        }
        stack.in_bytes(pages, layout).map_or(Slot::Torn, Slot::Stack)
    }
}

/// All fields unchanged; page ranges in page numbers.
fn fields(bytes: &[u8], layout: EntryLayout) -> Option<(Stack, [Range; 2])> {
    let mut cursor = Cursor::new(bytes, layout.width);
    let (key, base, size, headroom) =
        (cursor.word()?, cursor.word()?, cursor.word()?, cursor.word()?);
    let (start, disarms) = (cursor.u8()?, cursor.u8()?);
    cursor.align_to_word();
    let mut range = || Some(Range { start: cursor.word()?, end: cursor.word()? });
    let pages = [range()?, range()?];
    let (thread, role, rung) = (cursor.i32()?, cursor.u8()?, cursor.u8()?);
    let (proven, suspended) = (cursor.u8()?, cursor.u32()?);
    let stack = Stack {
        key,
        thread,
        role,
        base,
        size,
        headroom,
        start,
        rung,
        disarms: disarms != 0,
        proven: proven != 0,
        suspended,
        held: Range::default(),
        locked: Range::default(),
    };
    Some((stack, pages))
}

impl Stack {
    /// The same with its page ranges in addresses; `None` if that is impossible.
    fn in_bytes(self, pages: [Range; 2], layout: EntryLayout) -> Option<Self> {
        let named = |names: names::Names, value| layout.newer || names.of(value).is_some();
        let names = named(names::ROLE, self.role)
            && named(names::RUNG, self.rung)
            && named(names::RUNG, self.start);
        let page = u64::from(layout.page).max(1);
        let addresses = |pages: Range| {
            let ordered = pages.start <= pages.end;
            let (start, end) = (pages.start.checked_mul(page)?, pages.end.checked_mul(page)?);
            ordered.then_some(Range { start, end })
        };
        let (held, locked) = (addresses(pages[0])?, addresses(pages[1])?);
        // A stack that wraps around is recorded, but nothing of it is held.
        let around = match self.base.checked_add(self.size) {
            Some(top) => Range {
                start: self.base - self.base % page,
                end: top.checked_next_multiple_of(page).unwrap_or(u64::MAX),
            },
            None => Range::default(),
        };
        let possible = names && self.thread > 0 && held.holds(locked) && around.holds(held);
        possible.then_some(Stack { held, locked, ..self })
    }
}
