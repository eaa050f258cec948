//! The published block: what may be read of this process from outside.
//!
//! One record at a fixed place: the plan, what is in force, whose memory this
//! is, where the table of stacks is, and the counters. It is the home of these
//! values, not a copy of them. An ELF note of the library says where it is;
//! `docs/published-block.md` has the layout and its rules, and the crate
//! `sigward-reader` reads it. Addresses and counts are in it, and nothing of
//! what the program does with them.
//!
//! It lies in the library's initialised data. The file's part of that segment
//! ends on the same page, of which the loader clears the rest. So the page
//! belongs to each process before we write to it, and the block costs none.

use core::mem::offset_of;
use core::sync::atomic::{AtomicU8, AtomicU16, AtomicU32, AtomicUsize, Ordering, fence};

pub use crate::plan::names;
use crate::plan::{Obstacle, Ordinary, Plan as Decided, Why};
use crate::sys::owner::Owner;
use crate::sys::page;

/// What a block begins with.
pub const MAGIC: [u8; 8] = *b"SIGWARD\n";

/// Raised with each field that is added.
pub const VERSION: u16 = 1;

/// The lowest version that a reader must know to take no field for something
/// else: raised to [`VERSION`] where the meaning of a field changes.
pub const READABLE: u16 = 1;

/// The name in the ELF note, with its end.
pub const NOTE_NAME: [u8; 8] = *b"sigward\0";

/// The type of the ELF note whose content is the distance from itself to the
/// block, in four bytes.
pub const NOTE_TYPE: u32 = 1;

/// The block of this process.
pub static BLOCK: Block = Block::new();

/// The record. Fields are added in what is spare, which is zero, or at the end;
/// none is moved. What is written often shares no cache line with what every
/// call reads, and none of it lies on a second page.
#[repr(C, align(256))]
pub struct Block {
    head: Head,
    plan: Plan,
    /// What is in force now.
    pub force: Force,
    /// What was counted.
    pub counters: Counters,
}

/// Never changes.
#[repr(C)]
struct Head {
    magic: [u8; 8],
    version: u16,
    readable: u16,
    /// Bytes of the record.
    size: u32,
    /// Bytes of a page, in which the table counts.
    page: u32,
    /// Bytes of a word, which is what an address or a count takes.
    width: u8,
    spare: [u8; 11],
}

const SMALL: usize = 8;
const SIZES: usize = 3;

/// See [`Published`].
#[repr(C)]
struct Plan {
    small: [AtomicU8; SMALL],
    sizes: [AtomicU32; SIZES],
}

/// What is read by every call and changes seldom.
#[repr(C, align(64))]
pub struct Force {
    /// Odd while the plan or the table changes; 0 before the plan is made.
    generation: AtomicU32,
    /// What the hooks do now: less than planned where the program has installed
    /// a seccomp filter.
    pub duty: AtomicU8,
    /// What they do about stacks that are too small.
    pub remedy: AtomicU8,
    /// How they wait.
    pub wait: AtomicU8,
    /// The process whose kernel state the table describes.
    pub owner: Owner,
    /// The stacks on record.
    pub table: Table,
}

/// Where the stacks on record are.
#[repr(C)]
pub struct Table {
    address: AtomicUsize,
    capacity: AtomicUsize,
    entry: AtomicU16,
    published: AtomicU16,
}

/// What was counted.
#[repr(C, align(64))]
pub struct Counters {
    /// Alternate stacks that were set or found.
    pub stacks: Counter,
    /// Alternate stacks that were too small for a frame.
    pub small: Counter,
    /// Locks that were refused.
    pub refused: Counter,
    /// Moments at which a stack of another thread was not resident: see
    /// `docs/limits.md`.
    pub windows: Counter,
    /// Pages pinned for stacks.
    pub pinned: Gauge,
    /// The stacks that were held, by [`names::RUNG`].
    pub rungs: [Counter; 4],
}

// The document has these, and a stranger's reader.
#[cfg(target_pointer_width = "64")]
const _: () = {
    assert!(offset_of!(Block, plan) == 32);
    assert!(offset_of!(Block, force) == 64);
    assert!(offset_of!(Force, owner) == 8);
    assert!(offset_of!(Force, table) == 24);
    assert!(offset_of!(Block, counters) == 128);
    assert!(size_of::<Block>() == 256);
};

