//! One entry of the table of stacks.

use sigward::block::names;

use crate::cursor::Cursor;

/// Addresses, from the first to the one after the last.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Range {
    /// The first.
    pub start: u64,
    /// The one after the last.
    pub end: u64,
}

impl Range {
    /// How many bytes.
    #[must_use]
    pub fn bytes(self) -> u64 {
        self.end.saturating_sub(self.start)
    }

    fn holds(self, other: Range) -> bool {
        other.bytes() == 0 || self.start <= other.start && other.end <= self.end
    }
}

/// A stack of one thread. What an older version does not have is `None`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stack {
    /// Tells it from all others, and means nothing else.
    pub key: u64,
    /// The thread, by its number in the process's own pid namespace.
    pub thread: i32,
    /// What it is to the thread: [`names::PLACE`].
    pub place: u8,
    /// Its lowest address, in the program's words.
    pub base: u64,
    /// Its bytes, in the program's words.
    pub size: u64,
    /// Bytes that frames need at its top.
    pub window: u64,
    /// The first rung that was tried: [`names::RUNG`].
    pub start: u8,
    /// How it is held: [`names::RUNG`].
    pub rung: u8,
    /// Registered with `SS_AUTODISARM`.
    pub disarms: bool,
    /// Known to be nothing but a stack: a fork need not copy it.
    pub proven: bool,
    /// How many memory calls are under way for which it is let go of.
    pub suspended: u32,
    /// What was made resident.
    pub held: Range,
    /// What of that is locked.
    pub locked: Range,
    /// The larger stack that the kernel has instead: address and bytes.
    pub substitute: Option<(u64, u64)>,
    /// Bytes that a frame can use.
    pub usable: Option<u32>,
    /// Bytes that are needed.
    pub needed: Option<u32>,
    /// The most bytes that were seen in use.
    pub deepest: Option<u32>,
}

/// What is in a slot of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Slot {
    /// Nothing.
    Empty,
    /// A stack.
    Stack(Stack),
    /// What cannot be: two entries of which each was read in part, or damage.
    Torn,
}

/// How the entries of one table are to be read.
#[derive(Clone, Copy, Debug)]
pub struct Layout {
    /// Bytes of a word.
    pub width: u8,
    /// Bytes of a page.
    pub page: u32,
    /// Whether there may be values that have no name here.
    pub newer: bool,
}

impl Layout {
    /// Bytes that every version publishes of an entry.
    #[must_use]
    pub fn least(width: u8) -> usize {
        if width == 4 { 48 } else { 88 }
    }
}

impl Slot {
    /// Reads the published part of an entry.
    #[must_use]
    pub fn parse(bytes: &[u8], layout: Layout) -> Self {
        let Some((stack, pages)) = fields(bytes, layout) else { return Slot::Torn };
        if stack.key == 0 {
            return Slot::Empty;
        }
        stack.in_bytes(pages, layout).map_or(Slot::Torn, Slot::Stack)
    }
}

/// All fields as they are, pages by their numbers.
fn fields(bytes: &[u8], layout: Layout) -> Option<(Stack, [Range; 2])> {
    let mut cursor = Cursor::new(bytes, layout.width);
    let (key, base, size, window) =
        (cursor.word()?, cursor.word()?, cursor.word()?, cursor.word()?);
    let (start, disarms) = (cursor.u8()?, cursor.u8()?);
    cursor.align_to_word();
    let mut range = || Some(Range { start: cursor.word()?, end: cursor.word()? });
    let pages = [range()?, range()?];
    let (thread, place, rung) = (cursor.i32()?, cursor.u8()?, cursor.u8()?);
    let (proven, suspended) = (cursor.u8()?, cursor.u32()?);
    // From here on it is for versions to come.
    cursor.align_to_word();
    let (at, bytes) = (cursor.word(), cursor.word());
    let stack = Stack {
        key,
        thread,
        place,
        base,
        size,
        window,
        start,
        rung,
        disarms: disarms != 0,
        proven: proven != 0,
        suspended,
        held: Range::default(),
        locked: Range::default(),
        substitute: at.zip(bytes),
        usable: cursor.u32(),
        needed: cursor.u32(),
        deepest: cursor.u32(),
    };
    Some((stack, pages))
}

impl Stack {
    /// The same with its pages in addresses; `None` for what cannot be.
    fn in_bytes(self, pages: [Range; 2], layout: Layout) -> Option<Self> {
        let named = |names: names::Names, value| layout.newer || names.of(value).is_some();
        let names = named(names::PLACE, self.place)
            && named(names::RUNG, self.rung)
            && named(names::RUNG, self.start);
        let page = u64::from(layout.page).max(1);
        let addresses = |pages: Range| {
            let ordered = pages.start <= pages.end;
            let (start, end) = (pages.start.checked_mul(page)?, pages.end.checked_mul(page)?);
            ordered.then_some(Range { start, end })
        };
        let (held, locked) = (addresses(pages[0])?, addresses(pages[1])?);
        // One that wraps around is on record, and nothing of it is held.
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
