//! What the library may cost a process in which it does nothing. If a feature needs more, its
//! commit raises the figure here; the limit of the file's size is in `contract.rs`.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::path::Path;
use std::time::Duration;

use object::Endianness;
use object::elf::{FileHeader64, SHN_UNDEF};
use object::read::elf::{ElfFile64, FileHeader, SectionHeader, Sym};
use sigward_harness::counter::Counter;
use sigward_harness::programs::{Libc, build, libcs};
use sigward_harness::steps::Steps;
use sigward_harness::{Run, artifacts, need};

/// User instructions added to an exec, relative to those that an empty library adds.
const EXEC: f64 = 2.2;
/// Relocations. Each costs an exec some 13 instructions.
const RELOCATIONS: usize = 300;
/// Names that the loader looks up for the library. Each costs some 900 instructions.
const LOOKED_UP: usize = 3;
/// Private pages per process: two for relocated tables, one for data, one for records, and two
/// because these may cross a page boundary. musl's malloc also takes the end of the last page.
const fn pages(libc: Libc) -> u32 {
    match libc {
        Libc::Musl | Libc::Musl32 => 7,
        _ => 6,
    }
}

#[test]
fn instructions_of_an_exec() {
    if need::program("valgrind").is_none() {
        return;
    }
    // Paths of the same length: the loader's work grows with them.
    let folder = tempfile::tempdir().unwrap();
    let stage = |name: &str, from: &Path| {
        let to = folder.path().join(name);
        fs::copy(from, &to).unwrap();
        to
    };
    let empty = stage("1.so", &build("libempty", Libc::Glibc).unwrap());
    let ours = stage("2.so", artifacts::preload());
    let count = |library: &Path| {
        let environment = [("LD_PRELOAD", library.as_os_str()), ("SIGWARD", OsStr::new("auto"))];
        Counter::Callgrind.count(&[OsStr::new("/bin/true")], &environment).unwrap()
    };
    let bare = count(Path::new(""));
    let (empty, ours) = (count(&empty) - bare, count(&ours) - bare);
    assert!(ours <= EXEC * empty, "{ours} instructions, an empty library {empty}");
}

#[test]
fn work_of_the_loader() {
    let bytes = fs::read(artifacts::preload()).unwrap();
    let file = ElfFile64::<Endianness>::parse(&*bytes).unwrap();
    let (end, data): (_, &[u8]) = (file.endian(), &bytes);
    let header: &FileHeader64<Endianness> = file.elf_header();
    let sections = header.sections(end, data).unwrap();
    let relocations: usize = sections
        .iter()
        .filter_map(|section| section.rela(end, data).unwrap())
        .map(|(relocations, _)| relocations.len())
        .sum();
    assert!((1..=RELOCATIONS).contains(&relocations), "{relocations} relocations");
    let symbols = file.elf_dynamic_symbol_table();
    let is_looked_up = |symbol: &&_| {
        let symbol: &object::elf::Sym64<_> = symbol;
        symbol.st_name(end) != 0 && symbol.st_shndx(end) == SHN_UNDEF
    };
    let looked_up = symbols.iter().filter(is_looked_up).count();
    assert!((1..=LOOKED_UP).contains(&looked_up), "{looked_up} names");
}

#[test]
fn pages_of_a_process() {
    for &libc in libcs() {
        let run = Run::new(build("dirty_pages", libc).unwrap()).sigward("auto");
        let outcome = run.output().unwrap();
        let pages: u32 = outcome.stdout.trim().parse().expect("a number of pages");
        assert!((1..=self::pages(libc)).contains(&pages), "{libc:?}: {pages} pages");
    }
}

/// System calls by number, and how often each is made.
fn calls(run: &Run) -> BTreeMap<i64, usize> {
    let mut counts = BTreeMap::new();
    for call in run.calls().unwrap() {
        *counts.entry(call).or_default() += 1;
    }
    counts
}

#[test]
fn system_calls_at_load() {
    // The calls by which the loader maps a file.
    const LOADER: [i64; 8] = [
        libc::SYS_openat,
        libc::SYS_read,
        libc::SYS_fstat,
        libc::SYS_newfstatat,
        libc::SYS_mmap,
        libc::SYS_mprotect,
        libc::SYS_close,
        libc::SYS_munmap,
    ];
    let run = Run::new("/bin/true");
    let with = run.clone().sigward("auto");
    let counted = with.clone().env("SIGWARD_STATS", "1").output().unwrap();
    if !need::optional(counted.figure("duty") == "inert", "a healthy kernel", "upgrade it") {
        return;
    }
    let bare = calls(&run);
    let added = |with: &Run| {
        let mut added = calls(with);
        for (call, count) in &mut added {
            *count = count.saturating_sub(bare.get(call).copied().unwrap_or(0));
        }
        added.retain(|call, count| *count > 0 && !LOADER.contains(call));
        added
    };
    assert_eq!(added(&with), BTreeMap::from([(libc::SYS_uname, 1)]));
    let on = added(&run.clone().sigward("on"));
    assert!(on.len() > 1, "more would be seen: {on:?}");
}

/// Memory calls of `bench_beside.c` that touch no stack: the number of calls, and the most user
/// instructions that the library may add to each. `MAP_FIXED` costs more because it replaces
/// mappings that are on record.
const MEMORY_CALLS: [(&str, usize, usize); 4] =
    [("map", 2, 150), ("fixed", 1, 300), ("advise", 1, 150), ("protect", 2, 150)];

#[test]
fn instructions_of_a_memory_call() {
    let run = Run::new(build("bench_beside", Libc::Glibc).unwrap());
    let run = run.deadline(Duration::from_secs(60));
    // The minimum of several runs: addresses differ from run to run.
    let least = |run: &Run| {
        let runs = (0..3).map(|_| run.steps().unwrap());
        runs.min_by_key(|steps| steps.instructions).unwrap()
    };
    for (call, calls, most) in MEMORY_CALLS {
        for size in ["size=64", "size=65536"] {
            let run = run.clone().args([call, "rounds=0", "threads=10", "stacks=mapped", size]);
            let Steps { instructions: without, calls: made } = least(&run);
            let on = least(&run.sigward("on"));
            let added = on.instructions.saturating_sub(without) / calls;
            assert!((1..=most).contains(&added), "{call}, {size}: {added} instructions");
            assert_eq!(on.calls, made, "{call}, {size}");
        }
    }
}
