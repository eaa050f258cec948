//! The published block: what other processes may read of this one.
//!
//! One block at a fixed place. It has the plan, what is in force, the process
//! that owns the memory, the place of the table of stacks, and the counters.
//! These are the values themselves, not copies. An ELF note in the library
//! gives the address. `docs/published-block.md` describes the layout and its
//! rules, and the crate `sigward-reader` reads it. The block has addresses and
//! counts, but nothing of the program's data.
//!
//! It is in the library's initialised data. The file's part of that segment
//! ends on the same page, and the loader clears the rest of that page. So each
//! process already has its own copy before we write to it, and the block costs
//! no extra page.

use core::mem::offset_of;
use core::sync::atomic::{AtomicPtr, AtomicU8, AtomicU16, AtomicU32, AtomicUsize, Ordering, fence};

use super::deepest::{Deepest, Measured};
use crate::arch;
use crate::os::owner::Owner;
use crate::os::page;
pub use crate::plan::names;
use crate::plan::{Ordinary, Plan, needed};

/// The first bytes of a block.
pub const MAGIC: [u8; 8] = *b"SIGWARD\n";

/// Raised with each added field.
pub const VERSION: u16 = 4;

/// The lowest version that a reader must know in order not to misread any
/// field. Raised to [`VERSION`] when the meaning of a field changes.
pub const READABLE: u16 = 1;

/// The name in the ELF note, with its NUL.
pub const NOTE_NAME: [u8; 8] = *b"sigward\0";

/// The type of the ELF note. Its content is the distance from the content to
/// the block, in four bytes.
pub const NOTE_TYPE: u32 = 1;

/// The block of this process.
pub static BLOCK: Block = Block::new();

/// The block. New fields go into spare bytes, which are zero, or at the end;
/// fields never move. Fields that are written often share no cache line with
/// those that every call reads. The whole block is on one page.
#[repr(C, align(256))]
pub struct Block {
    head: Head,
    plan: PlanFields,
    /// What is in force now.
    pub force: Force,
    /// The counters.
    pub counters: Counters,
}

/// This part never changes.
#[repr(C)]
struct Head {
    magic: [u8; 8],
    version: u16,
    readable: u16,
    /// The size of the block in bytes.
    size: u32,
    /// The page size in bytes, the unit of the table's page numbers.
    page: AtomicU32,
    /// The size of a word in bytes: addresses and counts are words.
    width: u8,
    spare: [u8; 11],
}

const SMALL: usize = 8;
const SIZES: usize = 4;

/// See [`Published`].
#[repr(C)]
struct PlanFields {
    small: [AtomicU8; SMALL],
    sizes: [AtomicU32; SIZES],
}

/// Fields that every call reads and that rarely change.
#[repr(C, align(64))]
pub struct Force {
    /// Odd during a change of the plan or the table; 0 before the plan is made.
    generation: AtomicU32,
    /// What the hooks do now. Less than planned if the program has installed a
    /// seccomp filter.
    pub duty: AtomicU8,
    /// What the hooks do about stacks that are too small.
    pub remedy: AtomicU8,
    /// How the hooks wait.
    pub wait: AtomicU8,
    /// The process whose kernel state the table describes.
    pub owner: Owner,
    /// The table of recorded stacks.
    pub table: StackTable,
    /// The first page of records of stacks of ours that stand in for the
    /// program's, or null. Since version 3.
    pub substitutes: AtomicPtr<u8>,
}

/// Where the recorded stacks are.
#[repr(C)]
pub struct StackTable {
    address: AtomicUsize,
    capacity: AtomicUsize,
    entry: AtomicU16,
    published: AtomicU16,
}

/// The counters.
#[repr(C, align(64))]
pub struct Counters {
    /// Alternate stacks that were set or found.
    pub stacks: Counter,
    /// Alternate stacks that were too small for a frame.
    pub small: Counter,
    /// Locks that were refused.
    pub refused: Counter,
    /// How often a stack of another thread was not resident for a moment: see
    /// `docs/limits.md`.
    pub windows: Counter,
    /// Pages pinned for stacks.
    pub pinned: Gauge,
    /// Stacks held by each rung, in the order of [`names::RUNG`].
    pub rungs: [Counter; 4],
    /// The alternate stack that was used most. Since version 2.
    pub deepest: Deepest,
    /// Where stacks are whose use can be measured. Since version 4.
    pub measured: Measured,
}

