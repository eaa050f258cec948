//! Good blocks of both pointer widths are read correctly; older, newer, foreign, torn and damaged
//! ones are recognized; and no bytes at all make the reader panic.

use std::cell::Cell;

use proptest::prelude::*;
use proptest::sample::Index;
use sigward::state::published_block::{MAGIC, NOTE_NAME, VERSION};
use sigward_reader::block::Block;
use sigward_reader::maps::Mapping;
use sigward_reader::stack::{EntryLayout, Range, Slot};
use sigward_reader::{Error, Source, Unreadable, note, read};

const BLOCK: u64 = 0x1_0000;
const TABLE: u64 = 0x4_0000;
const MARK: u64 = 0x8_0000;
/// Two pages of records of larger stacks.
const LARGER: u64 = 0x5_0000;
const LATER: u64 = 0x5_4000;
/// Painted stacks, and two arenas of stacks for threads.
const SETS: u64 = 0x5_8000;
const ARENA: u64 = 0x800_0000;
const FORMER: u64 = 0x900_0000;
const LIBRARY: u64 = 0x10_0000;
const PAGE: u64 = 4096;

/// Pieces of memory, by address.
#[derive(Clone, Debug, Default)]
struct Memory(Vec<(u64, Vec<u8>)>);

impl Memory {
    fn piece(&mut self, address: u64) -> &mut Vec<u8> {
        &mut self.0.iter_mut().find(|(start, _)| *start == address).unwrap().1
    }
}

impl Source for Memory {
    fn read_at(&self, address: u64, buffer: &mut [u8]) -> Result<usize, Unreadable> {
        for (start, bytes) in &self.0 {
            let from = address.checked_sub(*start).and_then(|at| bytes.get(at as usize..));
            if let Some(from) = from.filter(|from| !from.is_empty()) {
                let length = from.len().min(buffer.len());
                buffer[..length].copy_from_slice(&from[..length]);
                return Ok(length);
            }
        }
        Err(Unreadable::Unmapped(address))
    }
}

/// Memory that changes at each read: `happens` gets the number of the read.
struct Changing<F>(Memory, Cell<usize>, F);

impl<F: Fn(usize, &mut Memory)> Source for Changing<F> {
    fn read_at(&self, address: u64, buffer: &mut [u8]) -> Result<usize, Unreadable> {
        let mut memory = self.0.clone();
        self.2(self.1.replace(self.1.get() + 1), &mut memory);
        memory.read_at(address, buffer)
    }
}

fn changing(memory: Memory, happens: impl Fn(usize, &mut Memory)) -> impl Source {
    Changing(memory, Cell::new(0), happens)
}

fn put(bytes: &mut [u8], at: usize, value: &[u8]) {
    bytes[at..at + value.len()].copy_from_slice(value);
}

/// Writes a word and returns the offset of the next one.
fn word(bytes: &mut [u8], at: usize, width: usize, value: u64) -> usize {
    put(bytes, at, &value.to_le_bytes()[..width]);
    at + width
}