/// A number that any thread may count up. Async-signal-safe.
#[repr(transparent)]
pub struct Counter(AtomicUsize);

impl Counter {
    const fn new() -> Self {
        Counter(AtomicUsize::new(0))
    }

    /// Adds one, and says how many there were before.
    pub fn count(&self) -> usize {
        self.0.fetch_add(1, Ordering::Relaxed)
    }

    /// Adds `more`.
    pub fn add(&self, more: usize) {
        self.0.fetch_add(more, Ordering::Relaxed);
    }

    /// How many there are.
    #[must_use]
    pub fn read(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

/// A number with its highest value.
#[repr(C)]
pub struct Gauge {
    now: AtomicUsize,
    most: AtomicUsize,
}

impl Gauge {
    const fn new() -> Self {
        Gauge { now: AtomicUsize::new(0), most: AtomicUsize::new(0) }
    }

    /// Sets the present value. Async-signal-safe.
    pub fn set(&self, value: usize) {
        self.now.store(value, Ordering::Relaxed);
        self.most.fetch_max(value, Ordering::Relaxed);
    }

    /// The present value, and the highest.
    #[must_use]
    pub fn read(&self) -> (usize, usize) {
        (self.now.load(Ordering::Relaxed), self.most.load(Ordering::Relaxed))
    }
}

/// The plan of the process as others read it: small integers by the tables in
/// [`names`], and bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Published {
    /// [`names::DUTY`].
    pub duty: u8,
    /// [`names::REASON`]: why that duty.
    pub reason: u8,
    /// [`names::RUNG`]: the first that is tried for alternate stacks.
    pub rung: u8,
    /// [`names::REMEDY`].
    pub remedy: u8,
    /// [`names::WAIT`].
    pub wait: u8,
    /// [`names::INTERRUPTED`].
    pub interrupted: u8,
    /// [`names::ORDINARY`].
    pub ordinary: u8,
    /// [`FORK_COPIES`].
    pub flags: u8,
    /// The largest signal frame.
    pub frame: u32,
    /// What frames need at the top of a stack.
    pub window: u32,
    /// What is held of an ordinary stack.
    pub extent: u32,
}

/// Forks copy the stacks of other threads, too.
pub const FORK_COPIES: u8 = 1;

impl From<&Decided<'_>> for Published {
    fn from(plan: &Decided<'_>) -> Self {
        let (ordinary, extent) = match plan.ordinary.value {
            Ordinary::Off => (0, 0),
            Ordinary::Armed(bytes) => (1, bytes),
            Ordinary::Locked(bytes) => (2, bytes),
        };
        Published {
            duty: plan.duty.value as u8,
            reason: reason(plan) as u8,
            rung: plan.start.value as u8,
            remedy: plan.small_stacks.value as u8,
            wait: plan.wait.value as u8,
            interrupted: plan.interrupted.value as u8,
            ordinary,
            flags: if plan.fork_copies.value { FORK_COPIES } else { 0 },
            frame: plan.frame.value as u32,
            window: plan.window as u32,
            extent: extent as u32,
        }
    }
}

/// Why the process has its duty.
fn reason(plan: &Decided<'_>) -> names::Reason {
    use names::Reason;
    match (plan.duty.why, plan.obstacle) {
        (Why::Set, _) => Reason::Set,
        (Why::Excluded, _) => Reason::Excluded,
        (Why::Secure, _) => Reason::SecureExecution,
        (Why::NoEnvironment, _) => Reason::NoEnvironment,
        (Why::Affected, _) => Reason::KernelAffected,
        (Why::InRange, _) => Reason::KernelInRange,
        (Why::NotAffected, _) => Reason::KernelNotAffected,
        (Why::UnknownKernel, _) => Reason::KernelUnknown,
        (Why::SmallStacks, _) => Reason::SmallStacks,
        (Why::Obstacle, Some(obstacle)) => match obstacle {
            Obstacle::Sanitizer(_) => Reason::Sanitizer,
            Obstacle::Valgrind => Reason::Valgrind,
            Obstacle::Overridden(_) => Reason::Overridden,
            Obstacle::Gvisor => Reason::Gvisor,
            Obstacle::UnknownLibc => Reason::UnknownLibc,
            Obstacle::Killed(_) => Reason::FilterKills,
            Obstacle::Refused(..) => Reason::FilterRefuses,
            Obstacle::Untried(_) => Reason::FilterNotTried,
        },
        _ => Reason::Undecided,
    }
}

