//! How much memory the library locks.

use std::io;

use sigward_harness::artifacts;
use sigward_harness::counter::Counter;

use crate::document::Section;
use crate::subject::{Libraries, Mode, printed};

const STACKS: &[(&str, Option<&str>)] = &[
    ("the one that Rust's std makes", None),
    ("8 KiB of its own", Some("8192")),
    ("64 KiB of its own", Some("65536")),
];
const THREADS: &[&str] = &["1", "64", "1000"];

pub fn run(_: Counter, libraries: &Libraries) -> io::Result<Section> {
    let program = artifacts::harness_bin("locked-threads")?;
    let mut rows = Vec::new();
    for (what, size) in STACKS {
        for threads in THREADS {
            let mut args = vec![*threads];
            args.extend(*size);
            let mut row = vec![(*what).to_owned(), (*threads).to_owned()];
            for mode in Mode::STACKS {
                let numbers = printed(&program, &args, mode, libraries)?;
                let kib = numbers.first().copied().unwrap_or(f64::NAN);
                row.push(format!("{:.1}", kib / threads.parse::<f64>().unwrap_or(f64::NAN)));
            }
            rows.push(row);
        }
    }
    Ok(Section {
        title: "Locked memory",
        text: "Growth of `VmLck` per thread, in KiB, while the given number of threads of a Rust\n\
               program are live, each with this alternate stack. Ordinary stacks are not locked\n\
               by default. When a user's `RLIMIT_MEMLOCK` is reached, the rest is only touched."
            .to_owned(),
        header: vec!["alternate stack", "threads", "without", "`auto`", "`on`"],
        rows,
        missed: None,
    })
}
