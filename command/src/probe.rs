//! `sigward probe`: tries the running kernel instead of reading its name.

mod children;
mod registers;
mod report;
mod waits;

use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use clap::Args;
use sigward::os::kernel_texts;
use sigward::verdict::Verdict;

use super::exit::Exit;
use super::failure::{self, Failure};
use super::output;
use super::progress::Progress;
use registers::StackPages;
pub use report::ProbeReport;

/// Provoke the defects on the running kernel, and report what was seen
///
/// Takes signals on stacks that fault and on stacks that do not, and waits for children
/// while being stopped and signalled. Counts the vector registers and the waits that are
/// lost. Everything happens in child processes of low priority, which end by themselves
/// if the probe does not end them. A defect that is seen is there; one that is not seen
/// may still be.
#[derive(Args)]
pub struct Probe {
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// How many seconds to try; each of the three parts gets a third
    #[arg(long, value_name = "N", default_value_t = 9,
          value_parser = clap::value_parser!(u32).range(1..=3600))]
    seconds: u32,
}

impl Probe {
    pub fn execute(&self) -> Result<Exit, Failure> {
        let report = try_here(self.seconds, &kernel_texts::judge())?;
        output::print(&report, self.json, ProbeReport::text)?;
        Ok(report.exit())
    }
}

/// Probes this machine for a number of seconds.
pub fn try_here(seconds: u32, verdict: &Verdict) -> Result<ProbeReport, Failure> {
    without_our_library()?;
    Ok(measure(seconds, verdict))
}

fn measure(seconds: u32, verdict: &Verdict) -> ProbeReport {
    let all = Duration::from_secs(seconds.into());
    let part = all / 3;
    let progress = Progress::of(all.as_millis() as u64);
    let begin = |message: &'static str| {
        progress.name(message);
        let (done, start) = (progress.position(), Instant::now());
        let progress = &progress;
        move || progress.reach(done + start.elapsed().min(part).as_millis() as u64)
    };
    ProbeReport::new(
        registers::measure(StackPages::Discarded, part, begin("signal frames that fault")),
        registers::measure(StackPages::Locked, part, begin("signal frames that do not")),
        waits::measure(part, begin("waits that are restarted")),
        verdict,
    )
}

/// Restarts without `LD_PRELOAD` if that loaded our library, which would hide the
/// defects.
fn without_our_library() -> Result<(), Failure> {
    if !preloaded() {
        return Ok(());
    }
    let cannot = |why: String| {
        Failure::new(format!("libsigward.so is loaded here and hides the defects: {why}"))
            .remedy("run sigward probe without it")
    };
    if std::env::var_os("LD_PRELOAD").is_none() {
        return Err(cannot(
            "not through LD_PRELOAD; perhaps through /etc/ld.so.preload".to_owned(),
        ));
    }
    failure::remark("libsigward.so is preloaded and hides the defects: probing without it");
    let mut arguments = std::env::args_os();
    let mut again = Command::new("/proc/self/exe");
    if let Some(name) = arguments.next() {
        again.arg0(name);
    }
    let error = again.args(arguments).env_remove("LD_PRELOAD").exec();
    Err(cannot(format!("cannot restart: {error}")))
}

/// Whether our library is in this process.
fn preloaded() -> bool {
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap_or_default();
    maps.lines().filter_map(|line| Path::new(line).file_name()?.to_str()).any(is_ours)
}

fn is_ours(file: &str) -> bool {
    file.starts_with("libsigward.")
}
