//! The system calls of one operation.

use std::io;

use sigward_harness::counter::Counter;
use sigward_harness::programs::{self, Libc};

use crate::document::Section;
use crate::subject::{Libraries, Mode, steps};

/// Description, settings of `bench_beside.c`, and the most system calls under `on`.
pub type Operation = (&'static str, &'static [&'static str], Option<usize>);

pub const OPERATIONS: &[Operation] = &[
    ("sigaltstack, another stack", &["set"], Some(9)),
    ("sigaltstack, another stack of 64 KiB", &["set", "set=64"], Some(9)),
    ("sigaltstack, another stack of 65 KiB or more", &["set", "set=128"], None),
    ("sigaltstack, the same stack again", &["again"], Some(4)),
    ("sigaction", &["action"], None),
    ("sigaction, SA_ONSTACK", &["action-onstack"], None),
    ("mmap and munmap of 1 MiB", &["map", "size=1024"], Some(2)),
    ("fork", &["fork"], None),
    ("fork, with an own stack of 64 KiB", &["fork", "own=64"], None),
    ("fork, beside 64 stacks", &["fork", "threads=64", "stacks=mapped"], None),
    (
        "fork, beside 64 stacks and a handler of SIGTERM",
        &["fork", "threads=64", "stacks=mapped", "handler=ordinary"],
        None,
    ),
];

pub fn run(_: Counter, libraries: &Libraries) -> io::Result<Section> {
    let program = programs::build("bench_beside", Libc::Glibc)?;
    let mut rows = Vec::new();
    let mut missed = Vec::new();
    for (what, args, most) in OPERATIONS {
        let args = [*args, &["rounds=0"]].concat();
        let mut row = vec![(*what).to_owned()];
        let mut last = 0;
        for mode in Mode::STACKS {
            last = steps(&program, &args, mode, libraries)?.calls.len();
            row.push(last.to_string());
        }
        row.push(most.map_or_else(String::new, |most| most.to_string()));
        if most.is_some_and(|most| last > most) {
            missed.push(format!("{what}: {last}"));
        }
        rows.push(row);
    }
    Ok(Section {
        title: "System calls of an operation",
        text: "System calls of the calling thread, counted from outside by single-stepping it."
            .to_owned(),
        header: vec!["operation", "libc", "`auto`", "`on`", "target"],
        rows,
        missed: (!missed.is_empty()).then(|| format!("system calls: {}", missed.join("; "))),
    })
}