/// A block laid out as documented, with a table of four slots and a stack in the third.
fn memory(width: usize) -> Memory {
    let mut block = vec![0; 256];
    put(&mut block, 0, &MAGIC);
    put(&mut block, 8, &VERSION.to_le_bytes());
    put(&mut block, 10, &1_u16.to_le_bytes());
    put(&mut block, 12, &256_u32.to_le_bytes());
    put(&mut block, 16, &(PAGE as u32).to_le_bytes());
    block[20] = width as u8;
    // The plan: act, because the kernel is affected; rung frame, report, two-phase, retry, at
    // start.
    put(&mut block, 32, &[2, 4, 1, 1, 2, 1, 2, 1]);
    for (at, value) in [(40, 3376_u32), (44, 8000), (48, 40_000), (52, 31_328)] {
        put(&mut block, at, &value.to_le_bytes());
    }
    put(&mut block, 64, &6_u32.to_le_bytes());
    put(&mut block, 68, &[1, 2, 0]);
    put(&mut block, 72, &77_i32.to_le_bytes());
    put(&mut block, 76, &3_u32.to_le_bytes());
    let mut at = 80;
    for value in [MARK, TABLE, 4] {
        at = word(&mut block, at, width, value);
    }
    let entry: [u16; 2] = if width == 8 { [120, 88] } else { [64, 48] };
    put(&mut block, at, &entry.map(u16::to_le_bytes).concat());
    word(&mut block, if width == 8 { 112 } else { 96 }, width, LARGER);
    at = 128;
    for value in (1..=14).chain([SETS, ARENA]) {
        at = word(&mut block, at, width, value);
    }

    let mut table = vec![0; 4 * usize::from(entry[0])];
    stack(&mut table[2 * usize::from(entry[0])..], width, 0x20_0800);
    let [mut first, mut later] = [vec![0; 4096], vec![0; 4096]];
    word(&mut first, 0, width, LATER);
    // One that is changing, one that is kept, and one in force.
    larger(&mut first[64..128], width, 1, 77, 0x70_0000);
    larger(&mut first[128..192], width, 2, 0, 0x70_0000);
    larger(&mut later[4032..], width, 3, 99, 0x60_0000);
    let mut used = vec![0; 0x8000];
    used[0x4001] = 1;
    let list = vec![(LARGER, first), (LATER, later), (0x60_0000, used)];
    let mut sets = vec![0; width + 4 * (8 + 2 * width)];
    word(&mut sets, 0, width, 4);
    // One of a thread's own, one of ours, one that is being set, and an empty place.
    for (at, thread, guarded, base) in [(0, 55, 0, 0x60_0000), (1, 56, 1, 0x60_0000), (2, 57, 0, 0)]
    {
        let entry = &mut sets[width + at * (8 + 2 * width)..];
        put(entry, 0, &i32::to_le_bytes(thread));
        entry[4] = guarded;
        let next = word(entry, 8, width, base);
        word(entry, next, width, 0x8000);
    }
    // The third stack of the first arena; the last one of the second, which is on its way.
    let arenas = vec![
        (SETS, sets),
        (ARENA, arena(width, FORMER, 2, 1234)),
        (FORMER, arena(width, 0, 63, 0)),
    ];
    Memory([vec![(BLOCK, block), (TABLE, table), (MARK, vec![1, 0, 0, 0])], list, arenas].concat())
}

/// An arena of stacks of 128 KiB, of which `slot` is `thread`'s.
fn arena(width: usize, before: u64, slot: usize, thread: i32) -> Vec<u8> {
    let mut record = vec![0; 4096];
    word(&mut record, 0, width, before);
    word(&mut record, width, width, 128 << 10);
    put(&mut record, 2 * width, &(1_u64 << slot).to_le_bytes());
    put(&mut record, 2 * width + 16 + slot * 2 * width, &thread.to_le_bytes());
    record
}

/// Writes a record of a larger stack at `base`, in place of one of 16 KiB.
fn larger(record: &mut [u8], width: usize, state: u32, thread: i32, base: u64) {
    put(record, 0, &state.to_le_bytes());
    put(record, 4, &thread.to_le_bytes());
    let mut at = 8;
    for value in [0x7777, 0x30_0000, 16_384, base, 0x8000] {
        at = word(record, at, width, value);
    }
    put(record, at, &[12_288_u32, 31_328].map(u32::to_le_bytes).concat());
}

/// Writes an entry of 8 KiB at `base`: the upper two pages are held, the top one is locked.
fn stack(entry: &mut [u8], width: usize, base: u64) {
    let mut at = 0;
    for value in [base + 1, base, 8192, 6000] {
        at = word(entry, at, width, value);
    }
    put(entry, at, &[0, 1]);
    at += width;
    let top = (base + 8192).div_ceil(PAGE);
    for value in [top - 2, top, top - 1, top] {
        at = word(entry, at, width, value);
    }
    put(entry, at, &1234_i32.to_le_bytes());
    put(entry, at + 4, &[0, 1, 1, 0]);
    put(entry, at + 8, &5_u32.to_le_bytes());
}

