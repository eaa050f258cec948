//! Programs whose handlers are as deep as beside larger signal frames: which die without the
//! library, and that all live with it.
//!
//! `deep.c`, preloaded before sigward's library, makes every handler on an alternate stack start that
//! deep, and counts them.

use std::fs;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use sigward_harness::Outcome;

use crate::arm::{self, Bench};
use crate::suite::{DEEP, MANAGED, Needs, RUBY, RUNTIMES};

/// One program.
#[derive(Clone, Copy, Debug)]
pub struct Program {
    /// Its name in the table.
    pub name: &'static str,
    /// The argument of `scripts/deep.sh`.
    pub argument: &'static str,
    /// `scripts/NAME.prepare.sh` builds it.
    prepare: Option<&'static str>,
    /// What must be installed: a file, and the Debian packages that contain it.
    pub needs: Needs,
    /// It is in the short selection too.
    pub short: bool,
    /// The first of [`DEPTHS`] at which it surely dies without the library: its stack is smaller,
    /// and what is below cannot be written.
    pub dies_at: Option<usize>,
    /// Its stack is smaller than the frame, so it lives by default at the first depth.
    pub tiny_stack: bool,
}

/// A depth, and the settings that make room for it.
#[derive(Clone, Copy, Debug)]
pub struct Depth {
    /// Bytes between the top of the frame and the handler.
    pub bytes: &'static str,
    /// The settings.
    pub settings: &'static [(&'static str, &'static str)],
}

/// The frame that a processor with AMX may write, whatever this machine's is.
const FRAME: (&str, &str) = ("SIGWARD_FRAME", "11952");
const FIX: (&str, &str) = ("SIGWARD_SIZE", "fix");

/// A frame with AMX; the same and 52,048 bytes of handlers.
pub const DEPTHS: [Depth; 2] = [
    Depth { bytes: "11952", settings: &[FRAME, FIX] },
    Depth { bytes: "64000", settings: &[FRAME, FIX, ("SIGWARD_SIZE_ROOM", "64K")] },
];

const fn program(
    name: &'static str,
    argument: &'static str,
    prepare: Option<&'static str>,
    needs: Needs,
    dies_at: Option<usize>,
) -> Program {
    Program { name, argument, prepare, needs, short: false, dies_at, tiny_stack: false }
}

const fn short(program: Program) -> Program {
    Program { short: true, ..program }
}

/// All of them.
#[rustfmt::skip] // a table
pub const PROGRAMS: &[Program] = &[
    short(program("Rust: stack overflow", "rust", Some("deep"), DEEP, Some(0))),
    short(program("Rust: stack overflow in a thread", "rust-thread", Some("deep"), DEEP, Some(0))),
    short(program("libsigsegv: recovery from stack overflows", "libsigsegv", Some("deep"), DEEP, Some(1))),
    short(program("CPython: faulthandler.register", "python", None, DEEP, None)),
    short(program("CPython: faulthandler, a crash", "python-crash", None, DEEP, None)),
    Program { tiny_stack: true, ..program("Debian's Rust: stack overflow", "old-rust", Some("runtimes"), RUNTIMES, Some(0)) },
    program(".NET 3.1: faults become exceptions", "net", Some("managed"), MANAGED, Some(0)),
    program(".NET 3.1 with a library in Go", "net-go", Some("managed"), MANAGED, Some(0)),
    program("Mono: faults become exceptions", "mono", Some("managed"), MANAGED, Some(1)),
    program("Boost.Test: a fault in a test", "boost", Some("runtimes"), RUNTIMES, None),
    program("OCaml: stack overflow", "ocaml", Some("runtimes"), RUNTIMES, None),
    program("Erlang: signals", "erlang", Some("runtimes"), RUNTIMES, None),
    program("Ruby: a crash", "ruby", None, RUBY, None),
];

/// What became of a program.
pub struct Row {
    /// The program.
    pub program: &'static Program,
    /// The size of its smallest alternate stack.
    pub size: u64,
    /// Without the library, at each depth.
    pub without: Vec<String>,
    /// With the library and without any setting, at the first depth.
    pub by_default: String,
    /// What went wrong.
    pub wrong: Vec<String>,
}

