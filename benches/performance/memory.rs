//! The cost of memory calls that touch no stack, by size and number of stacks.

use std::io;

use sigward_harness::counter::Counter;
use sigward_harness::programs::{self, Libc};

use crate::document::{Section, grouped};
use crate::subject::{Libraries, Mode, paired, steps};

/// Calls of `bench_beside.c`: their settings, description and number.
const CALLS: &[(&str, &str, isize)] = &[
    ("map", "mmap, munmap", 2),
    ("fixed", "mmap, `MAP_FIXED`", 1),
    ("advise", "madvise", 1),
    ("protect", "mprotect, twice", 2),
];
const SIZES_KIB: &[&str] = &["64", "1024", "16384", "65536"];
const STACKS: &[&str] = &["0", "10", "1000", "4000"];

/// The most time it may take, relative to libc.
const TARGET: f64 = 1.2;
const INSTRUCTIONS: isize = 150;

pub fn run(_: Counter, libraries: &Libraries) -> io::Result<Section> {
    let program = programs::build("bench_beside", Libc::Glibc)?;
    let mut rows = Vec::new();
    let mut missed = Vec::new();
    for (call, what, calls) in CALLS {
        for kib in SIZES_KIB {
            let mut row = vec![(*what).to_owned(), grouped(kib.parse().unwrap_or(f64::NAN))];
            for stacks in STACKS {
                let (threads, size) = (format!("threads={stacks}"), format!("size={kib}"));
                let args = [*call, &threads, "stacks=mapped", &size];
                let timed = [&args[..], &["rounds=300"]].concat();
                let ratio = paired(&program, &timed, TARGET, libraries)?;
                let once = [&args[..], &["rounds=0"]].concat();
                let without = steps(&program, &once, Mode::Without, libraries)?;
                let on = steps(&program, &once, Mode::On, libraries)?;
                let added = on.instructions.cast_signed() - without.instructions.cast_signed();
                let each = added / calls;
                let more = on.calls.len().cast_signed() - without.calls.len().cast_signed();
                if ratio > TARGET || each > INSTRUCTIONS || more > 0 {
                    missed.push(format!(
                        "{what} of {kib} KiB beside {stacks}: {ratio:.2}, {each} instructions, {more} calls"
                    ));
                }
                row.push(format!("{ratio:.2}"));
                row.push(format!("{each} / {more}"));
            }
            rows.push(row);
        }
    }
    Ok(Section {
        title: "Memory calls",
        text: format!(
            "Calls that touch no stack, in a process with the given number of other threads, each\n\
             with an alternate stack in a mapping of its own. *Ratio*: the time with `on` divided\n\
             by the time without the library, as the median of 11 pairs of consecutive runs; of 44\n\
             pairs where the first 11 gave more than the target. *Added*: user instructions of each\n\
             call, and system calls, counted by single-stepping. The targets: at most {TARGET} times,\n\
             {INSTRUCTIONS} instructions, no system call. The kernel maps new memory below what is\n\
             there, so it lies below all stacks here. Where it lies between stacks, a call takes 15\n\
             to 75 instructions more, and within 16 MiB of stacks on both sides of a boundary of\n\
             1 GiB up to 130."
        ),
        header: vec![
            "call",
            "KiB",
            "beside 0: ratio",
            "added",
            "beside 10: ratio",
            "added",
            "beside 1,000: ratio",
            "added",
            "beside 4,000: ratio",
            "added",
        ],
        rows,
        missed: (!missed.is_empty()).then(|| format!("memory calls: {}", missed.join("; "))),
    })
}
