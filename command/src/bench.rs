//! `sigward bench`: what things cost on this machine.

mod child;
mod entry_paths;
mod report;
#[cfg_attr(not(target_arch = "x86_64"), path = "bench/not_x86.rs")]
mod x86;

use clap::Subcommand;

use super::exit::Exit;
use super::failure::Failure;
use super::output;
use child::Effort;

/// Measure what things cost on this machine
#[derive(Subcommand)]
pub enum Bench {
    /// Compare the ways in which a call enters the kernel
    ///
    /// Calls getppid, which no libc caches, through libc, syscall, int 0x80 and (in a 32-bit
    /// child) sysenter; reads the clock through vsyscall and vDSO. Child processes find out
    /// what this machine lacks; the report gives the reason.
    Syscalls {
        /// Print JSON
        #[arg(long)]
        json: bool,
        /// Write a bar chart, as SVG
        #[arg(long, value_name = "FILE")]
        plot: Option<std::path::PathBuf>,
        #[command(flatten)]
        effort: Effort,
    },
}

impl Bench {
    pub fn execute(&self) -> Result<Exit, Failure> {
        let Self::Syscalls { json, plot, effort } = self;
        let report = report::json(*effort, &entry_paths::measure(*effort));
        if let Some(file) = plot {
            std::fs::write(file, report::chart(&report))
                .map_err(|error| Failure::new(format!("--plot {}: {error}", file.display())))?;
        }
        output::print(&report, *json, report::text).map(|()| Exit::Success)
    }
}
