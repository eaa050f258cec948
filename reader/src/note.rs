//! Finds the blocks of a process: the library's ELF note leads to them, in the
//! headers that the loader has mapped.

use object::elf::{FileClass, FileHeader32, FileHeader64, PF_W, PT_LOAD, PT_NOTE};
use object::read::elf::{FileHeader, NoteIterator, ProgramHeader};
use object::{LittleEndian, elf};
use sigward::state::published_block::{NOTE_NAME, NOTE_TYPE};

use crate::maps::Mapping;
use crate::source::Source;

/// At most this many bytes of headers are read.
const HEADERS: usize = 4096;

/// At most this many bytes of notes are read.
const NOTES: u64 = 64 << 10;

/// A library that has the note.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Its path when it was mapped, any bytes.
    pub path: Vec<u8>,
    /// Whether that path no longer refers to this file.
    pub deleted: bool,
    /// The address of its ELF header.
    pub base: u64,
    /// The address of its block.
    pub block: u64,
}

/// All loaded libraries with the note. A library that is only mapped for reading, as by a
/// linker, does not count.
#[must_use]
pub fn find(source: &impl Source, mappings: &[Mapping]) -> Vec<Found> {
    let mut all: Vec<Found> = Vec::new();
    for mapping in mappings.iter().filter(|it| it.offset == 0 && it.inode != 0) {
        let Some(BlockLocation { address: block, offset }) = locate(source, mapping.start) else {
            continue;
        };
        // The loader's mapping of that part of the file.
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

/// Where the note says that the block is, in memory and in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BlockLocation {
    /// Its address.
    pub address: u64,
    /// Its offset in the file.
    pub offset: u64,
}

/// Where the block is of the library whose ELF header is at `base`; `None` if that is
/// not our library.
#[must_use]
pub fn locate(source: &impl Source, base: u64) -> Option<BlockLocation> {
    let mut bytes = vec![0; HEADERS];
    let length = source.read_at(base, &mut bytes).ok()?;
    bytes.truncate(length);
    match bytes.get(elf::ELFMAG.len()).map(|class| FileClass(*class)) {
        _ if !bytes.starts_with(&elf::ELFMAG) => None,
        Some(elf::ELFCLASS32) => locate_by::<FileHeader32<LittleEndian>>(source, base, &bytes),
        Some(elf::ELFCLASS64) => locate_by::<FileHeader64<LittleEndian>>(source, base, &bytes),
        _ => None,
    }
}

fn locate_by<Elf>(source: &impl Source, base: u64, bytes: &[u8]) -> Option<BlockLocation>
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
        // The block changes, so it must be in a part that is writable and in the file.
        let offset = |load: &Elf::ProgramHeader| {
            let within = block.wrapping_sub(bias).wrapping_sub(load.p_vaddr(end).into());
            let holds = load.p_flags(end).contains(PF_W) && within < load.p_filesz(end).into();
            holds.then(|| within.wrapping_add(load.p_offset(end).into()))
        };
        if let Some(offset) = loads().find_map(offset) {
            return Some(BlockLocation { address: block, offset });
        }
    }
    None
}

/// The content of our note if it is among `notes`, which start at `start`.
fn in_notes<Elf>(end: LittleEndian, align: Elf::Word, notes: &[u8], start: u64) -> Option<u64>
where
    Elf: FileHeader<Endian = LittleEndian>,
{
    let mut all = NoteIterator::<Elf>::new(end, align, notes).ok()?;
    while let Some(note) = all.next().ok()? {
        if note.name_bytes() != NOTE_NAME || note.n_type(end).0 != NOTE_TYPE {
            continue;
        }
        let distance = i32::from_le_bytes(note.desc().try_into().ok()?);
        let within = (note.desc().as_ptr() as usize).wrapping_sub(notes.as_ptr() as usize);
        let here = start.wrapping_add(within as u64);
        return Some(here.wrapping_add_signed(distance.into()));
    }
    None
}
