//! One block, of any version and pointer width.

pub use sigward::state::deepest::Signal;
use sigward::state::published_block::{MAGIC, Published, VERSION};

use crate::cursor::Cursor;
use crate::error::Error;
use crate::measured::Lists;

/// Bytes of the head, which is the same in every version.
pub const HEAD: usize = 32;

/// The largest block that is accepted.
pub const LARGEST: u32 = 1 << 16;

const PLAN: usize = 32;
const FORCE: usize = 64;
const COUNTERS: usize = 128;

/// The head of a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// Its version.
    pub version: u16,
    /// The lowest version that a reader must understand.
    pub readable: u16,
    /// Size of the block in bytes.
    pub size: u32,
    /// Bytes per page.
    pub page: u32,
    /// Bytes per address: 4 or 8.
    pub width: u8,
}

/// A block. Fields that an older version lacks are `None`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    /// Its head.
    pub head: Head,
    /// The plan made at load.
    pub plan: Option<Published>,
    /// What is in force now.
    pub force: Option<Force>,
    /// The process that owns the block.
    pub owner: Option<Owner>,
    /// Where the stacks are.
    pub table: Option<StackTable>,
    /// The address of the first page of records of larger stacks; 0 while there is none.
    pub substitutes: Option<u64>,
    /// The counters.
    pub counters: Counters,
    /// Where the stacks are whose depth can be seen.
    pub measured: Option<Lists>,
}

/// What is in force now: less than the plan if the program has installed a seccomp
/// filter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Force {
    /// Odd while the plan or the table changes; 0 before there is a plan.
    pub generation: u32,
    /// [`names::DUTY`](sigward::state::published_block::names::DUTY).
    pub duty: u8,
    /// [`names::REMEDY`](sigward::state::published_block::names::REMEDY).
    pub remedy: u8,
    /// [`names::WAIT`](sigward::state::published_block::names::WAIT).
    pub wait: u8,
}

/// The process whose kernel state the block describes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Owner {
    /// Its pid in its own pid namespace; 0 if there is no owner.
    pub pid: i32,
    /// How often a process took ownership: once at load, and once for each fork that led
    /// to this process.
    pub claims: u32,
    /// The address of a page that forks wipe; 0 if there is none.
    pub mark: u64,
}

/// Where the stacks are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StackTable {
    /// The address of the first entry; 0 while there is no table.
    pub address: u64,
    /// The number of entries it has room for.
    pub capacity: u64,
    /// Bytes from one entry to the next.
    pub entry: u16,
    /// How many of these bytes are published.
    pub published: u16,
}

/// The counters, described under the same names in [`sigward::state::published_block::Counters`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs, reason = "documented there")]
pub struct Counters {
    pub stacks: Option<u64>,
    pub small: Option<u64>,
    pub refused: Option<u64>,
    pub windows: Option<u64>,
    /// Pages pinned now.
    pub pinned: Option<u64>,
    /// The most pages pinned at one time.
    pub most_pinned: Option<u64>,
    /// Stacks by [`names::RUNG`](sigward::state::published_block::names::RUNG).
    pub rungs: [Option<u64>; 4],
    /// Zeroes if none was measured.
    pub deepest: Option<Deepest>,
}

/// The alternate stack that was used most, of those that were measured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Deepest {
    /// The most bytes that were seen in use.
    pub used: u64,
    /// The size of the stack.
    pub size: u64,
    /// Its thread.
    pub thread: u64,
    /// The signal whose handler ran there last.
    pub signal: Option<Signal>,
}

