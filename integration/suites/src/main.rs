//! Runs all suites and writes the table. `make suites` runs this.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, ExitCode, Stdio};

use anyhow::{Context, Result, ensure};
use clap::Parser;
use sigward_suites::arm::Bench;
use sigward_suites::deep::{self, PROGRAMS, Program};
use sigward_suites::session::{self, SuiteResult};
use sigward_suites::suite::{SUITES, Suite, installed, packages};
use sigward_suites::table;

/// The value of `--only` that chooses the programs with deep handlers.
const DEEP: &str = "deep";

/// Run the tests of other software without and with libsigward.so, and compare the
/// verdicts.
#[derive(Parser)]
struct Options {
    /// Only the short selection.
    #[arg(long)]
    short: bool,
    /// Only the suites whose name contains TEXT; `deep`: only the programs with deep handlers.
    #[arg(long, value_name = "TEXT", default_value = "")]
    only: String,
    /// Print the Debian packages that the suites need, then stop.
    #[arg(long)]
    packages: bool,
    /// Install what is missing, then stop.
    #[arg(long)]
    install: bool,
    /// Number of runs without the library; a test on which they disagree is flaky.
    #[arg(long, value_name = "N", default_value_t = 2)]
    plain: usize,
    /// Number of suites to run at the same time; most of them sleep.
    #[arg(long, value_name = "N", default_value_t = 3)]
    jobs: usize,
    /// Write the table to this file, if every suite was run.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["short", "only"])]
    write: Option<PathBuf>,
}

fn main() -> ExitCode {
    match run(&Options::parse()) {
        Ok(0) => ExitCode::SUCCESS,
        Ok(bad) => {
            eprintln!("suites: {bad} of them fail");
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("suites: {error:#}");
            ExitCode::from(2)
        }
    }
}

/// Returns the number of suites that fail.
fn run(options: &Options) -> Result<usize> {
    let suites: Vec<&'static Suite> = SUITES
        .iter()
        .filter(|suite| suite.selected(options.short))
        .filter(|suite| suite.name.contains(&options.only))
        .collect();
    let deep: Vec<&'static Program> = PROGRAMS
        .iter()
        .filter(|program| program.short || !options.short)
        .filter(|_| options.only.is_empty() || options.only == DEEP)
        .collect();
    ensure!(!suites.is_empty() || !deep.is_empty(), "no suite matches");
    let needs = suites.iter().map(|suite| suite.needs).chain(deep.iter().map(|it| it.needs));
    if options.packages {
        println!("{}", packages(needs));
        return Ok(0);
    }
    if options.install {
        let missing = packages(needs.filter(|needs| !installed(needs)));
        return install(&missing).map(|()| 0);
    }

    let bench = Bench::new()?;
    print!("{}", table::HEAD);
    let results: Vec<SuiteResult> = session::run(&suites, options.jobs, |suite| {
        let result = session::compare(&bench, suite, options.plain);
        print!("{}{}", result.line, result.remarks);
        result
    });
    let deep = deep_handlers(&bench, &deep, options.jobs);
    if options.only.is_empty() || options.only == DEEP {
        print!("{}", deep.text);
    }
    let lines = results.iter().map(|result| &*result.line);
    let text: String = [include_str!("../head.md"), table::HEAD]
        .into_iter()
        .chain(lines)
        .chain(["\n"])
        .chain(results.iter().map(|result| &*result.remarks))
        .chain([&*deep.text])
        .collect();
    let bad = results.iter().filter(|result| !result.holds).count() + deep.bad;
    let complete = deep.complete && results.iter().all(|result| !result.line.is_empty());
    if let Some(file) = options.write.as_ref().filter(|_| complete) {
        fs::write(file, text).with_context(|| file.display().to_string())?;
    }
    println!("logs of all runs: {}", bench.logs().display());
    Ok(bad)
}

/// What became of the programs with deep handlers.
struct Deep {
    text: String,
    bad: usize,
    complete: bool,
}

fn deep_handlers(bench: &Bench, programs: &[&'static Program], jobs: usize) -> Deep {
    let rows = session::run(programs, jobs, |program| deep::measure(bench, program));
    let mut text = format!("\n{}{}", include_str!("../deep.md"), deep::HEAD);
    let (mut remarks, mut bad, mut complete) = (String::new(), 0, true);
    for (program, row) in programs.iter().zip(rows) {
        let wrong = match row {
            Ok(row) => {
                text.push_str(&deep::line(&row));
                row.wrong
            }
            Err(error) => {
                complete = false;
                vec![format!("NOT RUN: {error:#}")]
            }
        };
        bad += usize::from(!wrong.is_empty());
        remarks.extend(wrong.iter().map(|words| format!("- {}: {words}\n", program.name)));
    }
    if !remarks.is_empty() {
        text = format!("{text}\n{remarks}");
    }
    Deep { text, bad, complete }
}

fn install(packages: &str) -> Result<()> {
    if packages.is_empty() {
        return Ok(());
    }
    println!("installing {packages}");
    let script = format!(
        "sudo=; [ $(id -u) = 0 ] || sudo=sudo; $sudo apt-get update -q && \
         $sudo env DEBIAN_FRONTEND=noninteractive apt-get install -qy --no-install-recommends {packages}"
    );
    let status = Command::new("sh").args(["-c", &script]).stdout(Stdio::null()).status()?;
    ensure!(status.success(), "apt-get: {status}");
    Ok(())
}
