//! What one ELF file says about itself: its headers, and the part that its loader reads.
//!
//! Sections may be missing (`sstrip`), so all but the number of symbols comes from the
//! segments, as for the loader.

use std::fs::File;

use object::elf::{self, FileHeader32, FileHeader64};
use object::read::ReadRef;
use object::read::elf::{Dyn, FileHeader, ProgramHeader, SectionHeader, Sym};
use object::{Endian as _, Endianness};

use super::super::image::image;

/// A table of the dynamic segment is read up to this size.
const LARGEST: u64 = 64 << 20;

/// Facts about one ELF file.
#[derive(Debug, Default)]
pub struct Elf {
    /// 32 or 64.
    pub bits: u8,
    /// `EM_*`.
    pub machine: u16,
    /// The loader that the kernel starts.
    pub interpreter: Option<Vec<u8>>,
    /// Whether there is a dynamic segment.
    pub dynamic: bool,
    /// `DT_NEEDED`, in order.
    pub needed: Vec<Vec<u8>>,
    pub soname: Option<Vec<u8>>,
    pub rpath: Option<Vec<u8>>,
    pub runpath: Option<Vec<u8>>,
    /// The dynamic symbols that it uses and does not define.
    pub imports: Vec<Vec<u8>>,
    /// The dynamic symbols that it defines.
    pub exports: Vec<Vec<u8>>,
    /// The versions that it needs of others, such as `GLIBC_2.34`.
    pub needs_versions: Vec<Vec<u8>>,
    /// The versions that it defines.
    pub has_versions: Vec<Vec<u8>>,
    /// Where its code is in the file: offset and size.
    pub code: Vec<(u64, u64)>,
    /// Where its data is, code not included.
    pub data: Vec<(u64, u64)>,
    /// The Go linker's note, which `strip` leaves.
    pub go_note: bool,
}

impl Elf {
    /// Reads `file`.
    ///
    /// # Errors
    /// Says what is wrong with the file.
    pub fn read(file: File) -> Result<Self, String> {
        let data = image(file);
        let class = (&data).read_bytes_at(4, 1).ok().and_then(<[u8]>::first).copied();
        match class.map(elf::FileClass) {
            Some(elf::ELFCLASS32) => read::<FileHeader32<Endianness>, _>(&data, 32),
            Some(elf::ELFCLASS64) => read::<FileHeader64<Endianness>, _>(&data, 64),
            Some(elf::FileClass(other)) => Err(format!("its ELF class is {other}")),
            None => Err("it ends within its ELF header".to_owned()),
        }
    }

    /// Whether it has no loader.
    pub fn is_static(&self) -> bool {
        self.interpreter.is_none()
    }

    pub fn imports(&self, name: &str) -> bool {
        self.imports.iter().any(|import| import == name.as_bytes())
    }

    pub fn exports(&self, name: &str) -> bool {
        self.exports.iter().any(|export| export == name.as_bytes())
    }
}

/// The tables of the dynamic segment, by address in memory.
#[derive(Default)]
struct Tables {
    strings: u64,
    strings_size: u64,
    symbols: u64,
    hash: u64,
    needs: (u64, u64),
    has: (u64, u64),
}

fn read<'data, H, R>(data: R, bits: u8) -> Result<Elf, String>
where
    H: FileHeader<Endian = Endianness>,
    R: ReadRef<'data>,
{
    let wrong = |error: object::read::Error| error.to_string();
    let header = H::parse(data).map_err(wrong)?;
    let end = header.endian().map_err(wrong)?;
    let segments = header.program_headers(end, data).map_err(wrong)?;
    let mut found = Elf { bits, machine: header.e_machine(end).0, ..Elf::default() };
    let mut entries: &[H::Dyn] = &[];
    for segment in segments {
        let place = (segment.p_offset(end).into(), segment.p_filesz(end).into());
        if segment.p_type(end) == elf::PT_LOAD {
            let runs = segment.p_flags(end).contains(elf::PF_X);
            if runs { &mut found.code } else { &mut found.data }.push(place);
        }
        if let Some(loader) = segment.interpreter(end, data).map_err(wrong)? {
            found.interpreter = Some(loader.to_vec());
        }
        if let Some(table) = segment.dynamic(end, data).map_err(wrong)? {
            entries = table;
            found.dynamic = true;
        }
        if let Ok(Some(mut notes)) = segment.notes(end, data) {
            while let Ok(Some(note)) = notes.next() {
                found.go_note |= note.name() == b"Go";
            }
        }
    }
    let at = |address: u64| {
        let holds = |segment: &H::ProgramHeader| {
            let within = address.checked_sub(segment.p_vaddr(end).into())?;
            let loaded = segment.p_type(end) == elf::PT_LOAD;
            (loaded && within < segment.p_filesz(end).into())
                .then(|| within.checked_add(segment.p_offset(end).into()))?
        };
        // 0 stands for a table that is not there.
        (address > 0).then(|| segments.iter().find_map(holds))?
    };
    let mut tables = Tables::default();
    let mut names = Vec::new();
    for entry in entries {
        let (tag, value) = (entry.tag(end), entry.val(end));
        match tag {
            elf::DT_NULL => break,
            elf::DT_STRTAB => tables.strings = value,
            elf::DT_STRSZ => tables.strings_size = value,
            elf::DT_SYMTAB => tables.symbols = value,
            elf::DT_HASH => tables.hash = value,
            elf::DT_VERNEED => tables.needs.0 = value,
            elf::DT_VERNEEDNUM => tables.needs.1 = value,
            elf::DT_VERDEF => tables.has.0 = value,
            elf::DT_VERDEFNUM => tables.has.1 = value,
            elf::DT_NEEDED | elf::DT_SONAME | elf::DT_RPATH | elf::DT_RUNPATH => {
                names.push((tag, value));
            }
            _ => {}
        }
    }
    let strings = at(tables.strings)
        .and_then(|at| data.read_bytes_at(at, tables.strings_size.min(LARGEST)).ok())
        .unwrap_or_default();
    for (tag, offset) in names {
        let Some(name) = string(strings, offset) else { continue };
        match tag {
            elf::DT_NEEDED => found.needed.push(name.to_vec()),
            elf::DT_SONAME => found.soname = Some(name.to_vec()),
            elf::DT_RPATH => found.rpath = Some(name.to_vec()),
            _ => found.runpath = Some(name.to_vec()),
        }
    }
    let count = symbol_count::<H, R>(header, end, data, &tables, at(tables.hash));
    if let Some(place) = at(tables.symbols)
        && let Ok(bytes) = data.read_bytes_at(place, count * size_of::<H::Sym>() as u64)
        && let Ok((symbols, _)) =
            object::pod::slice_from_bytes::<H::Sym>(bytes, bytes.len() / size_of::<H::Sym>())
    {
        for symbol in symbols {
            let Some(name) = string(strings, symbol.st_name(end).into()) else { continue };
            let list = match symbol.st_shndx(end) {
                elf::SHN_UNDEF => &mut found.imports,
                _ => &mut found.exports,
            };
            list.push(name.to_vec());
        }
    }
    let words = Words { data, end };
    found.needs_versions = words.needs(at(tables.needs.0), tables.needs.1, strings);
    found.has_versions = words.has(at(tables.has.0), tables.has.1, strings);
    Ok(found)
}