/// Makes the plan known; at load, before there is a table of stacks. To be
/// called in every process, also where nothing is to be done.
pub fn publish(plan: &Published) {
    let Published { duty, reason, rung, remedy, wait, interrupted, ordinary, flags, .. } = *plan;
    let small = [duty, reason, rung, remedy, wait, interrupted, ordinary, flags];
    let sizes = [plan.frame, plan.window, plan.extent];
    BLOCK.change(|| {
        for (place, value) in BLOCK.plan.small.iter().zip(small) {
            place.store(value, Ordering::Relaxed);
        }
        for (place, value) in BLOCK.plan.sizes.iter().zip(sizes) {
            place.store(value, Ordering::Relaxed);
        }
    });
}

/// The duty in the plan.
#[must_use]
pub fn planned_duty() -> u8 {
    let [duty, ..] = &BLOCK.plan.small;
    duty.load(Ordering::Relaxed)
}

/// An entry of the table of stacks.
#[derive(Clone, Copy, Debug, Default)]
pub struct Entry {
    /// Bytes from one to the next.
    pub size: usize,
    /// How many of them, from the first on, are for others to read.
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
                page: page::SIZE as u32,
                width: size_of::<usize>() as u8,
                spare: [0; 11],
            },
            plan: Plan {
                small: [const { AtomicU8::new(0) }; SMALL],
                sizes: [const { AtomicU32::new(0) }; SIZES],
            },
            force: Force {
                generation: AtomicU32::new(0),
                duty: AtomicU8::new(0),
                remedy: AtomicU8::new(0),
                wait: AtomicU8::new(0),
                owner: Owner::nobody(),
                table: Table {
                    address: AtomicUsize::new(0),
                    capacity: AtomicUsize::new(0),
                    entry: AtomicU16::new(0),
                    published: AtomicU16::new(0),
                },
            },
            counters: Counters {
                stacks: Counter::new(),
                small: Counter::new(),
                refused: Counter::new(),
                windows: Counter::new(),
                pinned: Gauge::new(),
                rungs: [const { Counter::new() }; 4],
            },
        }
    }

    /// From now on the stacks on record are at `address`: `capacity` entries.
    /// For the registry, by the holder of its lock.
    pub fn table_is_at(&self, address: usize, capacity: usize, entry: Entry) {
        let table = &self.force.table;
        self.change(|| {
            table.address.store(address, Ordering::Relaxed);
            table.capacity.store(capacity, Ordering::Relaxed);
            table.entry.store(entry.size as u16, Ordering::Relaxed);
            table.published.store(entry.published as u16, Ordering::Relaxed);
        });
    }

    /// There is no table at `address` any more. As [`Block::table_is_at`].
    pub fn table_was_at(&self, address: usize) {
        if self.force.table.address.load(Ordering::Relaxed) == address {
            self.table_is_at(0, 0, Entry::default());
        }
    }

    /// One changes it at a time: at load there is no table, and later its
    /// lock is held.
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
    fn a_change_is_seen_by_who_reads_meanwhile() {
        let block = Block::new();
        let generation = || block.force.generation.load(Ordering::Relaxed);
        assert_eq!(generation(), 0);
        block.change(|| assert_eq!(generation(), 1));
        assert_eq!(generation(), 2);

        let address = || block.force.table.address.load(Ordering::Relaxed);
        block.table_is_at(4096, 64, Entry { size: 120, published: 88 });
        assert_eq!((generation(), address()), (4, 4096));
        // The table before, which was copied from and is unmapped now.
        block.table_was_at(8192);
        assert_eq!((generation(), address()), (4, 4096));
        block.table_was_at(4096);
        assert_eq!((generation(), address()), (6, 0));
    }
}
