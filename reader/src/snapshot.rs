//! A block and its stacks, as they were at one time.
//!
//! The process does not wait for the reader. If the table moves during the read,
//! everything is read again, a few times. Entries are not written atomically: each is
//! read twice, and accepted if both reads agree and the content is possible. An entry
//! that moves to another slot meanwhile may be missed.

use std::collections::BTreeSet;

use sigward::state::published_block::VERSION;

use crate::block::{Block, HEAD, Head, LARGEST, StackTable};
use crate::error::Error;
use crate::measured::{self, Measured};
use crate::source::{Source, Unreadable};
use crate::stack::{EntryLayout, Slot, Stack};
use crate::substitute::{self, Substitute};

/// Attempts to read everything before it counts as torn.
const ATTEMPTS: usize = 16;

/// Attempts to read an entry before it counts as torn.
const LOOKS: usize = 4;

/// The largest table that is accepted, in bytes.
const LARGEST_TABLE: u64 = 64 << 20;

/// At most this many torn entries are read again: all of it may be damage.
const SECOND_LOOKS: usize = 1000;

/// The approximate number of bytes per read.
const AT_ONCE: u64 = 64 << 10;

/// What was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// The block.
    pub block: Block,
    /// Whether the process only has a copy of another process's block, as after a fork
    /// that libsigward.so did not see. `None` if the block does not show it: then compare
    /// the owner's pid with the process's own.
    pub copied: Option<bool>,
    /// The recorded stacks, in no order.
    pub stacks: Vec<Stack>,
    /// The larger stacks that stand in for the program's, in no order.
    pub substitutes: Vec<Substitute>,
    /// Alternate stacks whose depth can be seen, in no order. They may be among the recorded
    /// stacks too.
    pub measured: Vec<Measured>,
    /// The number of entries that were changing at each attempt, or are damaged.
    pub torn: usize,
}

impl Snapshot {
    /// The block's version if it is newer than this reader, so that the block may contain
    /// more.
    #[must_use]
    pub fn newer(&self) -> Option<u16> {
        Some(self.block.head.version).filter(|version| *version > VERSION)
    }
}

/// Reads the block at `address`.
///
/// # Errors
/// If there is none, or it cannot be used.
pub fn read(source: &impl Source, address: u64) -> Result<Snapshot, Error> {
    for _ in 0..ATTEMPTS {
        if let Some(snapshot) = attempt(source, address)? {
            return Ok(snapshot);
        }
    }
    Err(Error::Torn)
}

/// `None` if the table changed meanwhile.
fn attempt(source: &impl Source, address: u64) -> Result<Option<Snapshot>, Error> {
    let mut bytes = [0; HEAD];
    source.fill(address, &mut bytes)?;
    let size = Head::parse(&bytes)?.size.min(LARGEST);
    let mut bytes = vec![0; size as usize];
    source.fill(address, &mut bytes)?;
    let block = Block::parse(&bytes)?;
    let generation = block.force.map(|force| force.generation);
    if generation.is_some_and(|generation| generation % 2 == 1) {
        return Ok(None);
    }
    let read = block.table.map_or(Ok((Vec::new(), 0)), |table| stacks(source, &block, table));
    let first = block.substitutes.filter(|_| block.head.version >= 3).unwrap_or(0);
    let larger = substitute::all(source, first, block.head.width);
    let lists = block.measured.unwrap_or_default();
    let measured = measured::all(source, lists, block.head.width, block.head.page);
    source.fill(address, &mut bytes)?;
    let after = Block::parse(&bytes)?.force.map(|force| force.generation);
    if after != generation {
        return Ok(None);
    }
    let (stacks, torn) = match read {
        Err(Error::Unreadable(Unreadable::Unmapped(_))) => return Err(Error::Table),
        read => read?,
    };
    let substitutes = match larger {
        Err(Unreadable::Unmapped(_)) => return Err(Error::Table),
        larger => larger?,
    };
    let measured = match measured {
        Err(Unreadable::Unmapped(_)) => return Err(Error::Table),
        measured => measured?,
    };
    let copied = copied(source, &block);
    Ok(Some(Snapshot { block, copied, stacks, substitutes, measured, torn }))
}

/// What the page that forks wipe shows.
fn copied(source: &impl Source, block: &Block) -> Option<bool> {
    let mark = block.owner?.mark;
    let mut word = [0; 4];
    (mark != 0 && source.fill(mark, &mut word).is_ok()).then(|| word == [0; 4])
}

/// The stacks in the table, and the number of torn entries.
fn stacks(
    source: &impl Source,
    block: &Block,
    table: StackTable,
) -> Result<(Vec<Stack>, usize), Error> {
    let StackTable { address, capacity, entry, published } = table;
    if address == 0 || capacity == 0 {
        return Ok((Vec::new(), 0));
    }
    let entry_bytes = u64::from(entry);
    let all = capacity.checked_mul(entry_bytes).filter(|all| *all <= LARGEST_TABLE);
    let end = all.and_then(|all| address.checked_add(all)).ok_or(Error::Table)?;
    let width = block.head.width;
    let beyond = width == 4 && end > 1 << 32;
    if beyond || published > entry || usize::from(published) < EntryLayout::least(width) {
        return Err(Error::Table);
    }
    let layout = EntryLayout { width, page: block.head.page, newer: block.head.is_newer() };
    let step = (AT_ONCE / entry_bytes).max(1) * entry_bytes;
    let (mut stacks, mut torn, mut seen) = (Vec::new(), 0, BTreeSet::new());
    let mut from = address;
    while from < end {
        let length = step.min(end - from) as usize;
        let (mut once, mut again) = (vec![0; length], vec![0; length]);
        source.fill(from, &mut once)?;
        source.fill(from, &mut again)?;
        let entries = once.chunks_exact(usize::from(entry)).zip(again.chunks_exact(entry.into()));
        for (at, (once, again)) in (from..).step_by(entry.into()).zip(entries) {
            let public = usize::from(published);
            let (once, again) = (&once[..public], &again[..public]);
            let looks = if torn < SECOND_LOOKS { LOOKS } else { 1 };
            match settle(source, at, once, again, layout, looks)? {
                Slot::Empty => {}
                // An entry that moved up during the read is read twice.
                Slot::Stack(stack) if !seen.insert(stack.key) => {}
                Slot::Stack(stack) => stacks.push(stack),
                Slot::Torn => torn += 1,
            }
        }
        from += length as u64;
    }
    Ok((stacks, torn))
}

/// Reads an entry until two reads agree and its content is possible.
fn settle(
    source: &impl Source,
    address: u64,
    once: &[u8],
    again: &[u8],
    layout: EntryLayout,
    looks: usize,
) -> Result<Slot, Unreadable> {
    let (mut before, mut now) = (once.to_vec(), again.to_vec());
    for _ in 0..looks {
        if before == now {
            match Slot::parse(&now, layout) {
                Slot::Torn => {}
                whole => return Ok(whole),
            }
        }
        before.copy_from_slice(&now);
        source.fill(address, &mut now)?;
    }
    Ok(Slot::Torn)
}
