//! `sigward check`: which known defects this machine has, and what follows from it.

pub mod explain;
mod formats;
mod report;

use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use clap::{Args, ValueEnum};
use sigward::arch;
use sigward::verdict::{self, CpuTraits, Verdict};

use super::environment::environ;
use super::exit::Exit;
use super::failure::Failure;
use super::kernel::KernelOptions;
use super::output;
use super::plan::{self, PlanReport};
use crate::machine::Machine;
use crate::probe;
use crate::quirks::model::{Arch, System};
use crate::quirks::{self, judge};
use report::{CheckReport, Overall};

/// Say whether this kernel is affected, and why
///
/// Looks up this machine (version, branch, processor, libc) in the table of known defects, and
/// says of each what applies, what is fixed, and what sigward does about it. Also shows what the
/// library would do in a program here under the SIGWARD_* variables of the environment, each
/// part with its reason. With --kernel, judges another machine by its texts; a row that needs a
/// feature of the processor then says so.
#[derive(Args)]
#[command(after_help = "Examples:
  sigward check
  sigward check --kernel 5.3.1-1-generic --json    another machine
  sigward check --format nrpe")]
pub struct Check {
    /// Print JSON: the short form of --format json
    #[arg(long, conflicts_with = "format")]
    json: bool,
    /// How to print the result
    ///
    /// prometheus: for node_exporter's textfile collector. nfd: a feature file for Kubernetes'
    /// Node Feature Discovery. nrpe: one line for Nagios, with exit codes 0 (fine), 1 (affected:
    /// sigward helps, or it is slight), 2 (affected: only another kernel helps) and 3 (unknown).
    #[arg(long, value_enum, value_name = "FORMAT", default_value = "text")]
    format: Format,
    /// Write it to this file, all at once (a new file is renamed to it)
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// List every row of the table, also those that do not concern this machine
    #[arg(long)]
    all: bool,
    /// Explain one row: its id, or its CVE number
    #[arg(long, value_name = "ID", conflicts_with_all = ["format", "json", "all"])]
    explain: Option<String>,
    /// Also try, for this many seconds, what `sigward probe` can show: what is seen counts more
    /// than the version
    #[arg(long, value_name = "SECONDS", num_args = 0..=1, default_missing_value = "9",
          conflicts_with = "kernel", value_parser = clap::value_parser!(u32).range(1..=3600))]
    probe: Option<u32>,
    #[command(flatten)]
    kernel: KernelOptions,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    Text,
    Json,
    Prometheus,
    Nfd,
    Nrpe,
}

impl Check {
    pub fn execute(&self) -> Result<Exit, Failure> {
        let (machine, verdict) = self.judge()?;
        let mut findings = judge::judge(&machine, &verdict);
        if let Some(id) = &self.explain {
            let row = quirks::find(id).ok_or_else(|| {
                Failure::new(format!("--explain {id}: no row has this id or CVE number"))
                    .remedy("sigward check --all lists them")
            })?;
            let finding = findings.iter().find(|finding| finding.row.id == row.id);
            let text = finding.map_or(String::new(), |finding| explain::text(finding, &machine));
            output::put(&text, self.output.as_deref())?;
            return Ok(Exit::Success);
        }
        let tried = self.probe.map(|seconds| probe::try_here(seconds, &verdict)).transpose()?;
        for seen in tried.iter().flat_map(probe::ProbeReport::seen) {
            for finding in findings.iter_mut().filter(|finding| finding.row.id == *seen) {
                finding.state = judge::State::Seen;
                finding.open.clear();
            }
        }
        let environ = environ();
        let reasons = self.kernel.reasons(&verdict);
        let plan = self.plan(verdict, &environ, &machine);
        let report = CheckReport::of(&machine, &verdict, &findings, reasons, plan, self.all, tried);
        self.print(&report)
    }

    fn print(&self, report: &CheckReport) -> Result<Exit, Failure> {
        let format = if self.json { Format::Json } else { self.format };
        let text = match format {
            Format::Text => report.text(),
            Format::Json => output::json(report)?,
            Format::Prometheus => formats::prometheus(report),
            Format::Nfd => formats::node_features(report),
            Format::Nrpe => formats::nrpe(report).1,
        };
        output::put(&text, self.output.as_deref())?;
        Ok(match (format, report.overall) {
            (Format::Nrpe, _) => formats::nrpe(report).0,
            (_, Overall::NotAffected) => Exit::Success,
            (_, Overall::Affected) => Exit::Affected,
            (_, Overall::Unknown | Overall::NoEvidence) => Exit::Unknown,
        })
    }

    /// The machine, and what the library's own judge says of its kernel.
    fn judge(&self) -> Result<(Machine, Verdict), Failure> {
        if let Some((texts, arch)) = self.kernel.elsewhere()? {
            let verdict = texts.verdict(arch.name(), CpuTraits::MODERN);
            return Ok((Machine::elsewhere(&texts, arch), verdict));
        }
        let (machine, texts) = Machine::here();
        let cpu = || {
            let arch::Features { xsave, avx } = arch::features();
            CpuTraits { x86_64: arch::IS_X86_64, xsave, avx }
        };
        // As the library does: CPUID is slow in a virtual machine.
        let asks = verdict::needs_proc(texts.release.as_bytes());
        let verdict = texts.verdict(&texts.machine, if asks { cpu() } else { CpuTraits::MODERN });
        Ok((machine, verdict))
    }

    /// What the library would do there; `None` where there is no library for Linux.
    fn plan(
        &self,
        verdict: Verdict,
        environ: &[OsString],
        machine: &Machine,
    ) -> Option<PlanReport> {
        let (config, bad) = plan::settings(environ.iter().map(|entry| entry.as_bytes()));
        if !self.kernel.is_given() {
            return Some(PlanReport::of_next_program(&config, bad, verdict));
        }
        let has_library = machine.kernel.system == System::Linux && machine.arch == Arch::X86_64;
        has_library.then(|| PlanReport::elsewhere(&config, bad, verdict))
    }
}
