//! The cost of one hooked call.

use std::io;

use sigward_harness::counter::Counter;
use sigward_harness::programs::{self, Libc};

use crate::document::{Section, grouped, ratio};
use crate::subject::{Libraries, Mode, borrowed, least_ns};

/// Calls of `bench_calls.c`, with their descriptions in the document.
pub const CALLS: &[(&str, &str)] = &[
    ("sigaction", "sigaction"),
    ("sigaction-onstack", "sigaction, SA_ONSTACK"),
    ("sigaltstack-set", "sigaltstack, two 64 KiB stacks in turn"),
    ("sigaltstack-query", "sigaltstack, query"),
    ("wait4", "wait4, WNOHANG, no child"),
    ("waitpid", "waitpid, WNOHANG, no child"),
];

pub fn run(counter: Counter, libraries: &Libraries) -> io::Result<Section> {
    let program = programs::build("bench_calls", Libc::Glibc)?;
    let mut rows = Vec::new();
    for (call, what) in CALLS {
        let ns = least_ns(&program, &[call, "50", "1000"], Mode::STACKS, 3, libraries)?;
        let mut instructions = [0.0; 3];
        for (mode, instructions) in Mode::STACKS.into_iter().zip(&mut instructions) {
            let environment = mode.environment(libraries, None);
            let environment = borrowed(&environment);
            *instructions = counter.per_call(&program, &[call, "1"], [1000, 3000], &environment)?;
        }
        let mut row = vec![(*what).to_owned()];
        row.extend(ns.map(grouped));
        row.extend([ratio(ns[1], ns[0]), ratio(ns[2], ns[0])]);
        row.extend(instructions.map(grouped));
        rows.push(row);
    }
    Ok(Section {
        title: "One call",
        text: "Nanoseconds and user instructions of one call: with libc alone, with the library\n\
               where it does nothing (`auto` on a kernel that is not affected), and where it acts\n\
               (`on`). Instructions include the loop around the call. The ratios compare the times\n\
               with libc's."
            .to_owned(),
        header: vec![
            "call",
            "libc ns",
            "`auto` ns",
            "`on` ns",
            "`auto` ratio",
            "`on` ratio",
            "libc instr.",
            "`auto` instr.",
            "`on` instr.",
        ],
        rows,
        missed: None,
    })
}