impl Head {
    /// Parses and checks the first [`HEAD`] bytes of what may be a block.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(bytes: &[u8]) -> Result<Self, Error> {
        if !bytes.starts_with(&MAGIC) {
            return Err(Error::Foreign);
        }
        let mut cursor = Cursor::new(bytes, 0);
        cursor.go_to(MAGIC.len());
        let mut read = || {
            Some(Head {
                version: cursor.u16()?,
                readable: cursor.u16()?,
                size: cursor.u32()?,
                page: cursor.u32()?,
                width: cursor.u8()?,
            })
        };
        let head = read().ok_or(Error::Foreign)?;
        if head.readable > VERSION {
            return Err(Error::TooNew(head.version));
        }
        if !matches!(head.width, 4 | 8) {
            return Err(Error::Width(head.width));
        }
        // Addresses are divided by the page size too.
        if !(HEAD as u32..=LARGEST).contains(&head.size) || !head.page.is_power_of_two() {
            return Err(Error::Size(head.size));
        }
        Ok(head)
    }

    /// Whether the block may contain more than this reader knows.
    #[must_use]
    pub fn is_newer(&self) -> bool {
        self.version > VERSION
    }
}

impl Block {
    /// Parses a block from its bytes, which may be fewer than its stated size.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(bytes: &[u8]) -> Result<Self, Error> {
        let head = Head::parse(bytes)?;
        let bytes = bytes.get(..head.size as usize).unwrap_or(bytes);
        let mut cursor = Cursor::new(bytes, head.width);
        cursor.go_to(PLAN);
        let plan = plan(&mut cursor);
        cursor.go_to(FORCE);
        let force = force(&mut cursor);
        cursor.align_to_word();
        let owner = owner(&mut cursor);
        cursor.align_to_word();
        let table = table(&mut cursor);
        cursor.align_to_word();
        let substitutes = cursor.word();
        cursor.go_to(COUNTERS);
        let counters = counters(&mut cursor);
        let mut lists = || Some(Lists { sets: cursor.word()?, arenas: cursor.word()? });
        let measured = lists().filter(|_| head.version >= 4);
        Ok(Block { head, plan, force, owner, table, substitutes, counters, measured })
    }
}

fn plan(cursor: &mut Cursor<'_>) -> Option<Published> {
    Some(Published {
        duty: cursor.u8()?,
        reason: cursor.u8()?,
        rung: cursor.u8()?,
        remedy: cursor.u8()?,
        wait: cursor.u8()?,
        interrupted: cursor.u8()?,
        ordinary: cursor.u8()?,
        flags: cursor.u8()?,
        frame: cursor.u32()?,
        headroom: cursor.u32()?,
        extent: cursor.u32()?,
        // Zero in older versions.
        needed: cursor.u32().unwrap_or(0),
    })
}

fn force(cursor: &mut Cursor<'_>) -> Option<Force> {
    Some(Force {
        generation: cursor.u32()?,
        duty: cursor.u8()?,
        remedy: cursor.u8()?,
        wait: cursor.u8()?,
    })
}

fn owner(cursor: &mut Cursor<'_>) -> Option<Owner> {
    Some(Owner { pid: cursor.i32()?, claims: cursor.u32()?, mark: cursor.word()? })
}

fn table(cursor: &mut Cursor<'_>) -> Option<StackTable> {
    Some(StackTable {
        address: cursor.word()?,
        capacity: cursor.word()?,
        entry: cursor.u16()?,
        published: cursor.u16()?,
    })
}

fn deepest(cursor: &mut Cursor<'_>) -> Option<Deepest> {
    let [used, size, thread] = [cursor.word()?, cursor.word()?, cursor.word()?];
    let signal = cursor.word().and_then(|signal| u16::try_from(signal).ok()).map(Signal);
    Some(Deepest { used, size, thread, signal: signal.filter(|it| it.last().is_some()) })
}

fn counters(cursor: &mut Cursor<'_>) -> Counters {
    Counters {
        stacks: cursor.word(),
        small: cursor.word(),
        refused: cursor.word(),
        windows: cursor.word(),
        pinned: cursor.word(),
        most_pinned: cursor.word(),
        rungs: [cursor.word(), cursor.word(), cursor.word(), cursor.word()],
        deepest: deepest(cursor),
    }
}