/// A string of the string table, not empty.
fn string(strings: &[u8], offset: u64) -> Option<&[u8]> {
    let rest = strings.get(usize::try_from(offset).ok()?..)?;
    rest.split(|byte| *byte == 0).next().filter(|name| !name.is_empty())
}

/// The number of dynamic symbols. No entry of the dynamic segment gives it.
fn symbol_count<'data, H, R>(
    header: &H,
    end: Endianness,
    data: R,
    tables: &Tables,
    hash: Option<u64>,
) -> u64
where
    H: FileHeader<Endian = Endianness>,
    R: ReadRef<'data>,
{
    let each = size_of::<H::Sym>() as u64;
    let of_section = || {
        let sections = header.section_headers(end, data).ok()?;
        let section = sections.iter().find(|section| section.sh_type(end) == elf::SHT_DYNSYM)?;
        Some(section.sh_size(end).into() / each)
    };
    let of_hash = || Words { data, end }.u32(hash?.checked_add(4)?).map(u64::from);
    // The linkers put the strings behind the symbols.
    let of_place = || tables.strings.checked_sub(tables.symbols).map(|bytes| bytes / each);
    of_section().or_else(of_hash).or_else(of_place).unwrap_or(0).min(LARGEST / each)
}

/// Reads the version tables, which are the same for both classes.
struct Words<R> {
    data: R,
    end: Endianness,
}

impl<'data, R: ReadRef<'data>> Words<R> {
    fn u32(&self, at: u64) -> Option<u32> {
        let bytes = self.data.read_bytes_at(at, 4).ok()?.try_into().ok()?;
        Some(self.end.read_u32(bytes))
    }

    fn u16(&self, at: u64) -> Option<u16> {
        let bytes = self.data.read_bytes_at(at, 2).ok()?.try_into().ok()?;
        Some(self.end.read_u16(bytes))
    }

    /// `Verneed`: each entry has a list of `Vernaux`, whose third word is the name.
    fn needs(&self, at: Option<u64>, count: u64, strings: &[u8]) -> Vec<Vec<u8>> {
        let mut all = Vec::new();
        let mut walk = || {
            let mut entry = at?;
            for _ in 0..count.min(1000) {
                let mut each = entry + u64::from(self.u32(entry + 8)?);
                for _ in 0..self.u16(entry + 2)? {
                    all.extend(string(strings, self.u32(each + 8)?.into()).map(<[u8]>::to_vec));
                    each += u64::from(self.u32(each + 12)?);
                }
                entry += u64::from(self.u32(entry + 12)?);
            }
            Some(())
        };
        let _ = walk();
        all
    }

    /// `Verdef`: the first `Verdaux` of each entry has its name.
    fn has(&self, at: Option<u64>, count: u64, strings: &[u8]) -> Vec<Vec<u8>> {
        let mut all = Vec::new();
        let mut walk = || {
            let mut entry = at?;
            for _ in 0..count.min(1000) {
                let name = self.u32(entry + u64::from(self.u32(entry + 12)?))?;
                all.extend(string(strings, name.into()).map(<[u8]>::to_vec));
                entry += u64::from(self.u32(entry + 16)?);
            }
            Some(())
        };
        let _ = walk();
        all
    }
}
