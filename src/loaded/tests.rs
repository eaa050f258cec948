use super::*;
use proptest::prelude::*;
use std::ffi::c_int;

pub(crate) const SIGACTION: Name<'_> = Name::new("sigaction");
const SETJMP: Name<'_> = Name::new("_setjmp");
pub(crate) const ABSENT: Name<'_> = Name::new("sigward_has_no_such_name");

pub(crate) type Seen = Vec<(usize, Vec<Header>)>;

extern "C" fn collect(
    info: *mut libc::dl_phdr_info,
    _: libc::size_t,
    seen: *mut libc::c_void,
) -> c_int {
    // SAFETY: the loader's record, and the Vec given below.
    unsafe {
        let headers = std::slice::from_raw_parts((*info).dlpi_phdr, (*info).dlpi_phnum.into());
        (*seen.cast::<Seen>()).push(((*info).dlpi_addr as usize, headers.to_vec()));
    }
    0
}

/// The objects of this process, with copies of their headers.
pub(crate) fn loaded() -> Seen {
    let mut seen = Seen::new();
    // SAFETY: `collect` matches and the Vec outlives the call.
    unsafe { libc::dl_iterate_phdr(Some(collect), (&raw mut seen).cast()) };
    seen
}

#[test]
fn hashes_are_those_of_the_specifications() {
    assert_eq!(Name::new("printf").gnu, 0x156b_2bb8);
    assert_eq!(Name::new("printf").sysv(), 0x0779_05a6);
    assert_eq!(Name::new("").gnu, 0x1505);
}

#[test]
fn a_list_holds_its_names() {
    const NAMES: SymbolList<2> = SymbolList::new("printf\0wait\0");
    let names: Vec<_> = NAMES.iter().map(|name| (name.text(), name.gnu)).collect();
    assert_eq!(names, [("printf", 0x156b_2bb8), ("wait", Name::new("wait").gnu)]);
    assert_eq!(NAMES.get(1).map(Name::text), Some("wait"));
    assert!(NAMES.get(2).is_none());
}

#[test]
fn libc_is_found_as_dlsym_finds_it() {
    let objects = loaded();
    let find = |name: Name<'_>| {
        objects.iter().find_map(|(bias, headers)| {
            // SAFETY: loaded objects that stay loaded.
            unsafe { Object::read(*bias, headers) }?.find(name)
        })
    };
    for (name, text) in [(SIGACTION, c"sigaction"), (SETJMP, c"_setjmp")] {
        // SAFETY: a plain look-up.
        let wanted = unsafe { libc::dlsym(libc::RTLD_DEFAULT, text.as_ptr()) } as usize;
        assert_eq!(find(name), Some(wanted), "{text:?}");
    }
    assert_eq!(find(ABSENT), None);
}

/// A private copy of libc's segments between two inaccessible pages, so that a
/// read outside it kills the test.
struct Copy {
    bias: usize,
    headers: Vec<Header>,
    span: usize,
}

impl Copy {
    fn of_libc() -> Self {
        let (bias, headers) = loaded()
            .into_iter()
            .find(|(bias, headers)| {
                // SAFETY: as above.
                unsafe { Object::read(*bias, headers) }
                    .is_some_and(|object| object.find(SIGACTION).is_some())
            })
            .expect("libc is loaded");
        let loads = || headers.iter().filter(|header| header.p_type == libc::PT_LOAD);
        let span = loads().map(|h| (h.p_vaddr + h.p_memsz) as usize).max().unwrap();
        let span = span.next_multiple_of(4096);
        // SAFETY: a fresh mapping, whose middle is made writable and filled
        // from readable segments.
        unsafe {
            let start = libc::mmap(
                std::ptr::null_mut(),
                span + 8192,
                libc::PROT_NONE,
                libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
                -1,
                0,
            ) as usize
                + 4096;
            libc::mprotect(start as *mut _, span, libc::PROT_READ | libc::PROT_WRITE);
            for load in loads().filter(|header| header.p_flags & libc::PF_R != 0) {
                let from = (bias + load.p_vaddr as usize) as *const u8;
                let to = (start + load.p_vaddr as usize) as *mut u8;
                std::ptr::copy_nonoverlapping(from, to, load.p_memsz as usize);
            }
            let mut copy = Copy { bias: start, headers, span };
            copy.unrelocate(bias);
            copy
        }
    }