#[test]
fn a_good_block_is_read_as_it_is() {
    for width in [4, 8] {
        let snapshot = read(&memory(width), BLOCK).unwrap();
        assert_eq!((snapshot.newer(), snapshot.copied, snapshot.torn), (None, Some(false), 0));
        let Block { head, plan, force, owner, table, counters, .. } = snapshot.block;
        assert_eq!((head.version, head.size, head.width), (VERSION, 256, width as u8));
        let plan = plan.unwrap();
        assert_eq!((plan.duty, plan.reason, plan.rung, plan.remedy), (2, 4, 1, 1));
        assert_eq!((plan.wait, plan.interrupted, plan.ordinary, plan.flags), (2, 1, 2, 1));
        assert_eq!((plan.frame, plan.headroom, plan.extent), (3376, 8000, 40_000));
        assert_eq!(plan.needed, 31_328);
        let force = force.unwrap();
        assert_eq!((force.generation, force.duty, force.remedy, force.wait), (6, 1, 2, 0));
        let owner = owner.unwrap();
        assert_eq!((owner.pid, owner.claims, owner.mark), (77, 3, MARK));
        assert_eq!(table.unwrap().capacity, 4);
        let all = [counters.stacks, counters.small, counters.refused, counters.windows];
        assert_eq!(all, [Some(1), Some(2), Some(3), Some(4)]);
        assert_eq!((counters.pinned, counters.most_pinned), (Some(5), Some(6)));
        assert_eq!(counters.rungs, [Some(7), Some(8), Some(9), Some(10)]);
        let deepest = counters.deepest.unwrap();
        assert_eq!((deepest.used, deepest.size, deepest.thread), (11, 12, 13));
        let signal = deepest.signal.unwrap();
        assert_eq!((signal.last(), signal.is_only()), (Some(14), false));

        let [stack] = snapshot.stacks[..] else { panic!("{:?}", snapshot.stacks) };
        assert_eq!((stack.thread, stack.role, stack.rung, stack.start), (1234, 0, 1, 0));
        assert_eq!((stack.base, stack.size, stack.headroom), (0x20_0800, 8192, 6000));
        assert!(stack.disarms && stack.proven && stack.suspended == 5);
        assert_eq!(stack.held, Range { start: 0x20_1000, end: 0x20_3000 });
        assert_eq!(stack.locked, Range { start: 0x20_2000, end: 0x20_3000 });

        let [kept, in_force] = snapshot.substitutes[..] else { panic!("{snapshot:?}") };
        assert!(!kept.in_force && in_force.in_force);
        assert_eq!((kept.thread, in_force.thread), (None, Some(99)));
        assert_eq!((in_force.asked, in_force.asked_size), (0x30_0000, 16_384));
        assert_eq!((in_force.usable, in_force.needed), (12_288, 31_328));
        assert_eq!((in_force.base, in_force.size), (0x60_0000, 0x8000));
        let source = memory(width);
        assert_eq!(in_force.deepest(&source), Ok(0x8000 - 0x4001));
        assert_eq!(kept.deepest(&source), Err(Unreadable::Unmapped(0x70_0000)));

        let [own, given] = snapshot.measured[..] else { panic!("{snapshot:?}") };
        assert_eq!((own.thread, own.base, own.size, own.own), (55, 0x60_0000, 0x8000, true));
        assert_eq!(own.deepest(&source), Ok(0x8000 - 0x4001));
        // After the record, two stacks and three guards.
        let base = ARENA + PAGE + 2 * (128 << 10) + 3 * PAGE;
        let all = (given.thread, given.base, given.size, given.own);
        assert_eq!(all, (1234, base, 128 << 10, false));
    }
}

#[test]
fn fields_that_an_older_block_lacks_are_missing() {
    let mut memory = memory(8);
    put(memory.piece(BLOCK), 12, &144_u32.to_le_bytes());
    memory.piece(BLOCK).truncate(144);
    let block = read(&memory, BLOCK).unwrap().block;
    assert_eq!((block.counters.small, block.counters.refused), (Some(2), None));
    put(memory.piece(BLOCK), 12, &48_u32.to_le_bytes());
    let block = read(&memory, BLOCK).unwrap().block;
    assert_eq!((block.plan, block.force, block.table), (None, None, None));
}

