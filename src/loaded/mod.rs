//! Finds a name in an object that the dynamic loader has mapped.
//!
//! This is `dlsym` without its costs: no lock, no allocation, no error text,
//! and no need for libdl (which half of the programs on a glibc before 2.34 do
//! not load). Every access is checked against the object's own readable
//! segments, so a malformed object does no harm; nothing is found in it.
//! Async-signal-safe.
//!
//! Source: the gABI's "Dynamic Section" and "Hash Table". For `DT_GNU_HASH` and
//! `DT_VERSYM`, glibc's `elf/dl-lookup.c` shows what loaders accept.

#[cfg(target_pointer_width = "32")]
use libc::{Elf32_Phdr as Phdr, Elf32_Sym as Sym};
#[cfg(target_pointer_width = "64")]
use libc::{Elf64_Phdr as Phdr, Elf64_Sym as Sym};

/// Program header of a loaded object.
pub type Header = Phdr;
/// Symbol table entry.
type Symbol = Sym;
/// What the dynamic section consists of, and the filter of `DT_GNU_HASH`.
type Word = usize;

const DT_HASH: Word = 4;
const DT_STRTAB: Word = 5;
const DT_SYMTAB: Word = 6;
const DT_STRSZ: Word = 10;
const DT_GNU_HASH: Word = 0x6fff_fef5;
const DT_VERSYM: Word = 0x6fff_fff0;
const DT_FLAGS_1: Word = 0x6fff_fffb;
const DT_NULL: Word = 0;

/// In `DT_FLAGS_1`: the object is never unloaded.
const DF_1_NODELETE: Word = 8;
/// In a version index: this is not the default version of its name.
const HIDDEN: u16 = 0x8000;
/// The longest hash chain to follow: real ones hold a few symbols.
const LONGEST_CHAIN: usize = 1 << 12;

/// A name to look for, with its hash for `DT_GNU_HASH`.
#[derive(Clone, Copy)]
pub struct Name<'n> {
    text: &'n str,
    gnu: u32,
}

impl<'n> Name<'n> {
    /// The name of a dynamic symbol.
    #[must_use]
    pub const fn new(text: &'n str) -> Self {
        Name { text, gnu: gnu_hash(text.as_bytes()) }
    }

    /// The name itself.
    #[must_use]
    pub const fn text(self) -> &'n str {
        self.text
    }

    /// The hash for `DT_HASH`, which few objects still need.
    fn sysv(self) -> u32 {
        self.text.bytes().fold(0_u32, |hash, byte| {
            let hash = (hash << 4).wrapping_add(u32::from(byte));
            (hash ^ ((hash >> 24) & 0xf0)) & 0x0fff_ffff
        })
    }
}

/// The hash of `DT_GNU_HASH`.
const fn gnu_hash(text: &[u8]) -> u32 {
    let (mut hash, mut at) = (5381_u32, 0);
    while at < text.len() {
        hash = hash.wrapping_mul(33).wrapping_add(text[at] as u32);
        at += 1;
    }
    hash
}

/// Start and end of a name, and its hash.
type Span = (u16, u16, u32);

/// SymbolNames in one text, each followed by a NUL, with hashes computed at compile
/// time. (A table of `&str` would need relocations at each exec.)
pub struct SymbolNames<P: ?Sized = [Span]> {
    text: &'static str,
    spans: P,
}

/// `N` names.
pub type SymbolList<const N: usize> = SymbolNames<[Span; N]>;

impl<const N: usize> SymbolList<N> {
    /// Makes a list of `N` names that each end with a NUL.
    ///
    /// # Panics
    /// At compile time, if there are not exactly `N` names, or if the text is
    /// too long.
    #[must_use]
    pub const fn new(text: &'static str) -> Self {
        let bytes = text.as_bytes();
        assert!(bytes.len() <= u16::MAX as usize);
        let mut spans = [(0, 0, 0); N];
        let (mut which, mut start) = (0, 0);
        while which < N {
            let mut end = start;
            while bytes[end] != 0 {
                end += 1;
            }
            let name = bytes.split_at(start).1.split_at(end - start).0;
            spans[which] = (start as u16, end as u16, gnu_hash(name));
            start = end + 1;
            which += 1;
        }
        assert!(start == bytes.len());
        SymbolNames { text, spans }
    }
}

impl<P: AsRef<[Span]> + ?Sized> SymbolNames<P> {
    /// The names, in order.
    pub fn iter(&self) -> impl Iterator<Item = Name<'static>> {
        self.spans.as_ref().iter().map(|&span| self.name(span))
    }

    /// The name at `index`.
    #[must_use]
    pub fn get(&self, index: usize) -> Option<Name<'static>> {
        self.spans.as_ref().get(index).map(|&span| self.name(span))
    }

    fn name(&self, (start, end, gnu): Span) -> Name<'static> {
        Name { text: self.text.get(start.into()..end.into()).unwrap_or_default(), gnu }
    }
}

