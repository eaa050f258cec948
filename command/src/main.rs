//! The `sigward` command: one file per subcommand. [`exit`] has the table of exit codes,
//! [`failure`] the errors (what, its value, the remedy), [`output`] prints reports,
//! [`plan`] says what the library would do, [`quirks`] is the table of known defects, [`machine`]
//! what is judged by it.

// --help prints the doc comments of arguments; backticks would be noise there.
#![allow(clippy::doc_markdown)]

mod bench;
mod check;
mod cures;
mod environment;
mod exit;
mod failure;
mod image;
mod library;
mod machine;
mod output;
mod plan;
mod probe;
mod program;
mod progress;
mod quirks;
mod run;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use exit::Exit;
use failure::Failure;

/// Hardens existing programs against kernels that lose registers at signals.
#[derive(Parser)]
#[command(version, after_help = exit::HELP)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    // Each is described where it is defined: a doc comment here would replace that one.
    Run(run::Run),
    Check(check::Check),
    Probe(probe::Probe),
    Bench(bench::Bench),
}

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // If the terminal is gone, nothing useful is left to do.
            let _ = error.print();
            return if error.use_stderr() { Exit::Failed } else { Exit::Success }.into();
        }
    };
    let outcome = match cli.command {
        Command::Run(run) => run.execute(),
        Command::Check(check) => check.execute(),
        Command::Probe(probe) => probe.execute(),
        Command::Bench(bench) => bench.execute(),
    };
    outcome.unwrap_or_else(|failure: Failure| failure.report()).into()
}