#[test]
fn a_newer_block_is_read_as_far_as_it_is_known() {
    for width in [4, 8] {
        let mut memory = memory(width);
        let newer = VERSION + 1;
        memory.piece(BLOCK).resize(512, 0xee);
        put(memory.piece(BLOCK), 8, &newer.to_le_bytes());
        put(memory.piece(BLOCK), 12, &512_u32.to_le_bytes());
        let snapshot = read(&memory, BLOCK).unwrap();
        assert_eq!((snapshot.newer(), snapshot.stacks.len()), (Some(newer), 1));
        put(memory.piece(BLOCK), 10, &newer.to_le_bytes());
        assert_eq!(read(&memory, BLOCK), Err(Error::TooNew(newer)));
    }
}

#[test]
fn damaged_lists_of_larger_stacks_end() {
    for width in [4, 8] {
        // A list that leads back to itself.
        let mut circle = memory(width);
        word(circle.piece(LATER), 0, width, LARGER);
        assert_eq!(read(&circle, BLOCK).unwrap().substitutes.len(), 2);
        let mut missing = memory(width);
        word(missing.piece(LATER), 0, width, 0x9_9000);
        assert_eq!(read(&missing, BLOCK), Err(Error::Table));
        // A version that has no such list.
        let mut older = memory(width);
        put(older.piece(BLOCK), 8, &2_u16.to_le_bytes());
        assert_eq!(read(&older, BLOCK).unwrap().substitutes, []);
    }
}

#[test]
fn damaged_lists_of_measured_stacks_end() {
    for width in [4, 8] {
        let mut circle = memory(width);
        word(circle.piece(FORMER), 0, width, ARENA);
        put(circle.piece(FORMER), width, &u64::MAX.to_le_bytes()[..width]);
        assert_eq!(read(&circle, BLOCK).unwrap().measured.len(), 2);
        let mut missing = memory(width);
        word(missing.piece(ARENA), 0, width, 0x9_9000);
        assert_eq!(read(&missing, BLOCK), Err(Error::Table));
        // More stacks than are there.
        let mut many = memory(width);
        word(many.piece(SETS), 0, width, u64::from(u32::MAX));
        assert_eq!(read(&many, BLOCK), Err(Error::Table));
        // A version that has no such lists.
        let mut older = memory(width);
        put(older.piece(BLOCK), 8, &3_u16.to_le_bytes());
        let older = read(&older, BLOCK).unwrap();
        assert_eq!((older.measured.len(), older.substitutes.len()), (0, 2));
    }
}

#[test]
fn bad_blocks_are_recognized() {
    let broken = |at: usize, value: &[u8]| {
        let mut memory = memory(8);
        put(memory.piece(BLOCK), at, value);
        read(&memory, BLOCK)
    };
    assert_eq!(broken(3, b"x"), Err(Error::Foreign));
    assert_eq!(broken(20, &[5]), Err(Error::Width(5)));
    assert_eq!(broken(12, &8_u32.to_le_bytes()), Err(Error::Size(8)));
    assert_eq!(broken(12, &u32::MAX.to_le_bytes()), Err(Error::Size(u32::MAX)));
    // The table: at unmapped memory, too large, with entries of zero bytes.
    assert_eq!(broken(88, &0xdead_0000_u64.to_le_bytes()), Err(Error::Table));
    assert_eq!(broken(96, &u64::MAX.to_le_bytes()), Err(Error::Table));
    assert_eq!(broken(104, &0_u32.to_le_bytes()), Err(Error::Table));
    let nowhere = 0xdead_0000;
    let unmapped = Unreadable::Unmapped(nowhere);
    assert_eq!(read(&memory(8), nowhere), Err(Error::Unreadable(unmapped)));
    assert!(Unreadable::Denied.to_string().contains("ptrace_scope"));
}

