//! Writes `docs/faults.md`: page faults per delivery for every scenario.

use std::fmt::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::{fs, io};

use clap::Parser;
use sigward_harness::artifacts;
use sigward_harness::programs;
use sigward_harness::scenarios::{ALL, Family, NOT_HERE, Seen, With};

/// Measure the page faults per delivery for every scenario and write the table
#[derive(Parser)]
struct Options {
    /// Write it to this file
    #[arg(long, default_value_os_t = artifacts::workspace().join("docs/faults.md"))]
    output: PathBuf,
    /// Only scenarios whose name contains this; the table goes to stdout
    filter: Option<String>,
}

const HEAD: &str = "# Page faults per signal delivery

Written by `make faults`; do not edit. Each row is a program that takes a signal, does what the row
says, and takes another signal. How many page faults does the kernel take while it writes that
second frame? They are counted from outside, by ptrace (`integration/harness/src/frames.rs`),
without the library and with it under `SIGWARD=on`. Figures are `faults / deliveries`. On a healthy
kernel a fault only costs time; on an affected kernel it is where vector registers get lost. Where
the first column is 0, the kernel takes no fault anyway, and the row shows that the library adds
none.

At a delivery the kernel also writes to the thread's rseq area, before it writes the frame. A fault
there is not part of the defect, so rseq is switched off here
(`GLIBC_TUNABLES=glibc.pthread.rseq=0`).
";

fn main() -> ExitCode {
    match run(&Options::parse()) {
        Ok(clean) => ExitCode::from(u8::from(!clean)),
        Err(error) => {
            eprintln!("fault-table: {error}");
            ExitCode::from(125)
        }
    }
}

/// Returns true if no delivery faulted with the library.
fn run(options: &Options) -> io::Result<bool> {
    let (mut text, mut clean) = (String::from(HEAD), true);
    for family in ALL {
        table(family, options.filter.as_deref(), &mut text, &mut clean)?;
    }
    match &options.filter {
        Some(_) => print!("{}", &text[HEAD.len()..]),
        None => fs::write(&options.output, text)?,
    }
    Ok(clean)
}

fn table(
    family: &Family,
    filter: Option<&str>,
    text: &mut String,
    clean: &mut bool,
) -> io::Result<()> {
    let mut rows = String::new();
    for scenario in family.scenarios {
        if filter.is_some_and(|part| !scenario.name.contains(part)) {
            continue;
        }
        let _ = write!(rows, "| `{}` | {} |", scenario.name, scenario.does);
        for &libc in programs::libcs() {
            for with in [With::Nothing, With::Library] {
                let seen = family.measure(scenario.name, libc, with)?;
                *clean &= with == With::Nothing || seen.faults() == 0;
                let _ = write!(rows, " {} |", cell(&seen));
            }
        }
        rows.push('\n');
    }
    if rows.is_empty() {
        return Ok(());
    }
    let _ = write!(text, "\n## {} (`{}`)\n\n| scenario | measured |", family.title, family.program);
    for libc in programs::libcs() {
        let _ = write!(text, " {}, without | with |", libc.name());
    }
    let _ = write!(text, "\n|---|---|{}\n{rows}", "--:|--:|".repeat(programs::libcs().len()));
    Ok(())
}

fn cell(seen: &Seen) -> String {
    if seen.outcome.code() == NOT_HERE {
        return "–".to_owned();
    }
    if !seen.outcome.success() || seen.frames.is_empty() {
        return format!("**{:?}**", seen.outcome);
    }
    let (faults, deliveries) = (seen.faults(), seen.frames.len());
    // A storm takes as many signals as it can.
    if deliveries > 200 { format!("{faults} / many") } else { format!("{faults} / {deliveries}") }
}
