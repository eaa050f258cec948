//! What calls cost beside many live stacks.

use std::io;

use sigward_harness::programs::{self, Libc};

use crate::counter::Counter;
use crate::document::{Section, grouped, ratio};
use crate::subject::{Libraries, Mode, least_ns};

const CASES: &[(&str, &str, &[&str])] = &[
    ("sigaltstack, set", "set", &["10", "1000", "10000"]),
    ("fork", "fork", &["0", "1", "64", "1000"]),
];

pub fn run(_: Counter, libraries: &Libraries) -> io::Result<Section> {
    let program = programs::build("bench_live_stacks", Libc::Glibc)?;
    let mut rows = Vec::new();
    for (what, call, counts) in CASES {
        for count in *counts {
            let ns = least_ns(&program, &[call, count, "100"], Mode::STACKS, libraries)?;
            let mut row = vec![(*what).to_owned(), (*count).to_owned()];
            row.extend(ns.map(grouped));
            row.extend([ratio(ns[1], ns[0]), ratio(ns[2], ns[0])]);
            rows.push(row);
        }
    }
    Ok(Section {
        title: "Beside many stacks",
        text: "Nanoseconds of one call in a process whose other threads, so many, each hold an\n\
               alternate stack of 8 KiB."
            .to_owned(),
        header: vec![
            "call",
            "stacks",
            "libc ns",
            "`auto` ns",
            "`on` ns",
            "`auto` ratio",
            "`on` ratio",
        ],
        rows,
        missed: None,
    })
}
