//! The `sigward` command: one file per subcommand. [`exit`] has the table of exit codes,
//! [`failure`] the errors (what, its value, the remedy), [`output`] prints reports,
//! [`plan`] says what the library would do, [`quirks`] is the table of known defects, [`machine`]
//! what is judged by it.

// --help prints the doc comments of arguments; backticks would be noise there.
#![allow(clippy::doc_markdown)]
// See start.rs.
#![cfg_attr(not(test), no_main)]

mod bar_chart;
mod bench;
mod check;
mod credentials;
mod cures;
mod doctor;
mod environment;
mod exit;
mod failure;
mod image;
mod init;
mod inspect;
mod kernel;
mod library;
mod machine;
mod output;
mod pages;
mod plan;
mod probe;
mod program;
mod progress;
mod quirks;
mod run;
mod start;
mod system;
mod unit;
mod watch;

use std::ffi::{OsString, c_char, c_int};

use clap::{Parser, Subcommand};

use exit::Exit;
use failure::Failure;

/// Hardens existing programs against kernels that lose registers at signals.
#[derive(Parser)]
#[command(name = "sigward", version, after_help = exit::HELP)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    // Each is described where it is defined: a doc comment here would replace that one.
    Run(run::Run),
    Check(check::Check),
    Doctor(doctor::Doctor),
    Probe(probe::Probe),
    #[command(subcommand)]
    Bench(bench::Bench),
    Library(library::command::LibraryCommand),
    Install(system::Install),
    Uninstall(system::Uninstall),
    Unit(unit::Unit),
    Watch(watch::Watch),
    #[command(hide = true)]
    Pages(pages::Pages),
}

/// # Safety
/// Called by libc, once.
// SAFETY: no other `main` is linked in.
#[cfg_attr(not(test), unsafe(no_mangle))]
#[cfg_attr(test, allow(dead_code))]
unsafe extern "C" fn main(count: c_int, vector: *const *const c_char) -> c_int {
    start::ignore_sigpipe();
    start::learn_page_size();
    // SAFETY: the arguments of `main`.
    let arguments = unsafe { start::arguments(count, vector) };
    execute(arguments).code()
}

fn execute(arguments: Vec<OsString>) -> Exit {
    let cli = match Cli::try_parse_from(arguments) {
        Ok(cli) => cli,
        Err(error) => {
            // If the terminal is gone, nothing useful is left to do.
            let _ = error.print();
            return if error.use_stderr() { Exit::Failed } else { Exit::Success };
        }
    };
    if !matches!(cli.command, Command::Run(_)) {
        start::open_standard_descriptors();
    }
    let outcome = match cli.command {
        Command::Run(run) => run.execute(),
        Command::Check(check) => check.execute(),
        Command::Doctor(doctor) => doctor.execute(),
        Command::Probe(probe) => probe.execute(),
        Command::Bench(bench) => bench.execute(),
        Command::Library(library) => library.execute(),
        Command::Install(install) => install.execute(),
        Command::Uninstall(uninstall) => uninstall.execute(),
        Command::Unit(unit) => unit.execute(),
        Command::Watch(watch) => watch.execute(),
        Command::Pages(pages) => pages.execute::<Cli>(),
    };
    outcome.unwrap_or_else(|failure: Failure| failure.report())
}
