//! The cost of a wait with each strategy.

use std::io;

use sigward_harness::counter::Counter;
use sigward_harness::programs::{self, Libc};

use crate::document::{Section, grouped, ratio};
use crate::subject::{Libraries, Mode, least_ns};

/// Calls of `bench_calls.c`, how often a round makes them, and their descriptions in the
/// document.
const CALLS: &[(&str, &str, &str)] = &[
    ("waitpid-block", "1000", "waitpid, no child"),
    ("child-ended", "200", "fork, and waitpid for a child that ends at once"),
    ("child-sleeps", "20", "fork, and waitpid for a child that sleeps 5 ms"),
];

pub fn run(_: Counter, libraries: &Libraries) -> io::Result<Section> {
    let program = programs::build("bench_calls", Libc::Glibc)?;
    let mut rows = Vec::new();
    for (call, calls, what) in CALLS {
        let ns = least_ns(&program, &[call, "10", calls], Mode::WAITS, 3, libraries)?;
        let mut row = vec![(*what).to_owned()];
        row.extend(ns.map(grouped));
        row.extend(ns.iter().skip(1).map(|&with| ratio(with, ns[0])));
        rows.push(row);
    }
    Ok(Section {
        title: "Waits",
        text: "Nanoseconds of one wait: with libc, and with each strategy of the library\n\
               (`SIGWARD=on`). The ratios compare with libc's. Where the wait has to sleep,\n\
               `two-phase` sleeps 1 ms first and doubles that each time, up to 16 ms."
            .to_owned(),
        header: vec![
            "call",
            "libc ns",
            "`off` ns",
            "`int80` ns",
            "`two-phase` ns",
            "`off` ratio",
            "`int80` ratio",
            "`two-phase` ratio",
        ],
        rows,
        missed: None,
    })
}