const USUAL: &str = "as usual";

/// Runs it without the library and with it.
///
/// # Errors
///
/// If it cannot be built or run.
pub fn measure(bench: &Bench, program: &'static Program) -> Result<Row> {
    if let Some(name) = program.prepare {
        bench.build(&format!("{name}.prepare"), "")?;
    }
    let (usual, deliveries, size) = run(bench, program, "0", &["deep.so"], &[])?;
    let (mut without, mut wrong) = (Vec::new(), Vec::new());
    if deliveries == 0 {
        wrong.push("no handler ran on an alternate stack".to_owned());
    }
    let as_usual =
        |outcome: &Outcome| (&outcome.stdout, outcome.code()) == (&usual.stdout, usual.code());
    let end = |outcome: &Outcome| if as_usual(outcome) { USUAL.to_owned() } else { end(outcome) };
    let libraries = ["deep.so", arm::LIBRARY];
    let (by_default, ..) = run(bench, program, DEPTHS[0].bytes, &libraries, &[FRAME])?;
    if program.tiny_stack && !as_usual(&by_default) {
        wrong.push(format!("by default: {by_default:?}; usually {usual:?}"));
    }
    for (number, depth) in DEPTHS.iter().enumerate() {
        let (plain, ..) = run(bench, program, depth.bytes, &["deep.so"], &[])?;
        if as_usual(&plain) && program.dies_at.is_some_and(|at| at <= number) {
            wrong.push(format!("it lives without the library at {} bytes", depth.bytes));
        }
        without.push(end(&plain));
        let (mended, deliveries, _) = run(bench, program, depth.bytes, &libraries, depth.settings)?;
        if !as_usual(&mended) {
            let bytes = depth.bytes;
            wrong.push(format!("{bytes} bytes, with the library: {mended:?}; usually {usual:?}"));
        }
        if deliveries == 0 {
            wrong.push("with the library, no handler ran on an alternate stack".to_owned());
        }
    }
    Ok(Row { program, size, without, by_default: end(&by_default), wrong })
}

/// How a program ended that did not do what it usually does.
fn end(outcome: &Outcome) -> String {
    match outcome.code() {
        139 => "dies of SIGSEGV".to_owned(),
        134 => "dies of SIGABRT".to_owned(),
        124 | 137 => "hangs".to_owned(),
        code => format!("exit status {code}"),
    }
}

/// One run: its outcome, how many handlers ran on alternate stacks, and the size of the smallest.
fn run(
    bench: &Bench,
    program: &Program,
    bytes: &str,
    libraries: &[&str],
    settings: &[(&str, &str)],
) -> Result<(Outcome, u64, u64)> {
    let work = arm::work()?;
    let seen = arm::shared(&work, ".seen", 2)?;
    let run = bench.script("deep", &[program.argument], settings, &work);
    let run = run.env("SUITE_DEEP", bytes).env("SUITE_DEEP_SEEN", &seen);
    let run = run.env("UNDER", bench.under(libraries)).deadline(Duration::from_secs(90));
    let outcome = run.output().with_context(|| program.name)?;
    let words = fs::read(&seen)?;
    let (words, _) = words.as_chunks();
    ensure!(words.len() == 2, "two words");
    Ok((outcome, u64::from_ne_bytes(words[0]), u64::from_ne_bytes(words[1])))
}

/// The head of the table.
pub const HEAD: &str = "\
| program | its alternate stack | at 11,952 bytes | the same, by default | at 64,000 bytes | with `fix`, at both |
|---|--:|---|---|---|---|
";

/// The line of one program.
#[must_use]
pub fn line(row: &Row) -> String {
    let [at_frame, deeper] = [0, 1].map(|number| row.without.get(number).map_or("", |it| it));
    let with = if row.wrong.is_empty() { USUAL } else { "DIFFERS" };
    let Row { program, size, by_default, .. } = row;
    format!("| {} | {size} | {at_frame} | {by_default} | {deeper} | {with} |\n", program.name)
}
