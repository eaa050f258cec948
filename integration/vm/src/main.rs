//! Boots kernels that have the defects in QEMU, runs every scenario without and with the
//! library, judges the results and writes them to a file.
//!
//! `make vm` runs this. See `docs/vm.md`.

mod boot;
mod families;
mod guest;
mod judge;
mod proof;
mod report;
mod scenario;

use anyhow::{Context, Result, ensure};
use boot::{BOOTS, Boot};
use clap::Parser;
use guest::{Guest, Parts, Run, home, output};
use judge::Row;
use scenario::{Arm, Kind, Scenario};
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

/// Measure the kernel defects, and sigward against them, in virtual machines.
#[derive(Parser)]
struct Options {
    /// The library under test; without it only the control arms run.
    #[arg(long, value_name = "libsigward.so")]
    library: Option<PathBuf>,
    /// The command under test.
    #[arg(long, value_name = "sigward")]
    command: Option<PathBuf>,
    /// The stress program.
    #[arg(long, value_name = "stress")]
    stress: Option<PathBuf>,
    /// Measure kernels built from this unchanged source instead: Linux 5.2 to 5.4.1.
    #[arg(long, value_name = "FOLDER")]
    kernel_source: Option<PathBuf>,
    /// Run only the scenarios whose title or meter contains TEXT.
    #[arg(long, value_name = "TEXT", default_value = "")]
    only: String,
    /// Boot only this configuration.
    #[arg(long, value_parser = BOOTS.map(|boot| boot.name))]
    boot: Option<String>,
    /// Milliseconds per arm [default: 400, with --kernel-source 3000].
    #[arg(long, value_name = "MS")]
    time: Option<u32>,
    /// Write the tables to this file.
    #[arg(long, value_name = "FILE")]
    write: Option<PathBuf>,
    /// Folder for the logs of the serial lines.
    #[arg(long, value_name = "FOLDER", default_value = "target/vm")]
    logs: PathBuf,
    /// Inside the machine: run the fault scenarios of a program.
    #[arg(long, value_name = "PROGRAM", hide = true)]
    family: Option<String>,
}

fn main() -> ExitCode {
    let options = Options::parse();
    let outcome = match &options.family {
        Some(program) => families::run(program).map(|()| 0).map_err(Into::into),
        None => run(&options),
    };
    match outcome {
        Ok(0) => ExitCode::SUCCESS,
        Ok(faults) => {
            eprintln!("vm: {faults} arms failed");
            ExitCode::FAILURE
        }
        Err(error) => {
            if !error.is::<AlreadyReported>() {
                eprintln!("vm: {error:#}");
            }
            ExitCode::from(2)
        }
    }
}

/// An error that a script has already reported to the user.
#[derive(Debug)]
struct AlreadyReported;

impl std::error::Error for AlreadyReported {}

impl std::fmt::Display for AlreadyReported {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        f.write_str("reported above")
    }
}

/// Returns the number of failing arms.
fn run(options: &Options) -> Result<usize> {
    guest::check_tools()?;
    let genuine = options.kernel_source.is_some();
    let old_glibc = old_glibc();
    let scenarios: Vec<_> = if genuine { scenario::genuine() } else { scenario::all() }
        .into_iter()
        .filter(|s| s.title.contains(&options.only) || s.meter.contains(&options.only))
        .filter(|s| match s.kind {
            Kind::Probe | Kind::Check => options.command.is_some(),
            Kind::Stress => options.stress.is_some(),
            Kind::Faults => options.library.is_some(),
            _ => true,
        })
        .filter(|s| !s.old_glibc || old_glibc.is_some())
        .collect();
    let boots = BOOTS.into_iter().filter(|boot| {
        options.boot.as_ref().is_none_or(|name| name == boot.name)
            && scenarios.iter().any(|scenario| scenario.boots.contains(boot))
    });
    let boots: Vec<_> = boots.collect();
    ensure!(!boots.is_empty(), "no scenario matches");
    // Kernels first: they take longest, and the folder may not be a kernel's source.
    let kernels: Vec<_> = boots.iter().map(|boot| kernel(*boot, options)).collect::<Result<_>>()?;

    let guest = Guest::new(&Parts {
        library: options.library.as_deref(),
        command: options.command.as_deref(),
        stress: options.stress.as_deref(),
        old_glibc: old_glibc.as_deref(),
        families: scenarios.iter().any(|scenario| scenario.kind == Kind::Faults),
    })?;
    fs::create_dir_all(&options.logs)
        .with_context(|| format!("cannot make {}", options.logs.display()))?;
    let when = circumstances();
    let mut tables = Vec::new();
    let mut faults = 0;
    for (boot, kernel) in boots.into_iter().zip(kernels) {
        let mut rows: Vec<_> = scenarios
            .iter()
            .filter(|scenario| scenario.boots.contains(&boot))
            .map(|scenario| Row { scenario, boot, reports: vec![None; scenario.arms.len()] })
            .collect();
        let run = measure(options, &guest, boot, &kernel, &mut rows)?;
        let table = report::tables(boot, &run, &rows, &when);
        println!("{table}");
        for fault in rows.iter().flat_map(Row::faults) {
            eprintln!("vm: {fault}");
            faults += 1;
        }
        tables.push(table);
    }
    if let Some(file) = &options.write {
        let before = fs::read_to_string(file).unwrap_or_default();
        let text = proof::update(&before, include_str!("../head.md"), &tables);
        fs::write(file, text).with_context(|| format!("cannot write {}", file.display()))?;
    }
    Ok(faults)
}

