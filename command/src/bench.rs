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
/// Calls getppid, which no libc caches, by libc, syscall, int 0x80 and (in a
/// 32-bit child) sysenter; and the clock by vsyscall and vDSO. What this machine
/// does not have is found out in children and said with its reason.
#[derive(Args)]
struct Syscalls {
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// Write a bar chart, as SVG
    #[arg(long, value_name = "FILE")]
    plot: Option<PathBuf>,
    /// Rounds of each path; the least and the median of them are shown
    #[arg(long, value_name = "N", default_value_t = 200,
          value_parser = clap::value_parser!(u32).range(1..=100_000))]
    rounds: u32,
    /// Calls in a round
    #[arg(long, value_name = "N", default_value_t = 1000,
          value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    calls: u32,
}

impl Bench {
    pub fn execute(&self) -> Result<Exit, Failure> {
        match &self.what {
            What::Syscalls(syscalls) => syscalls.execute(),
        }
    }
}

impl Syscalls {
    fn execute(&self) -> Result<Exit, Failure> {
        let report = self.measure();
        if let Some(file) = &self.plot {
            std::fs::write(file, plot::svg(&report))
                .map_err(|error| Failure::new(format!("--plot {}: {error}", file.display())))?;
        }
        output::print(&report, self.json, Report::text)?;
        Ok(Exit::Success)
    }

    fn measure(&self) -> Report {
        let effort = Effort { rounds: self.rounds, calls: self.calls };
        let progress = Progress::of(PATHS.len() as u64);
        let rows = PATHS.iter().map(|path| {
            progress.name(path.name);
            let row = Row::new(path, (path.measure)(effort));
            progress.reach(progress.position() + 1);
            row
        });
        Report::new(effort, rows.collect())
    }
}