// `docs/published-block.md` and other people's readers rely on these.
const _: () = {
    assert!(offset_of!(Block, plan) == 32);
    assert!(offset_of!(Block, force) == 64);
    assert!(offset_of!(Force, owner) == 8);
    assert!(offset_of!(Force, table) == 16 + size_of::<usize>());
    assert!(offset_of!(Force, substitutes) == 16 + 4 * size_of::<usize>());
    assert!(offset_of!(Block, counters) == 128);
    assert!(offset_of!(Counters, deepest) == 10 * size_of::<usize>());
    assert!(offset_of!(Counters, measured) == 14 * size_of::<usize>());
    assert!(size_of::<Block>() == 256);
};

/// A count that any thread may raise. Async-signal-safe.
#[repr(transparent)]
pub struct Counter(AtomicUsize);

impl Counter {
    const fn new() -> Self {
        Counter(AtomicUsize::new(0))
    }

    /// Adds one, and returns the previous count.
    pub fn count(&self) -> usize {
        self.0.fetch_add(1, Ordering::Relaxed)
    }

    /// Adds `more`.
    pub fn add(&self, more: usize) {
        self.0.fetch_add(more, Ordering::Relaxed);
    }

    /// The count.
    #[must_use]
    pub fn read(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

/// A value and the highest it has been.
#[repr(C)]
pub struct Gauge {
    now: AtomicUsize,
    most: AtomicUsize,
}

impl Gauge {
    const fn new() -> Self {
        Gauge { now: AtomicUsize::new(0), most: AtomicUsize::new(0) }
    }

    /// Sets the current value. Async-signal-safe.
    pub fn set(&self, value: usize) {
        self.now.store(value, Ordering::Relaxed);
        self.most.fetch_max(value, Ordering::Relaxed);
    }

    /// The current value and the highest.
    #[must_use]
    pub fn read(&self) -> (usize, usize) {
        (self.now.load(Ordering::Relaxed), self.most.load(Ordering::Relaxed))
    }
}

/// The plan of the process as other processes read it: small integers, which
/// [`names`] gives names to, and sizes in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Published {
    /// [`names::DUTY`].
    pub duty: u8,
    /// [`names::REASON`]: the reason for that duty.
    pub reason: u8,
    /// [`names::RUNG`]: the first rung to try for alternate stacks.
    pub rung: u8,
    /// [`names::REMEDY`].
    pub remedy: u8,
    /// [`names::WAIT`].
    pub wait: u8,
    /// [`names::INTERRUPTED`].
    pub interrupted: u8,
    /// [`names::ORDINARY`].
    pub ordinary: u8,
    /// 0 or [`FORK_COPIES`].
    pub flags: u8,
    /// Bytes of the largest signal frame.
    pub frame: u32,
    /// Bytes that frames need at the top of a stack.
    pub headroom: u32,
    /// Bytes of an ordinary stack that are held.
    pub extent: u32,
    /// Bytes that an alternate stack needs; 0 if that does not matter. Since
    /// version 4.
    pub needed: u32,
}

/// Set if forks also copy the stacks of other threads.
pub const FORK_COPIES: u8 = 1;

impl From<&Plan<'_>> for Published {
    fn from(plan: &Plan<'_>) -> Self {
        let (ordinary, extent) = match plan.ordinary.value {
            Ordinary::Off => (0, 0),
            Ordinary::Armed(bytes) => (1, bytes),
            Ordinary::Locked(bytes) => (2, bytes),
        };
        Published {
            duty: plan.duty.value as u8,
            reason: plan.duty.reason as u8,
            rung: plan.start.value as u8,
            remedy: plan.small_stacks.value as u8,
            wait: plan.wait.value as u8,
            interrupted: plan.interrupted.value as u8,
            ordinary,
            flags: if plan.fork_copies.value { FORK_COPIES } else { 0 },
            frame: plan.frame.value as u32,
            headroom: plan.headroom as u32,
            extent: extent as u32,
            needed: match plan.frame.value {
                0 => 0,
                frame => u32::try_from(needed(frame, plan.room)).unwrap_or(u32::MAX),
            },
        }
    }
}

/// Publishes the plan. Call this at load in every process, before there is a
/// table of stacks, even if there is nothing to do.
pub fn publish(plan: &Published) {
    let Published { duty, reason, rung, remedy, wait, interrupted, ordinary, flags, .. } = *plan;
    let small = [duty, reason, rung, remedy, wait, interrupted, ordinary, flags];
    let sizes = [plan.frame, plan.headroom, plan.extent, plan.needed];
    if arch::PAGE.is_none() {
        BLOCK.head.page.store(page::size() as u32, Ordering::Relaxed);
    }
    BLOCK.change(|| {
        for (place, value) in BLOCK.plan.small.iter().zip(small) {
            place.store(value, Ordering::Relaxed);
        }
        for (place, value) in BLOCK.plan.sizes.iter().zip(sizes) {
            place.store(value, Ordering::Relaxed);
        }
    });
}

