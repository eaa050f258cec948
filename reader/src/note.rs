//! Where the blocks of a process are: an ELF note of the library says it, in
//! the headers that the loader has mapped.

use object::elf::{FileHeader32, FileHeader64, PF_W, PT_LOAD, PT_NOTE};
use object::read::elf::{FileHeader, NoteIterator, ProgramHeader};
use object::{LittleEndian, elf};
use sigward::block::{NOTE_NAME, NOTE_TYPE};

use crate::maps::Mapping;
use crate::source::Source;

/// The most bytes of headers that are looked at.
const HEADERS: usize = 4096;

/// The most bytes of notes.
const NOTES: u64 = 64 << 10;

/// A library that has the note.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Its path when it was mapped, of any bytes.
    pub path: Vec<u8>,
    /// Whether that path is no longer this file's.
    pub deleted: bool,
    /// The address of its ELF header.
    pub base: u64,
    /// The address of its block.
    pub block: u64,
}

/// All that are loaded. A library that is merely mapped to be read, as by a
/// linker, is none.
#[must_use]
pub fn find(source: &impl Source, mappings: &[Mapping]) -> Vec<Found> {
    let mut all: Vec<Found> = Vec::new();
    for mapping in mappings.iter().filter(|it| it.offset == 0 && it.inode != 0) {
        let Some(Place { address: block, offset }) = place(source, mapping.start) else { continue };
        // Where a loader has put that part of the file.
        let is_data = |it: &Mapping| {
            it.writable
                && it.private
                && it.inode == mapping.inode
                && (it.start..it.end).contains(&block)
                && (block - it.start).checked_add(it.offset) == Some(offset)
        };
        if mappings.iter().any(is_data) && all.iter().all(|known| known.block != block) {
            let Mapping { path, deleted, start, .. } = mapping.clone();
            all.push(Found { path, deleted, base: start, block });
        }
    }
    all
}

/// Where a block is to be, in memory and in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Its address.
    pub address: u64,
    /// How far into the file it begins.
    pub offset: u64,
}

/// The place of the block of the library whose ELF header is at `base`. `None`
/// where that is no library of ours.
#[must_use]
pub fn place(source: &impl Source, base: u64) -> Option<Place> {
    let mut bytes = vec![0; HEADERS];
    let length = source.read_at(base, &mut bytes).ok()?;
    bytes.truncate(length);
    match bytes.get(elf::ELFMAG.len()) {
        _ if !bytes.starts_with(&elf::ELFMAG) => None,
        Some(&elf::ELFCLASS32) => place_by::<FileHeader32<LittleEndian>>(source, base, &bytes),
        Some(&elf::ELFCLASS64) => place_by::<FileHeader64<LittleEndian>>(source, base, &bytes),
        _ => None,
    }
}

fn place_by<Elf>(source: &impl Source, base: u64, bytes: &[u8]) -> Option<Place>
where
    Elf: FileHeader<Endian = LittleEndian>,
{
    let end = Elf::parse(bytes).ok()?.endian().ok()?;
    let headers = Elf::parse(bytes).ok()?.program_headers(end, bytes).ok()?;
    let loads = || headers.iter().filter(|header| header.p_type(end) == PT_LOAD);
    let first = loads().next()?;
    let bias =
        base.wrapping_sub(first.p_vaddr(end).into()).wrapping_add(first.p_offset(end).into());
    for header in headers.iter().filter(|header| header.p_type(end) == PT_NOTE) {
        let start = bias.wrapping_add(header.p_vaddr(end).into());
        let mut notes = vec![0; header.p_memsz(end).into().min(NOTES) as usize];
        if source.fill(start, &mut notes).is_err() {
            continue;
        }
        let Some(block) = in_notes::<Elf>(end, header.p_align(end), &notes, start) else {
            continue;
        };
        // It changes, so it is where the library can write; and the file has it.
        let offset = |load: &Elf::ProgramHeader| {
            let within = block.wrapping_sub(bias).wrapping_sub(load.p_vaddr(end).into());
            let holds = load.p_flags(end) & PF_W != 0 && within < load.p_filesz(end).into();
            holds.then(|| within.wrapping_add(load.p_offset(end).into()))
        };
        if let Some(offset) = loads().find_map(offset) {
            return Some(Place { address: block, offset });
        }
    }
    None
}

/// What our note says, if it is among `notes`, which are at `start`.
fn in_notes<Elf>(end: LittleEndian, align: Elf::Word, notes: &[u8], start: u64) -> Option<u64>
where
    Elf: FileHeader<Endian = LittleEndian>,
{
    let mut all = NoteIterator::<Elf>::new(end, align, notes).ok()?;
    while let Some(note) = all.next().ok()? {
        if note.name_bytes() != NOTE_NAME || note.n_type(end) != NOTE_TYPE {
            continue;
        }
        let distance = i32::from_le_bytes(note.desc().try_into().ok()?);
        let within = (note.desc().as_ptr() as usize).wrapping_sub(notes.as_ptr() as usize);
        let here = start.wrapping_add(within as u64);
        return Some(here.wrapping_add_signed(distance.into()));
    }
    None
}
