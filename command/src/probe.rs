//! `sigward probe`: tries the running kernel instead of reading its name.

mod children;
mod dynamic;
mod registers;
mod report;
mod room;
mod waits;

use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use clap::Args;
use sigward::config::preload;
use sigward::os::kernel_texts;
use sigward::verdict::Verdict;

use super::environment::ProgramEnvironment;
use super::exit::Exit;
use super::failure::{self, Failure};
use super::library::Library;
use super::output;
use super::progress::Progress;
use crate::machine::{Emulator, Machine};
use registers::{Length, StackPages};
pub use report::ProbeReport;

/// Provoke the defects on the running kernel, and report what was seen
///
/// Takes signals on stacks that fault and, for as long, on stacks that do not, and waits for
/// children while being stopped and signalled. Ends each part with the first loss, and shows the
/// registers. Also measures a signal frame, and compares it with what the kernel says. Everything
/// happens in child processes of low priority, which end by themselves if the probe does not end
/// them. A defect that is seen is there; one that is not seen may still be.
#[derive(Args)]
#[command(after_help = "Examples:
  sigward probe
  sigward probe --seconds 60 --json")]
pub struct Probe {
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// How many seconds to try; each of the three parts gets a third
    #[arg(long, value_name = "N", default_value_t = 60,
          value_parser = clap::value_parser!(u32).range(1..=3600))]
    seconds: u32,
    /// Go on after the first loss, and count them all
    #[arg(long)]
    whole: bool,
    /// Do the same under libsigward.so, with SIGWARD=on
    ///
    /// First shows, without the library, that signal frames can fault on this machine at all. No
    /// loader puts the library into a static command, which runs a dynamic one that it contains: for
    /// that, glibc must be installed.
    #[arg(long)]
    hardened: bool,
    /// Use this library instead of the installed one
    #[arg(long, value_name = "PATH", requires = "hardened")]
    library: Option<PathBuf>,
}

impl Probe {
    pub fn execute(&self) -> Result<Exit, Failure> {
        if self.hardened {
            under_our_library(self.library.as_deref())?;
        } else {
            without_our_library()?;
        }
        let report = measure(self.seconds, self.whole, self.hardened, &kernel_texts::judge());
        output::print(&report, self.json, ProbeReport::text)?;
        Ok(report.exit())
    }
}

/// Probes this machine for a number of seconds.
pub fn try_here(seconds: u32, verdict: &Verdict) -> Result<ProbeReport, Failure> {
    without_our_library()?;
    Ok(measure(seconds, false, false, verdict))
}

fn measure(seconds: u32, whole: bool, hardened: bool, verdict: &Verdict) -> ProbeReport {
    let all = Duration::from_secs(seconds.into());
    let part = all / 3;
    let progress = Progress::of(all.as_millis() as u64);
    let begin = |message: &'static str| {
        progress.name(message);
        let (done, start) = (progress.position(), Instant::now());
        let progress = &progress;
        move || progress.reach(done + start.elapsed().min(part).as_millis() as u64)
    };
    let length = Length { time: part, whole, hardened };
    let faulting =
        registers::measure(StackPages::Discarded, length, begin("signal frames that fault"));
    // As long as the other leg, which may have ended with a loss.
    let equal = Length { time: part.min(Duration::from_secs_f64(faulting.seconds)), ..length };
    let locked = registers::measure(StackPages::Locked, equal, begin("signal frames that do not"));
    let waits = waits::measure(length, begin("waits that are restarted"));
    let (machine, _) = Machine::here();
    let emulator = machine.emulator.map(Emulator::name);
    ProbeReport::new((faulting, locked), waits, room::measure(), hardened, emulator, verdict)
}

/// Restarts with our library in front, unless that is here already.
fn under_our_library(library: Option<&Path>) -> Result<(), Failure> {
    if preloaded() {
        return Ok(());
    }
    let cannot = |why: &str| Failure::new(format!("probe --hardened: {why}"));
    let library = Library::find(library, &ProgramEnvironment::inherited())?;
    let existing = std::env::var_os("LD_PRELOAD");
    let preload = library.in_front_of(existing.as_deref())?;
    if existing.as_ref() == Some(&preload) {
        return Err(cannot("the loader did not put the library into this command"));
    }
    let second = Length { time: Duration::from_secs(1), whole: false, hardened: false };
    let without = registers::measure(StackPages::Discarded, second, || ());
    if let Some(trouble) = without.trouble {
        return Err(cannot(&format!("cannot show what the library is for here: {trouble}")));
    }
    let (program, remedy) = if cfg!(target_feature = "crt-static") {
        let program = dynamic::program().map_err(|error| {
            cannot(&format!("this sigward is static, and has no dynamic one for it: {error}"))
                .remedy("use a dynamic one: cargo build --release -p sigward-command")
        })?;
        (program, "a program with a loader is needed: install glibc, or use a sigward built here")
    } else {
        (PathBuf::from(OURSELVES), "see whether /proc is mounted")
    };
    let error = again(&program).env("LD_PRELOAD", preload).env("SIGWARD", "on").exec();
    Err(cannot(&format!("cannot start under the library: {error}")).remedy(remedy))
}

const OURSELVES: &str = "/proc/self/exe";

/// This command, as in the file `program`, with its arguments.
fn again(program: &Path) -> Command {
    let mut arguments = std::env::args_os();
    let mut again = Command::new(program);
    if let Some(name) = arguments.next() {
        again.arg0(name);
    }
    again.args(arguments);
    again
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
    let error = again(Path::new(OURSELVES)).env_remove("LD_PRELOAD").exec();
    Err(cannot(format!("cannot restart: {error}")))
}

/// Whether our library is in this process.
fn preloaded() -> bool {
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap_or_default();
    maps.lines().any(|line| preload::is_ours(line.as_bytes()))
}