    /// Reverts glibc's relocation of the addresses in the dynamic section.
    fn unrelocate(&mut self, old_bias: usize) {
        for [tag, value] in self.dynamic() {
            if matches!(*tag as usize, DT_STRTAB | DT_SYMTAB | DT_VERSYM | DT_GNU_HASH | DT_HASH)
                && *value as usize > old_bias
            {
                *value -= old_bias as u64;
            }
        }
    }

    fn dynamic(&mut self) -> &mut [[u64; 2]] {
        let header = self.headers.iter().find(|header| header.p_type == libc::PT_DYNAMIC).unwrap();
        let at = self.bias + header.p_vaddr as usize;
        // SAFETY: inside the copy, which is ours and writable.
        unsafe { std::slice::from_raw_parts_mut(at as *mut _, header.p_memsz as usize / 16) }
    }

    fn bytes(&mut self) -> &mut [u8] {
        // SAFETY: the copy is ours and writable.
        unsafe { std::slice::from_raw_parts_mut(self.bias as *mut u8, self.span) }
    }

    fn find(&self, name: Name<'_>) -> Option<usize> {
        // SAFETY: the copy contains the segments that the headers describe.
        unsafe { Object::read(self.bias, &self.headers) }?.find(name)
    }
}

impl Drop for Copy {
    fn drop(&mut self) {
        // SAFETY: the mapping made in `of_libc`.
        unsafe { libc::munmap((self.bias - 4096) as *mut _, self.span + 8192) };
    }
}

#[test]
fn a_copy_that_is_not_relocated_is_read_too_and_by_either_hash() {
    let mut copy = Copy::of_libc();
    let found = copy.find(SIGACTION).expect("by DT_GNU_HASH");
    for [tag, _] in copy.dynamic() {
        if *tag as usize == DT_GNU_HASH {
            *tag = 0x6000_0000;
        }
    }
    let has_sysv = copy.dynamic().iter().any(|[tag, _]| *tag as usize == DT_HASH);
    assert_eq!(copy.find(SIGACTION), has_sysv.then_some(found));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    /// Whatever the object contains, no access leaves its segments.
    #[test]
    fn malformed_objects_do_no_harm(
        entries in prop::collection::vec((0..64_usize, any::<bool>(), any::<u64>(), 0..3_u8), 0..4),
        bytes in prop::collection::vec((any::<u32>(), any::<u8>()), 0..4000),
        shrink in prop::option::of(0..6_usize),
    ) {
        let mut copy = Copy::of_libc();
        let span = copy.span as u64;
        for (index, tag, value, how) in entries {
            if let Some(entry) = copy.dynamic().get_mut(index) {
                // Checks tend to go wrong near the ends of the object.
                let value = match how { 0 => value, 1 => value % span, _ => span - value % 64 };
                entry[usize::from(!tag)] = value;
            }
        }
        // Most of the damage goes into the first 128 KiB, where the tables are.
        for (at, byte) in bytes {
            let at = at as usize % if at & 1 == 0 { copy.span } else { 128 << 10 };
            let header = copy.headers.iter().find(|h| h.p_type == libc::PT_DYNAMIC).unwrap();
            let dynamic = header.p_vaddr as usize..(header.p_vaddr + header.p_memsz) as usize;
            if !dynamic.contains(&at) {
                copy.bytes()[at] = byte;
            }
        }
        if let Some(header) = shrink.and_then(|index| copy.headers.get_mut(index)) {
            header.p_memsz /= 3;
        }
        for name in [SIGACTION, SETJMP, ABSENT] {
            let _ = copy.find(name);
        }
    }
}
