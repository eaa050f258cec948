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
mod exposition;
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
    #[command(after_long_help = run::long_help())]
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

/// What `sigward run` parses its options by: to describe the other subcommands takes more time than
/// all else that it does. Without what `--help` ends with.
#[derive(Parser)]
#[command(name = "sigward")]
enum OnlyRun {
    Run(run::Run),
}

/// # Safety
/// Called by libc, once.
// SAFETY: no other `main` is linked in.
#[cfg_attr(not(test), unsafe(no_mangle))]
#[cfg_attr(test, allow(dead_code))]
unsafe extern "C" fn main(count: c_int, vector: *const *const c_char) -> c_int {
    start::ignore_sigpipe();
    start::learn_from_kernel();
    // SAFETY: the arguments of `main`.
    let arguments = unsafe { start::arguments(count, vector) };
    execute(arguments).code()
}

fn execute(arguments: Vec<OsString>) -> Exit {
    let command = match parse(arguments) {
        Ok(command) => command,
        Err(error) => {
            // If the terminal is gone, nothing useful is left to do.
            let _ = error.print();
            return if error.use_stderr() { Exit::Failed } else { Exit::Success };
        }
    };
    if !matches!(command, Command::Run(_)) {
        start::open_standard_descriptors();
    }
    let outcome = match command {
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

/// The arguments as clap parses them. It does not parse what is nothing but a command.
fn parse(mut arguments: Vec<OsString>) -> Result<Command, clap::Error> {
    let word = |at: usize| arguments.get(at).map(OsString::as_os_str).unwrap_or_default();
    if word(1) != "run" {
        return Cli::try_parse_from(arguments).map(|cli| cli.command);
    }
    if word(2) == "--" && arguments.len() > 3 {
        return Ok(Command::Run(run::Run::without_options(arguments.split_off(3))));
    }
    if arguments.iter().any(|argument| argument == "--help") {
        return Cli::try_parse_from(arguments).map(|cli| cli.command);
    }
    OnlyRun::try_parse_from(arguments).map(|OnlyRun::Run(run)| Command::Run(run))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What `parse` makes of the arguments without the whole parser is what that makes of them.
    #[test]
    fn run_is_parsed_the_short_way_as_the_long_one() {
        for line in [
            "run -- a",
            "run -- a --mode on -- --help -h",
            "run -- --",
            "run -- -- a",
            "run -- run --",
            "run a -- b",
            "run a --help",
            "run --mode on --set SIGWARD_LOG=warn -q a -q",
            "run --init -g --rewrite TERM:INT -e 3 --grace 5 -- a",
            "run --dry-run --json --memlock 8M a",
            "run",
            "run --",
            "run -h",
            "run --help",
            "run --mode",
            "run --mode maybe a",
            "run --nothing a",
            "run -x -- a",
            "run --quiet --verbose a",
            "run --version",
            "running a",
            "--version",
        ] {
            let arguments = || ["sigward"].into_iter().chain(line.split(' ')).map(OsString::from);
            let whole = Cli::try_parse_from(arguments()).map(|cli| cli.command);
            match (parse(arguments().collect()), whole) {
                (Ok(Command::Run(short)), Ok(Command::Run(long))) => {
                    assert_eq!(short, long, "{line}");
                }
                (Err(short), Err(long)) => {
                    assert_eq!(short.to_string(), long.to_string(), "{line}");
                }
                _ => panic!("{line}"),
            }
        }
    }
}