/// The planned duty.
#[must_use]
pub fn planned_duty() -> u8 {
    let [duty, ..] = &BLOCK.plan.small;
    duty.load(Ordering::Relaxed)
}

/// Whether a plan was made by which there will never be a duty.
#[must_use]
pub fn is_inert_for_good() -> bool {
    let [duty, reason, ..] = &BLOCK.plan.small;
    duty.load(Ordering::Relaxed) == 0 && reason.load(Ordering::Relaxed) != 0
}

/// The layout of an entry in the table of stacks.
#[derive(Clone, Copy, Debug, Default)]
pub struct EntryLayout {
    /// Bytes from one entry to the next.
    pub size: usize,
    /// How many of those bytes, from the first one on, other processes may
    /// read.
    pub published: usize,
}

impl Block {
    const fn new() -> Self {
        Block {
            head: Head {
                magic: MAGIC,
                version: VERSION,
                readable: READABLE,
                size: size_of::<Block>() as u32,
                page: AtomicU32::new(page::LEAST as u32),
                width: size_of::<usize>() as u8,
                spare: [0; 11],
            },
            plan: PlanFields {
                small: [const { AtomicU8::new(0) }; SMALL],
                sizes: [const { AtomicU32::new(0) }; SIZES],
            },
            force: Force {
                generation: AtomicU32::new(0),
                duty: AtomicU8::new(0),
                remedy: AtomicU8::new(0),
                wait: AtomicU8::new(0),
                owner: Owner::nobody(),
                table: StackTable {
                    address: AtomicUsize::new(0),
                    capacity: AtomicUsize::new(0),
                    entry: AtomicU16::new(0),
                    published: AtomicU16::new(0),
                },
                substitutes: AtomicPtr::new(core::ptr::null_mut()),
            },
            counters: Counters {
                stacks: Counter::new(),
                small: Counter::new(),
                refused: Counter::new(),
                windows: Counter::new(),
                pinned: Gauge::new(),
                rungs: [const { Counter::new() }; 4],
                deepest: Deepest::new(),
                measured: Measured::new(),
            },
        }
    }

    /// Publishes that the table of recorded stacks is at `address` and has
    /// `capacity` entries. For the registry; the caller holds its lock.
    pub fn table_is_at(&self, address: usize, capacity: usize, entry: EntryLayout) {
        let table = &self.force.table;
        self.change(|| {
            table.address.store(address, Ordering::Relaxed);
            table.capacity.store(capacity, Ordering::Relaxed);
            table.entry.store(entry.size as u16, Ordering::Relaxed);
            table.published.store(entry.published as u16, Ordering::Relaxed);
        });
    }

    /// Publishes that there is no table at `address` any more. The caller holds
    /// the registry's lock.
    pub fn table_was_at(&self, address: usize) {
        if self.force.table.address.load(Ordering::Relaxed) == address {
            self.table_is_at(0, 0, EntryLayout::default());
        }
    }

    /// Runs `work` as one change of the generation. There is only one writer at
    /// a time: at load there is no table, and later the caller holds the
    /// registry's lock.
    fn change(&self, work: impl FnOnce()) {
        let generation = &self.force.generation;
        let before = generation.load(Ordering::Relaxed);
        generation.store(before.wrapping_add(1), Ordering::Relaxed);
        fence(Ordering::Release);
        work();
        generation.store(before.wrapping_add(2), Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reader_notices_a_change() {
        let block = Block::new();
        let generation = || block.force.generation.load(Ordering::Relaxed);
        assert_eq!(generation(), 0);
        block.change(|| assert_eq!(generation(), 1));
        assert_eq!(generation(), 2);

        let address = || block.force.table.address.load(Ordering::Relaxed);
        block.table_is_at(4096, 64, EntryLayout { size: 120, published: 88 });
        assert_eq!((generation(), address()), (4, 4096));
        // The old table, after its entries were copied and it was unmapped.
        block.table_was_at(8192);
        assert_eq!((generation(), address()), (4, 4096));
        block.table_was_at(4096);
        assert_eq!((generation(), address()), (6, 0));
    }
}
