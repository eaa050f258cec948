//! `make bench`: measures what `libsigward.so` costs, together with what it is compared
//! with. Writes `docs/performance.md`, and the same for machines to `docs/performance.json`, of which it
//! draws the charts.
//!
//! | module | owns |
//! |---|---|
//! | [`subject`] | the libraries under test, and timed runs of the programs |
//! | [`document`] | sections, tables, numbers |
//! | [`plots`] | the charts; `-- plots` draws them again, and measures nothing |
//! | [`gate`] | `make performance-gate`: what must not get dearer |
//! | [`forks`], [`exec`], [`start`], [`calls`], [`operations`], [`memory`], [`live_stacks`], [`waits`], [`locked`], [`threads`], [`churn`] | one table each |

mod calls;
mod churn;
mod document;
mod exec;
mod forks;
mod gate;
mod live_stacks;
mod locked;
mod memory;
mod operations;
mod plots;
mod start;
mod subject;
mod threads;
mod waits;

use std::fs;
use std::io;
use std::process::ExitCode;

use sigward_harness::artifacts::workspace;
use sigward_harness::counter::Counter;

use document::{Document, Section};
use subject::Libraries;

/// One table; its name on the command line selects it.
type Bench = fn(Counter, &Libraries) -> io::Result<Section>;

const BENCHES: &[(&str, Bench)] = &[
    ("forks", forks::run),
    ("exec", exec::run),
    ("start", start::run),
    ("calls", calls::run),
    ("operations", operations::run),
    ("memory", memory::run),
    ("live-stacks", live_stacks::run),
    ("waits", waits::run),
    ("locked", locked::run),
    ("threads", threads::run),
    ("churn", churn::run),
];

fn main() -> ExitCode {
    match bench() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("bench: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Runs the named benchmarks. Without names, runs all and writes the document. Returns
/// whether all targets were met.
fn bench() -> io::Result<bool> {
    // cargo adds --bench.
    let wanted: Vec<String> =
        std::env::args().skip(1).filter(|word| !word.starts_with('-')).collect();
    let path = workspace().join("docs/performance.md");
    let data = path.with_extension("json");
    if wanted == ["plots"] {
        return document::draw(&fs::read_to_string(data)?, &path).map(|()| true);
    }
    let libraries = Libraries::stage()?;
    if wanted == ["gate"] {
        return gate::run(&libraries);
    }
    let counter = Counter::choose()?;
    let mut sections = Vec::new();
    for (name, run) in BENCHES {
        if wanted.is_empty() || wanted.iter().any(|wanted| wanted == name) {
            eprintln!("bench: {name} …");
            sections.push(run(counter, &libraries)?);
        }
    }
    let document = Document { counter, sections };
    print!("{document}");
    if wanted.is_empty() {
        fs::write(&path, document.to_string())?;
        fs::write(&data, document.json())?;
        document::draw(&document.json(), &path)?;
        eprintln!("bench: wrote {} and {}", path.display(), data.display());
    }
    for missed in document.sections.iter().filter_map(|section| section.missed.as_ref()) {
        eprintln!("bench: TARGET MISSED: {missed}");
    }
    Ok(document.sections.iter().all(|section| section.missed.is_none()))
}