#[test]
fn a_wiped_mark_means_a_copy() {
    let mut memory = memory(8);
    *memory.piece(MARK) = vec![0; 4];
    assert_eq!(read(&memory, BLOCK).unwrap().copied, Some(true));
    word(memory.piece(BLOCK), 80, 8, 0);
    assert_eq!(read(&memory, BLOCK).unwrap().copied, None);
}

#[test]
fn constant_change_is_torn_and_settled_data_is_read() {
    let odd = changing(memory(8), |_, memory| put(memory.piece(BLOCK), 64, &[7]));
    assert_eq!(read(&odd, BLOCK), Err(Error::Torn));
    let restless = |until: usize| {
        changing(memory(8), move |step, memory| {
            put(memory.piece(BLOCK), 64, &[(step.min(until) as u8) << 1]);
        })
    };
    assert_eq!(read(&restless(usize::MAX), BLOCK), Err(Error::Torn));
    assert_eq!(read(&restless(20), BLOCK).unwrap().stacks.len(), 1);
    // The table moves during the read: nothing is left at its old address.
    let moving = changing(memory(8), |step, memory| {
        if (2..20).contains(&step) {
            memory.0.retain(|(start, _)| *start != TABLE);
        }
        put(memory.piece(BLOCK), 64, &[(step.min(20) as u8) << 1]);
    });
    assert_eq!(read(&moving, BLOCK).unwrap().stacks.len(), 1);
}

#[test]
fn only_the_changing_entry_is_torn() {
    let restless = changing(memory(8), |step, memory| {
        let table = memory.piece(TABLE);
        stack(&mut table[..120], 8, 0x30_0000 + PAGE * step as u64);
    });
    let snapshot = read(&restless, BLOCK).unwrap();
    assert_eq!((snapshot.stacks.len(), snapshot.torn), (1, 1));
    // A mixture of two entries: the pages do not belong to the stack.
    let mut mixed = memory(8);
    word(&mut mixed.piece(TABLE)[240..], 8, 8, 0x50_0000);
    let snapshot = read(&mixed, BLOCK).unwrap();
    assert_eq!((snapshot.stacks.len(), snapshot.torn), (0, 1));
}

/// The first page of a library. Its data is 0x2000 above it and starts with the block.
fn library(width: usize) -> Vec<u8> {
    let mut bytes = vec![0; 4096];
    put(&mut bytes, 0, &[0x7f, b'E', b'L', b'F', if width == 8 { 2 } else { 1 }, 1, 1]);
    put(&mut bytes, 16, &[3, 0, 62, 0, 1, 0, 0, 0]);
    let (start, header) = if width == 8 { (64, 56) } else { (52, 32) };
    word(&mut bytes, if width == 8 { 32 } else { 28 }, width, start as u64);
    let sizes = if width == 8 { 52 } else { 40 };
    for (at, value) in [(0, start), (2, header), (4, 3)] {
        put(&mut bytes, sizes + at, &(value as u16).to_le_bytes());
    }
    // Type, flags, offset, address, size; in the wide format the flags come second.
    let segments = [(1, 4, 0, 0, 0x1000), (1, 6, 0x1000, 0x2000, 0x800), (4, 4, 0x800, 0x800, 64)];
    for (number, (kind, flags, offset, address, size)) in segments.into_iter().enumerate() {
        let at = start + number * header;
        bytes[at] = kind;
        let (flags_at, mut next) = if width == 8 { (4, 8) } else { (24, 4) };
        bytes[at + flags_at] = flags;
        for value in [offset, address, address, size, size] {
            next = word(&mut bytes[at..], next, width, value);
        }
        word(&mut bytes[at..], if width == 8 { 48 } else { 28 }, width, 4);
    }
    // Another note comes first.
    put(&mut bytes, 0x800, &[4, 0, 0, 0, 8, 0, 0, 0, 3, 0, 0, 0]);
    put(&mut bytes, 0x80c, b"GNU\0");
    put(&mut bytes, 0x818, &[8, 0, 0, 0, 4, 0, 0, 0, 1, 0, 0, 0]);
    put(&mut bytes, 0x824, &NOTE_NAME);
    put(&mut bytes, 0x82c, &(0x2000_i32 - 0x82c).to_le_bytes());
    bytes
}