/// The image of the kernel to boot, built if missing. The script reports what it lacks.
fn kernel(boot: Boot, options: &Options) -> Result<PathBuf> {
    let mut command = Command::new(home().join("kernel.sh"));
    command.arg(boot.kernel);
    if let Some(source) = options.kernel_source.as_ref().filter(|_| boot.genuine) {
        command.arg(source);
    }
    let out = command.stderr(Stdio::inherit()).output().context("cannot run kernel.sh")?;
    if !out.status.success() {
        return Err(AlreadyReported.into());
    }
    Ok(String::from_utf8_lossy(&out.stdout).trim().into())
}

/// The date, and the sigward version: kernels from a user's source are not measured each
/// time.
fn circumstances() -> String {
    let word = |command: &mut Command| {
        let out = command.stderr(Stdio::null()).output().ok()?;
        let text = String::from_utf8_lossy(&out.stdout).trim().to_owned();
        (out.status.success() && !text.is_empty()).then_some(text)
    };
    let day = word(Command::new("date").args(["-u", "+%F"])).unwrap_or_else(|| "one day".into());
    let mut text = format!("on {day} with sigward {}", env!("CARGO_PKG_VERSION"));
    let git = ["describe", "--always", "--dirty"];
    if let Some(commit) = word(Command::new("git").args(git).current_dir(home())) {
        let _ = write!(text, " ({commit})");
    }
    text
}

/// The compiler for glibc 2.31, fetched if missing.
fn old_glibc() -> Option<PathBuf> {
    match output(&mut Command::new(home().join("../harness/fetch-old-glibc"))) {
        Ok(compiler) => Some(compiler.trim().into()),
        Err(error) => {
            eprintln!("vm: skipping the rows with glibc 2.31: {error:#}");
            None
        }
    }
}

/// Boots once and adds the reports to the rows; returns the boot's results.
fn measure(
    options: &Options,
    guest: &Guest,
    boot: Boot,
    kernel: &Path,
    rows: &mut [Row],
) -> Result<Run> {
    let time = options.time.unwrap_or(if boot.genuine { 3000 } else { 400 });
    let mut plan = String::new();
    let mut planned = Vec::new();
    for (row, Row { scenario, .. }) in rows.iter().enumerate() {
        for (number, arm) in scenario.arms.iter().enumerate() {
            if arm.library.is_none() || options.library.is_some() {
                let command = command_line(scenario, arm, time);
                let _ = writeln!(plan, "{}|{}|{command}", planned.len(), scenario.settings);
                planned.push((row, number));
            }
        }
    }
    eprintln!("vm: booting '{}': {} runs", boot.name, planned.len());
    let log = options.logs.join(format!("{}.log", boot.name));
    let run = guest.run(boot, kernel, &plan, &log)?;
    for (place, (row, arm)) in planned.into_iter().enumerate() {
        let report = run.reports.get(&place);
        let report = report.with_context(|| format!("arm {place} is missing in {}", log.display()));
        rows[row].reports[arm] = Some(report?.clone());
    }
    Ok(run)
}

/// The command that the guest's shell runs for an arm.
fn command_line(scenario: &Scenario, arm: &Arm, time: u32) -> String {
    if scenario.kind == Kind::Faults {
        // It preloads the library itself, into the programs it runs.
        return format!("family --family {}", scenario.meter);
    }
    let mut command = format!("env METER_MS={} ", time * scenario.longer);
    if scenario.contend {
        command.push_str("METER_CONTEND=1 ");
    }
    if let Some(variables) = arm.library {
        let _ = write!(command, "LD_PRELOAD=/lib/libsigward.so {variables} ");
    }
    if !scenario.confine.is_empty() {
        let _ = write!(command, "confine {} ", scenario.confine);
    }
    if scenario.old_glibc {
        command.push_str("/meters/old/");
    }
    command + scenario.meter
}
