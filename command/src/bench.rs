//! `sigward bench`: what things cost on this machine.

mod compat;
mod entry;
mod plot;
mod report;

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::exit::Exit;
use super::failure::Failure;
use super::output;
use super::progress::Progress;
use entry::{Effort, PATHS};
use report::{Report, Row};

/// Measure what things cost on this machine
#[derive(Args)]
pub struct Bench {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    Syscalls(Syscalls),
}

/// Compare the ways in which a call enters the kernel
///
/// Calls getppid, which no libc caches, through libc, syscall, int 0x80 and (in a 32-bit
/// child) sysenter; reads the clock through vsyscall and vDSO. Child processes find out
/// what this machine lacks; the report gives the reason.
#[derive(Args)]
struct Syscalls {
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// Write a bar chart, as SVG
    #[arg(long, value_name = "FILE")]
    plot: Option<PathBuf>,
    #[command(flatten)]
    effort: Effort,
}

impl Bench {
    pub fn execute(&self) -> Result<Exit, Failure> {
        let What::Syscalls(Syscalls { json, plot, effort }) = &self.what;
        let progress = Progress::of(PATHS.len() as u64);
        let rows = PATHS.iter().enumerate().map(|(at, path)| {
            progress.name(path.name);
            let row = Row::new(path, (path.measure)(*effort));
            progress.reach(at as u64 + 1);
            row
        });
        let report = Report::new(*effort, rows.collect());
        drop(progress);
        if let Some(file) = plot {
            std::fs::write(file, plot::svg(&report))
                .map_err(|error| Failure::new(format!("--plot {}: {error}", file.display())))?;
        }
        output::print(&report, *json, Report::text)?;
        Ok(Exit::Success)
    }
}