fn mapping(start: u64, writable: bool, offset: u64) -> Mapping {
    let path = b"/lib/libsigward.so".to_vec();
    let end = start + 0x1000;
    Mapping { start, end, writable, private: true, offset, inode: 5, path, deleted: false }
}

#[test]
fn the_note_leads_to_the_block() {
    for width in [4, 8] {
        let base = LIBRARY;
        let memory = Memory(vec![(base, library(width)), (3 * base, library(width))]);
        let mappings = [
            mapping(base, false, 0),
            mapping(base + 0x2000, true, 0x1000),
            // Only mapped for reading, as by a linker: the memory above is not its data.
            mapping(3 * base, false, 0),
            mapping(3 * base + 0x2000, true, 0),
        ];
        let found = note::find(&memory, &mappings);
        let short: Vec<_> = found.iter().map(|it| (it.base, it.block)).collect();
        assert_eq!(short, [(base, base + 0x2000)]);
    }
}

fn damage() -> impl Strategy<Value = Vec<(Index, u8)>> {
    prop::collection::vec((any::<Index>(), any::<u8>()), 0..12)
}

fn damaged(bytes: &mut [u8], damage: &[(Index, u8)]) {
    for (at, value) in damage {
        bytes[at.index(bytes.len())] = *value;
    }
}

proptest! {
    #[test]
    fn a_damaged_block_does_no_harm(
        width in prop_oneof![Just(4), Just(8)],
        block in damage(), table in damage(), cut in any::<Index>(), cuts: bool,
    ) {
        let mut memory = memory(width);
        damaged(memory.piece(BLOCK), &block);
        damaged(memory.piece(TABLE), &table);
        damaged(memory.piece(SETS), &table);
        damaged(memory.piece(ARENA), &table);
        if cuts {
            let piece = memory.piece(BLOCK);
            let length = cut.index(piece.len());
            piece.truncate(length);
        }
        if let Ok(snapshot) = read(&memory, BLOCK) {
            let table = snapshot.block.table;
            let room = table.map_or(0, |table| table.capacity) as usize;
            prop_assert!(snapshot.stacks.len() + snapshot.torn <= room);
            for stack in &snapshot.stacks {
                prop_assert!(stack.key != 0 && stack.thread > 0);
                prop_assert!(stack.held.start <= stack.held.end);
                let within = stack.locked.bytes() == 0
                    || stack.held.start <= stack.locked.start && stack.locked.end <= stack.held.end;
                prop_assert!(within);
            }
        }
    }

    #[test]
    fn any_bytes_are_a_block_or_not(bytes in prop::collection::vec(any::<u8>(), 0..300), magic: bool) {
        let mut bytes = bytes;
        if magic && bytes.len() > 10 {
            put(&mut bytes, 0, &MAGIC);
            bytes[10..].iter_mut().take(2).for_each(|byte| *byte = 0);
        }
        let _ = Block::parse(&bytes);
        let _ = read(&Memory(vec![(BLOCK, bytes.clone())]), BLOCK);
        for (width, page) in [(0, 0), (4, 4096), (8, 1 << 31), (255, u32::MAX)] {
            let _ = Slot::parse(&bytes, EntryLayout { width, page, newer: magic });
        }
    }

    #[test]
    fn a_damaged_library_does_no_harm(
        width in prop_oneof![Just(4), Just(8)], headers in damage(), notes in damage(), high: bool,
    ) {
        let mut bytes = library(width);
        damaged(&mut bytes[..0x100], &headers);
        damaged(&mut bytes[0x800..0x830], &notes);
        let base = if high { u64::MAX - 0xfff } else { LIBRARY };
        let memory = Memory(vec![(base, bytes)]);
        if let Some(place) = note::locate(&memory, base) {
            let _ = read(&memory, place.address);
        }
    }
}
