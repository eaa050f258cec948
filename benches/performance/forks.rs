//! The cost of a fork, by what there is to hold.

use std::io;

use sigward_harness::counter::Counter;
use sigward_harness::programs::{self, Libc};

use crate::document::{Section, grouped, ratio};
use crate::subject::{Libraries, Mode, least_ns};

/// One situation.
struct Row {
    /// The description in the document.
    what: &'static str,
    /// Arguments of `bench_beside.c`.
    settings: &'static [&'static str],
    /// The most it may take, relative to libc's fork.
    target: Option<f64>,
    /// Whether the kernel must copy pages: then the copies alone are measured too.
    copies: bool,
}

/// A situation in which the kernel copies no page.
const fn kept(what: &'static str, settings: &'static [&'static str], target: Option<f64>) -> Row {
    Row { what, settings, target, copies: false }
}

const fn copied(what: &'static str, settings: &'static [&'static str]) -> Row {
    Row { what, settings, target: None, copies: true }
}

const ORDINARY: &str = "handler=ordinary";

const ROWS: &[Row] = &[
    kept("no thread, no stack", &[], Some(1.3)),
    kept("an own stack of 64 KiB", &["own=64"], Some(1.8)),
    kept("64 threads with stacks", &["threads=64", "stacks=mapped"], Some(1.5)),
    kept("1,000 threads with stacks", &["threads=1000", "stacks=mapped"], Some(1.8)),
    kept("no thread, no stack, a handler of SIGTERM", &[ORDINARY], None),
    kept("an own stack of 64 KiB, a handler of SIGTERM", &["own=64", ORDINARY], None),
    copied("64 threads with stacks by malloc", &["threads=64", "stacks=malloc"]),
    copied("1,000 threads with stacks by malloc", &["threads=1000", "stacks=malloc"]),
    copied("64 threads, a handler of SIGTERM", &["threads=64", ORDINARY]),
    copied("1,000 threads, a handler of SIGTERM", &["threads=1000", ORDINARY]),
    copied(
        "64 threads with stacks, a handler of SIGTERM",
        &["threads=64", "stacks=mapped", ORDINARY],
    ),
    copied(
        "1,000 threads with stacks, a handler of SIGTERM",
        &["threads=1000", "stacks=mapped", ORDINARY],
    ),
    kept("64 threads", &["threads=64"], None),
    kept("1,000 threads", &["threads=1000"], None),
];

/// The runs of a row and the rounds of each: fewer where each takes longer.
fn runs_and_rounds(settings: &[&str]) -> (usize, &'static str) {
    match settings.first() {
        Some(&"threads=1000") => (5, "rounds=15"),
        Some(&"threads=64") => (10, "rounds=40"),
        _ => (40, "rounds=100"),
    }
}

/// The most it may take, relative to the kernel's copies of the same pages.
const COPIES_TARGET: f64 = 1.3;

pub fn run(_: Counter, libraries: &Libraries) -> io::Result<Section> {
    let program = programs::build("bench_beside", Libc::Glibc)?;
    let extent =
        format!("extent={}", sigward::plan::usual_extent(sigward::residency::frame::size()));
    let mut rows = Vec::new();
    let mut missed = Vec::new();
    for Row { what, settings, target, copies } in ROWS {
        let (runs, rounds) = runs_and_rounds(settings);
        let mut args = vec!["fork", rounds];
        args.extend(*settings);
        // The pages of ordinary stacks are in use in every mode, so that the kernel has them
        // to copy.
        if *copies && settings.contains(&ORDINARY) {
            args.push(&extent);
        }
        let ns = least_ns(&program, &args, Mode::STACKS, runs, libraries)?;
        let mut row = vec![(*what).to_owned(), grouped(ns[0] / 1000.0)];
        row.extend([ratio(ns[1], ns[0]), ratio(ns[2], ns[0])]);
        if target.is_some_and(|target| ns[2] > target * ns[0]) {
            missed.push(format!("{what}: {}", ratio(ns[2], ns[0])));
        }
        if *copies {
            args[0] = "copies";
            let [alone] = least_ns(&program, &args, [Mode::Without], runs, libraries)?;
            row.extend([grouped(alone / 1000.0), ratio(ns[2], alone)]);
            if ns[2] > COPIES_TARGET * alone {
                missed.push(format!("{what}: {} x the copies", ratio(ns[2], alone)));
            }
        } else {
            row.extend([String::new(), String::new()]);
        }
        let target = target.or(copies.then_some(COPIES_TARGET));
        row.push(target.map_or_else(String::new, |target| target.to_string()));
        rows.push(row);
    }
    Ok(Section {
        title: "Forks",
        text: "Microseconds of CPU time that one fork(2) takes in the calling thread until it returns\n\
             in the parent, while the child waits.\n\
             Stacks are alternate stacks of 8 KiB in mappings of their own. With a handler without\n\
             `SA_ONSTACK`, sigward also holds part of each ordinary stack. The kernel must copy\n\
             those pages, and those of stacks from malloc. *Copies* is a fork without the library,\n\
             after which the parent writes one byte to each of these pages; where there is such a\n\
             figure, the target is for `on` relative to that.".to_owned(),
        header: vec![
            "in a process with",
            "libc us",
            "`auto` ratio",
            "`on` ratio",
            "copies us",
            "`on` to copies",
            "target",
        ],
        rows,
        missed: (!missed.is_empty()).then(|| format!("forks: {}", missed.join("; "))),
    })
}
