//! The contract of the file `libsigward.so`: it loads into any process, needs no other
//! library, and hooks only the functions that it lists.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use object::Endianness;
use object::elf::{
    self, DT_GNU_HASH, DT_HASH, DT_NEEDED, FileHeader64, PF_X, PT_GNU_STACK, PT_TLS, STB_WEAK,
    Sym64,
};
use object::read::elf::{Dyn, ElfFile64, FileHeader, ProgramHeader, Sym};
use sigward_harness::artifacts;
use sigward_harness::programs::{Libc, build};

/// The file must stay smaller than this: every process of a system may have to map it, so
/// growth is a decision. Raised when a feature needs it: from 160 KiB, so that small alternate
/// stacks can be judged, replaced and measured; from 192 KiB, so that it is told which signal
/// overflowed one, and how deep the program's own were used.
const SIZE_LIMIT: usize = 208 << 10;

/// Each breach of the contract, as text.
fn breaches(library: &Path, exports: &BTreeSet<String>) -> Vec<String> {
    let bytes = fs::read(library).unwrap();
    let file = ElfFile64::<Endianness>::parse(&*bytes).unwrap();
    let mut breaches = Vec::new();

    let (end, data) = (file.endian(), &*bytes);
    let header: &FileHeader64<Endianness> = file.elf_header();
    let segments = header.program_headers(end, data).unwrap();
    let dynamic: Vec<_> = segments
        .iter()
        .find_map(|segment| segment.dynamic(end, data).unwrap())
        .unwrap()
        .iter()
        .map(|entry| Dyn::d_tag(entry, end))
        .collect();
    if dynamic.contains(&DT_NEEDED) {
        breaches.push("needs another library".to_owned());
    }
    for (tag, name) in [(DT_HASH, "DT_HASH"), (DT_GNU_HASH, "DT_GNU_HASH")] {
        if !dynamic.contains(&tag) {
            breaches.push(format!("has no {name}"));
        }
    }
    for segment in segments {
        if segment.p_type(end) == PT_TLS {
            breaches.push("uses TLS".to_owned());
        }
        if segment.p_type(end) == PT_GNU_STACK && segment.p_flags(end).contains(PF_X) {
            breaches.push("wants an executable stack".to_owned());
        }
    }
    if !segments.iter().any(|segment| segment.p_type(end) == PT_GNU_STACK) {
        breaches.push("does not say what stack it wants".to_owned());
    }

    let symbols = file.elf_dynamic_symbol_table();
    let named = symbols.iter().filter(|symbol| symbol.st_name(end) != 0);
    let (undefined, defined) = named
        .partition::<Vec<&Sym64<Endianness>>, _>(|symbol| symbol.st_shndx(end) == elf::SHN_UNDEF);
    let name =
        |symbol| String::from_utf8(symbols.symbol_name(end, symbol).unwrap().into()).unwrap();
    for symbol in undefined {
        if symbol.st_bind() != STB_WEAK {
            breaches.push(format!("undefined, not weak: {}", name(symbol)));
        }
    }
    let defined: BTreeSet<String> = defined.into_iter().map(name).collect();
    if defined != *exports {
        breaches.push(format!("exports {defined:?} instead of {exports:?}"));
    }
    if bytes.len() >= SIZE_LIMIT {
        breaches.push(format!("is {} bytes large", bytes.len()));
    }
    breaches
}

/// The hook list in the library's source.
fn hooked() -> BTreeSet<String> {
    let source = artifacts::workspace().join("preload/src/hooks/list.rs");
    let source = fs::read_to_string(source).unwrap();
    let (_, list) = source.split_once("\nnames! {\n    hooked {\n").unwrap();
    let (list, _) = list.split_once('}').unwrap();
    let lines = list.lines().map(str::trim).filter(|line| !line.starts_with("//"));
    let names: BTreeSet<String> =
        lines.flat_map(str::split_whitespace).map(str::to_owned).collect();
    assert!(names.contains("sigaltstack"), "{names:?}");
    names
}

#[test]
fn the_library_keeps_its_contract() {
    assert_eq!(breaches(artifacts::preload(), &hooked()), [""; 0]);
}

#[test]
fn every_breach_is_reported() {
    let library = build("libbad", Libc::Glibc).unwrap();
    let found = breaches(&library, &hooked());
    for breach in [
        "needs another library",
        "has no DT_HASH",
        "uses TLS",
        "wants an executable stack",
        "undefined, not weak: puts",
        "exports {\"exported\", \"large\", \"of_this_thread\"} instead of ",
        "is 2",
    ] {
        assert!(found.iter().any(|found| found.starts_with(breach)), "{breach}: {found:?}");
    }
}

#[test]
fn a_panic_path_or_a_stray_name_fails_the_build() {
    // The control: the same build with nothing planted succeeds.
    artifacts::planted("nothing").unwrap();
    for (plant, undefined) in [("panic", "sigward_a_panic_path_is_linked"), ("stray", "getpid")] {
        let words = artifacts::planted(plant).expect_err(plant).to_string();
        let named = |line: &str| line.contains("undefined") && line.contains(undefined);
        assert!(words.lines().any(named), "{plant}: {words}");
    }
}
