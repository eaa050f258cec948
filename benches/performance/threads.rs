//! How many threads a process can have.

use std::io;

use sigward_harness::counter::Counter;
use sigward_harness::programs::{self, Libc};

use crate::document::{Section, grouped, ratio};
use crate::subject::{Libraries, Mode, printed};

const STACKS: &[(&str, &str)] = &[("none", "none"), ("own", "16 KiB above a guard")];

pub fn run(_: Counter, libraries: &Libraries) -> io::Result<Section> {
    let program = programs::build("bench_threads", Libc::Glibc)?;
    let mut rows = Vec::new();
    for (stacks, what) in STACKS {
        let mut counts = [0.0; 3];
        for (mode, count) in Mode::STACKS.into_iter().zip(&mut counts) {
            *count =
                printed(&program, &[stacks], mode, libraries)?.first().copied().unwrap_or(f64::NAN);
        }
        let mut row = vec![(*what).to_owned()];
        row.extend(counts.map(grouped));
        row.push(ratio(counts[2], counts[0]));
        rows.push(row);
    }
    Ok(Section {
        title: "Threads until the mappings run out",
        text: "How many threads a process can create before the kernel refuses one, because of\n\
               `vm.max_map_count` or the machine's limit on threads."
            .to_owned(),
        header: vec!["alternate stack", "without", "`auto`", "`on`", "`on` ratio"],
        rows,
        missed: None,
    })
}
