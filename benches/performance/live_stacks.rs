//! The cost of setting a stack beside many live stacks.

use std::io;

use sigward_harness::counter::Counter;
use sigward_harness::programs::{self, Libc};

use crate::document::{Section, grouped, ratio};
use crate::subject::{Libraries, Mode, least_ns};

const COUNTS: &[&str] = &["10", "1000", "10000"];

pub fn run(_: Counter, libraries: &Libraries) -> io::Result<Section> {
    let program = programs::build("bench_beside", Libc::Glibc)?;
    let mut rows = Vec::new();
    for count in COUNTS {
        let threads = format!("threads={count}");
        // One mapping for all, because the number of mappings is limited.
        let args = ["set", &threads, "stacks=shared"];
        let ns = least_ns(&program, &args, Mode::STACKS, 3, libraries)?;
        let mut row = vec![(*count).to_owned()];
        row.extend(ns.map(grouped));
        row.extend([ratio(ns[1], ns[0]), ratio(ns[2], ns[0])]);
        rows.push(row);
    }
    Ok(Section {
        title: "Setting a stack beside many",
        text:
            "Nanoseconds of one sigaltstack(2) that replaces a stack, in a process with the given\n\
               number of other threads, each with an alternate stack of 8 KiB."
                .to_owned(),
        header: vec!["stacks", "libc ns", "`auto` ns", "`on` ns", "`auto` ratio", "`on` ratio"],
        rows,
        missed: None,
    })
}