/// The readable segments of one loaded object.
#[derive(Clone, Copy)]
struct Segments<'a> {
    bias: usize,
    headers: &'a [Header],
}

impl<'a> Segments<'a> {
    /// How many bytes can be read at `address`; 0 outside every segment.
    fn room(self, address: usize) -> usize {
        let inside = |header: &&Header| {
            let start = self.bias.wrapping_add(header.p_vaddr as usize);
            header.p_type == libc::PT_LOAD
                && header.p_flags & libc::PF_R != 0
                && address.wrapping_sub(start) < header.p_memsz as usize
        };
        self.headers.iter().find(inside).map_or(0, |header| {
            let start = self.bias.wrapping_add(header.p_vaddr as usize);
            (header.p_memsz as usize).wrapping_sub(address.wrapping_sub(start))
        })
    }

    /// Up to `most` items of `T` at `address`; fewer if the segment ends.
    ///
    /// `T` is an integer type or one of the ELF records below: every bit
    /// pattern is valid.
    fn items<T: Copy>(self, address: usize, most: usize) -> &'a [T] {
        if !address.is_multiple_of(align_of::<T>()) {
            return &[];
        }
        let count = most.min(self.room(address) / size_of::<T>());
        if count == 0 {
            return &[];
        }
        // SAFETY: aligned, and all `count` items lie in a segment that the
        // loader keeps readable while the object is loaded ('a).
        unsafe { core::slice::from_raw_parts(address as *const T, count) }
    }

    /// Converts an address from the dynamic section: glibc has relocated it in
    /// place, musl and the vDSO have not.
    fn resolve(self, value: Word) -> usize {
        if self.room(value) > 0 { value } else { self.bias.wrapping_add(value) }
    }
}

/// Whether an object with these headers, loaded `bias` bytes above the addresses
/// in its file, covers `size` bytes from `start` on with one segment.
#[must_use]
pub fn covers(bias: usize, headers: &[Header], start: usize, size: usize) -> bool {
    let within = |header: &Header| {
        let offset = start.wrapping_sub(bias.wrapping_add(header.p_vaddr as usize));
        let room = (header.p_memsz as usize).checked_sub(offset);
        header.p_type == libc::PT_LOAD && room.is_some_and(|room| size <= room)
    };
    headers.iter().any(within)
}

/// `DT_GNU_HASH`.
struct GnuHash<'a> {
    first_symbol: u32,
    shift: u32,
    bloom: &'a [Word],
    buckets: &'a [u32],
    chains: &'a [u32],
}

impl<'a> GnuHash<'a> {
    fn read(segments: Segments<'a>, address: usize) -> Option<Self> {
        let &[bucket_count, first_symbol, bloom_count, shift] = segments.items::<u32>(address, 4)
        else {
            return None;
        };
        let bloom_at = address.checked_add(16)?;
        let bloom = segments.items::<Word>(bloom_at, bloom_count as usize);
        let buckets_at =
            bloom_at.checked_add((bloom_count as usize).checked_mul(size_of::<Word>())?)?;
        let buckets = segments.items::<u32>(buckets_at, bucket_count as usize);
        let chains_at = buckets_at.checked_add((bucket_count as usize).checked_mul(4)?)?;
        let chains = segments.items::<u32>(chains_at, usize::MAX);
        let whole = bloom.len() == bloom_count as usize && buckets.len() == bucket_count as usize;
        (whole && !bloom.is_empty() && !buckets.is_empty()).then_some(GnuHash {
            first_symbol,
            shift,
            bloom,
            buckets,
            chains,
        })
    }

    fn find(&self, name: Name<'_>, is_it: impl Fn(usize) -> Option<usize>) -> Option<usize> {
        let hash = name.gnu;
        // The length is a power of two in every real object, so the mask gives
        // the remainder.
        let word = self.bloom.get(((hash / Word::BITS) as usize) & (self.bloom.len() - 1))?;
        let bit = |hash: u32| -> Word { 1 << (hash % Word::BITS) };
        let bits = bit(hash) | bit(hash.wrapping_shr(self.shift));
        if word & bits != bits {
            return None;
        }
        let bucket = hash.checked_rem(self.buckets.len() as u32)?;
        let first = *self.buckets.get(bucket as usize)?;
        let chain = self.chains.get(first.checked_sub(self.first_symbol)? as usize..)?;
        for (step, &entry) in chain.iter().take(LONGEST_CHAIN).enumerate() {
            if (entry ^ hash) >> 1 == 0
                && let Some(found) = is_it((first as usize).wrapping_add(step))
            {
                return Some(found);
            }
            if entry & 1 == 1 {
                break;
            }
        }
        None
    }
}

/// `DT_HASH`.
struct SysvHash<'a> {
    buckets: &'a [u32],
    chains: &'a [u32],
}

