//! Boots kernels that have the defects in QEMU, runs every scenario without and
//! with the library, judges the results and writes them down.
//!
//! `make vm` runs this. See `docs/vm.md`.

mod guest;
mod report;
mod scenario;

use anyhow::{Context, Result, ensure};
use clap::Parser;
use guest::{Guest, home, output};
use report::Row;
use scenario::{Arm, BOOTS, Boot, Kind, Scenario};
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

/// Measure the kernel defects, and sigward against them, in virtual machines.
#[derive(Parser)]
struct Options {
    /// The library under test; without it only the control arms run.
    #[arg(long, value_name = "libsigward.so")]
    library: Option<PathBuf>,
    /// The command under test.
    #[arg(long, value_name = "sigward")]
    command: Option<PathBuf>,
    /// Run only the scenarios whose title or meter contains TEXT.
    #[arg(long, value_name = "TEXT", default_value = "")]
    only: String,
    /// Boot only this machine.
    #[arg(long, value_parser = BOOTS.map(|boot| boot.name))]
    boot: Option<String>,
    /// How long each arm measures, in milliseconds.
    #[arg(long, value_name = "MS", default_value_t = 400)]
    time: u32,
    /// Write the tables into this file.
    #[arg(long, value_name = "FILE")]
    write: Option<PathBuf>,
    /// Folder for the logs of the serial lines.
    #[arg(long, value_name = "FOLDER", default_value = "target/vm")]
    logs: PathBuf,
}

fn main() -> ExitCode {
    match run(&Options::parse()) {
        Ok(0) => ExitCode::SUCCESS,
        Ok(faults) => {
            eprintln!("vm: {faults} arms are not as they must be");
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("vm: {error:#}");
            ExitCode::from(2)
        }
    }
}

/// The number of arms that are not as they must be.
fn run(options: &Options) -> Result<usize> {
    guest::check_tools()?;
    let old_glibc = old_glibc();
    let guest =
        Guest::new(options.library.as_deref(), options.command.as_deref(), old_glibc.as_deref())?;
    fs::create_dir_all(&options.logs)
        .with_context(|| format!("cannot make {}", options.logs.display()))?;

    let scenarios: Vec<_> = scenario::all()
        .into_iter()
        .filter(|s| s.title.contains(&options.only) || s.meter.contains(&options.only))
        .filter(|s| s.kind != Kind::Probe || options.command.is_some())
        .filter(|s| !s.old_glibc || old_glibc.is_some())
        .collect();
    let mut tables = Vec::new();
    let mut faults = 0;
    for boot in BOOTS {
        if options.boot.as_ref().is_some_and(|name| name != boot.name) {
            continue;
        }
        let mut rows: Vec<_> = scenarios
            .iter()
            .filter(|scenario| scenario.boots.contains(&boot))
            .map(|scenario| Row { scenario, boot, reports: vec![None; scenario.arms.len()] })
            .collect();
        if rows.is_empty() {
            continue;
        }
        let kernel = measure(options, &guest, boot, &mut rows)?;
        let table = report::tables(boot, &kernel, &rows);
        println!("{table}");
        for fault in rows.iter().flat_map(Row::faults) {
            eprintln!("vm: {fault}");
            faults += 1;
        }
        tables.push(table);
    }
    ensure!(!tables.is_empty(), "no scenario matches");
    if let Some(file) = &options.write {
        let text = format!("{}\n{}", include_str!("../head.md"), tables.join("\n"));
        fs::write(file, text).with_context(|| format!("cannot write {}", file.display()))?;
    }
    Ok(faults)
}

/// The compiler for glibc 2.31, fetched now if it is not there yet.
fn old_glibc() -> Option<PathBuf> {
    match output(&mut Command::new(home().join("../harness/fetch-old-glibc"))) {
        Ok(compiler) => Some(compiler.trim().into()),
        Err(error) => {
            eprintln!("vm: the rows with glibc 2.31 are left out: {error:#}");
            None
        }
    }
}

/// Boots once and fills the rows; returns what the kernel calls itself.
fn measure(options: &Options, guest: &Guest, boot: Boot, rows: &mut [Row]) -> Result<String> {
    let image = output(Command::new(home().join("kernel.sh")).arg(boot.kernel))
        .with_context(|| format!("no kernel '{}'", boot.kernel))?;
    let mut plan = String::new();
    let mut planned = Vec::new();
    for (row, Row { scenario, .. }) in rows.iter().enumerate() {
        for (number, arm) in scenario.arms.iter().enumerate() {
            if arm.library.is_none() || options.library.is_some() {
                let command = command_line(scenario, arm, options.time);
                let _ = writeln!(plan, "{}|{}|{command}", planned.len(), scenario.settings);
                planned.push((row, number));
            }
        }
    }
    eprintln!("vm: booting '{}': {} runs", boot.name, planned.len());
    let log = options.logs.join(format!("{}.log", boot.name));
    let run = guest.run(boot, Path::new(image.trim()), &plan, &log)?;
    for (place, (row, arm)) in planned.into_iter().enumerate() {
        let report = run.reports.get(&place);
        let report = report.with_context(|| format!("arm {place} is missing in {}", log.display()));
        rows[row].reports[arm] = Some(report?.clone());
    }
    Ok(run.kernel)
}

/// What the guest's shell runs for one arm.
fn command_line(scenario: &Scenario, arm: &Arm, time: u32) -> String {
    let mut command = format!("env METER_MS={} ", time * scenario.longer);
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
