//! The cost of the hooks of memory calls for an allocator.

use std::io;
use std::path::Path;

use sigward_harness::counter::Counter;
use sigward_harness::programs::{self, Libc};

use crate::document::{Section, grouped, ratio};
use crate::subject::{Libraries, Mode, borrowed};

/// Allocators: where Debian installs them, and the package.
const ALLOCATORS: &[(&str, Option<(&str, &str)>)] = &[
    ("glibc", None),
    ("jemalloc", Some(("/usr/lib/x86_64-linux-gnu/libjemalloc.so.2", "libjemalloc2"))),
    (
        "tcmalloc",
        Some(("/usr/lib/x86_64-linux-gnu/libtcmalloc_minimal.so.4", "libtcmalloc-minimal4")),
    ),
];

pub fn run(counter: Counter, libraries: &Libraries) -> io::Result<Section> {
    let program = programs::build("bench_churn", Libc::Glibc)?;
    let mut rows = Vec::new();
    for (name, library) in ALLOCATORS {
        let behind = library.map(|(path, _)| Path::new(path));
        if let Some((path, package)) = library
            && !Path::new(path).exists()
        {
            let mut row = vec![format!("{name}: not installed (`apt-get install {package}`)")];
            row.resize(6, "-".to_owned());
            rows.push(row);
            continue;
        }
        let mut counts = [0.0; 3];
        for (mode, count) in Mode::STACKS.into_iter().zip(&mut counts) {
            let environment = mode.environment(libraries, behind);
            *count = counter.per_call(&program, &[], [20_000, 120_000], &borrowed(&environment))?;
        }
        let mut row = vec![(*name).to_owned()];
        row.extend(counts.map(grouped));
        row.extend([ratio(counts[1], counts[0]), ratio(counts[2], counts[0])]);
        rows.push(row);
    }
    Ok(Section {
        title: "Allocators",
        text: "User instructions of one `free` and one `malloc` of 16 bytes to 512 KiB, while a\n\
               thousand blocks are live. Allocators map and unmap memory for such sizes. The\n\
               ratios compare with the same allocator without the library."
            .to_owned(),
        header: vec!["allocator", "without", "`auto`", "`on`", "`auto` ratio", "`on` ratio"],
        rows,
        missed: None,
    })
}