impl<'a> SysvHash<'a> {
    fn read(segments: Segments<'a>, address: usize) -> Option<Self> {
        let &[bucket_count, chain_count] = segments.items::<u32>(address, 2) else { return None };
        let buckets_at = address.checked_add(8)?;
        let buckets = segments.items::<u32>(buckets_at, bucket_count as usize);
        let chains_at = buckets_at.checked_add((bucket_count as usize).checked_mul(4)?)?;
        let chains = segments.items::<u32>(chains_at, chain_count as usize);
        (!buckets.is_empty()).then_some(SysvHash { buckets, chains })
    }

    fn find(&self, name: Name<'_>, is_it: impl Fn(usize) -> Option<usize>) -> Option<usize> {
        let bucket = name.sysv().checked_rem(self.buckets.len() as u32)?;
        let mut index = *self.buckets.get(bucket as usize)?;
        for _ in 0..LONGEST_CHAIN {
            if index == 0 {
                break;
            }
            if let Some(found) = is_it(index as usize) {
                return Some(found);
            }
            index = *self.chains.get(index as usize)?;
        }
        None
    }
}

/// A loaded object in which names can be looked up.
pub struct Object<'a> {
    bias: usize,
    symbols: &'a [Symbol],
    strings: &'a [u8],
    versions: &'a [u16],
    gnu: Option<GnuHash<'a>>,
    sysv: Option<SysvHash<'a>>,
    flags: Word,
}

impl<'a> Object<'a> {
    /// Reads the dynamic section of an object that is loaded `bias` bytes above
    /// the addresses in its file. `None` if the object has no symbols or is
    /// malformed.
    ///
    /// # Safety
    /// The segments that `headers` describe are mapped accordingly for `'a`.
    #[must_use]
    pub unsafe fn read(bias: usize, headers: &'a [Header]) -> Option<Self> {
        let segments = Segments { bias, headers };
        let dynamic = headers.iter().find(|header| header.p_type == libc::PT_DYNAMIC)?;
        let at = bias.wrapping_add(dynamic.p_vaddr as usize);
        let entries =
            segments.items::<[Word; 2]>(at, dynamic.p_memsz as usize / size_of::<[Word; 2]>());

        let (mut strings, mut string_bytes, mut symbols) = (0, 0, 0);
        let (mut versions, mut gnu, mut sysv, mut flags) = (0, 0, 0, 0);
        for &[tag, value] in entries {
            match tag {
                DT_NULL => break,
                DT_STRTAB => strings = value,
                DT_STRSZ => string_bytes = value,
                DT_SYMTAB => symbols = value,
                DT_VERSYM => versions = value,
                DT_GNU_HASH => gnu = value,
                DT_HASH => sysv = value,
                DT_FLAGS_1 => flags = value,
                _ => {}
            }
        }
        let object = Object {
            bias,
            symbols: segments.items(segments.resolve(symbols), usize::MAX),
            strings: segments.items(segments.resolve(strings), string_bytes),
            versions: match versions {
                0 => &[],
                value => segments.items(segments.resolve(value), usize::MAX),
            },
            gnu: match gnu {
                0 => None,
                value => GnuHash::read(segments, segments.resolve(value)),
            },
            sysv: match sysv {
                0 => None,
                value => SysvHash::read(segments, segments.resolve(value)),
            },
            flags,
        };
        (!object.symbols.is_empty() && !object.strings.is_empty()).then_some(object)
    }

    /// Whether the object is marked as never to be unloaded.
    #[must_use]
    pub const fn stays(&self) -> bool {
        self.flags & DF_1_NODELETE != 0
    }

    /// The address of `name`'s default version, if the object defines it as a
    /// plain function or variable. Does not find an indirect function
    /// (`STT_GNU_IFUNC`): only the loader can choose its implementation.
    #[must_use]
    pub fn find(&self, name: Name<'_>) -> Option<usize> {
        let is_it = |index| self.defined(index, name);
        match (&self.gnu, &self.sysv) {
            (Some(gnu), _) => gnu.find(name, is_it),
            (None, Some(sysv)) => sysv.find(name, is_it),
            (None, None) => None,
        }
    }

    fn defined(&self, index: usize, name: Name<'_>) -> Option<usize> {
        const OBJECT: u8 = 1;
        const FUNCTION: u8 = 2;
        const GLOBAL: u8 = 1;
        const WEAK: u8 = 2;
        let symbol = self.symbols.get(index)?;
        let tail = self.strings.get(symbol.st_name as usize..)?;
        let wanted = name.text.as_bytes();
        let same = tail.get(..wanted.len())? == wanted && *tail.get(wanted.len())? == 0;
        let (kind, binding) = (symbol.st_info & 15, symbol.st_info >> 4);
        let version = self.versions.get(index).copied().unwrap_or(1);
        let usable = (kind == FUNCTION || kind == OBJECT)
            && (binding == GLOBAL || binding == WEAK)
            && symbol.st_shndx != 0
            && version & HIDDEN == 0
            && version != 0;
        (same && usable).then(|| self.bias.wrapping_add(symbol.st_value as usize))
    }
}

#[cfg(test)]
pub(crate) mod tests;
