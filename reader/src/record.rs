//! One block, of any version and pointer width.

use sigward::block::{MAGIC, Published, VERSION};

use crate::Error;
use crate::cursor::Cursor;

/// Bytes of the head, which every version has.
pub const HEAD: usize = 32;

/// The most bytes that a block is believed to have.
pub const LARGEST: u32 = 1 << 16;

const PLAN: usize = 32;
const FORCE: usize = 64;
const COUNTERS: usize = 128;

/// What a block begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// Its version.
    pub version: u16,
    /// The lowest version that a reader must know.
    pub readable: u16,
    /// Bytes in all.
    pub size: u32,
    /// Bytes of a page.
    pub page: u32,
    /// Bytes of an address: 4 or 8.
    pub width: u8,
}

/// A block. What an older version does not have is `None`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// What it begins with.
    pub head: Head,
    /// The plan that was made at load.
    pub plan: Option<Published>,
    /// What is in force now.
    pub force: Option<Force>,
    /// Whose memory it is.
    pub owner: Option<Owner>,
    /// Where the stacks are.
    pub table: Option<Table>,
    /// What was counted.
    pub counters: Counters,
}

/// What is in force now: less than planned where the program has installed a
/// seccomp filter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Force {
    /// Odd while plan or table change; 0 before there is a plan.
    pub generation: u32,
    /// [`names::DUTY`](sigward::block::names::DUTY).
    pub duty: u8,
    /// [`names::REMEDY`](sigward::block::names::REMEDY).
    pub remedy: u8,
    /// [`names::WAIT`](sigward::block::names::WAIT).
    pub wait: u8,
}

/// The process whose kernel state the block describes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Owner {
    /// Its number in its own pid namespace; 0 where there is none.
    pub pid: i32,
    /// How often a process made it its own: once at load, and once for each
    /// fork on the way here.
    pub claims: u32,
    /// The address of a page that forks wipe; 0 for none.
    pub mark: u64,
}

/// Where the stacks are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Table {
    /// The address of the first entry; 0 while there is no table.
    pub address: u64,
    /// How many entries there is room for.
    pub capacity: u64,
    /// Bytes from one to the next.
    pub entry: u16,
    /// How many of them are for us.
    pub published: u16,
}

/// What was counted. See the counters of the same names in
/// [`sigward::block::Counters`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs, reason = "the other has the words")]
pub struct Counters {
    pub stacks: Option<u64>,
    pub small: Option<u64>,
    pub refused: Option<u64>,
    pub windows: Option<u64>,
    /// Pages pinned now.
    pub pinned: Option<u64>,
    /// The most at one time.
    pub most_pinned: Option<u64>,
    /// By [`names::RUNG`](sigward::block::names::RUNG).
    pub rungs: [Option<u64>; 4],
}

impl Head {
    /// Reads and judges the first [`HEAD`] bytes of what may be a block.
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
        // A page also divides addresses.
        if !(HEAD as u32..=LARGEST).contains(&head.size) || !head.page.is_power_of_two() {
            return Err(Error::Size(head.size));
        }
        Ok(head)
    }

    /// Whether there may be more in the block than this reader knows.
    #[must_use]
    pub fn is_newer(&self) -> bool {
        self.version > VERSION
    }
}

impl Record {
    /// Reads a block from its bytes, which may be fewer than it says.
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
        cursor.go_to(COUNTERS);
        let counters = counters(&mut cursor);
        Ok(Record { head, plan, force, owner, table, counters })
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
        window: cursor.u32()?,
        extent: cursor.u32()?,
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

fn table(cursor: &mut Cursor<'_>) -> Option<Table> {
    Some(Table {
        address: cursor.word()?,
        capacity: cursor.word()?,
        entry: cursor.u16()?,
        published: cursor.u16()?,
    })
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
    }
}
