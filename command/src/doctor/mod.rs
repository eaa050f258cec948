//! `sigward doctor`: whether a machine, a program or a running process is covered, by the
//! library's word and by the kernel's.
//!
//! | module | owns |
//! |---|---|
//! | `machine` | the kernel, frames, limits, what disturbs |
//! | [`process`] | one live process: gathers, compares, judges |
//! | `library_row`, `stacks` | what its library publishes; its stacks beside the kernel's word |
//! | `kernel_view`, `kernel_word` | the files of `/proc/PID`; what they say of it as a whole |
//! | `threads`, `children` | its threads, and the processes that it started |
//! | [`standing`] | the answer, and the exit code |
//! | `text`, `metrics` | the report for people, and for monitoring |

pub mod process;
pub mod standing;

mod children;
mod depth;
mod kernel_view;
mod kernel_word;
mod larger;
mod library_row;
mod machine;
mod metrics;
mod stacks;
mod text;
mod threads;

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use nix::errno::Errno;
use nix::sys::signal::kill;
use nix::unistd::{Pid, geteuid};
use serde::Serialize;

use super::exit::Exit;
use super::failure::{self, Failure};
use super::inspect::{Depth, Inspection, escaped, inspect};
use super::kernel::KernelOptions;
use super::output;
use super::program;
use machine::Machine;
use process::{Absent, ProcessReport};
use standing::Standing;

/// Say whether this machine, programs or running processes are covered, and why
///
/// Looks and changes nothing. A process is judged by what its library publishes and by what the
/// kernel says about it; a program by its file. Without a target, only the machine is judged.
#[derive(Args)]
#[command(after_help = "\
Exit codes: 0 covered, or nothing to cover; 1 affected and not covered, or only in part;
2 unknown: it could not be seen, is not there, or the kernel's texts do not decide it.

Examples:
  sigward doctor                          the machine
  sigward doctor 4711                     a running process
  sigward doctor ./legacy-server          a program, before it is started
  sigward doctor --all --format json      all processes, for other programs
  sigward doctor --all --format prometheus --output FILE   for node_exporter")]
pub struct Doctor {
    /// The number of a process, or a program as a shell would find it (./7 is a program)
    #[arg(value_name = "PID|PROGRAM")]
    targets: Vec<OsString>,
    /// Look at every process
    #[arg(long, conflicts_with = "targets")]
    all: bool,
    /// How to print the report
    #[arg(long, value_enum, default_value = "human")]
    format: Format,
    /// Write the report to this file, which has the old one or the new one at any time
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    #[command(flatten)]
    kernel: KernelOptions,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    Human,
    Json,
    /// Counts of processes, for node_exporter's textfile collector
    Prometheus,
}

/// What is to be looked at.
enum Target {
    Process(u32),
    Program(PathBuf),
}

/// What `--format json` prints: see `docs/doctor.md`. The names are an interface: add, do
/// not rename.
#[derive(Serialize)]
struct Report {
    meta: Meta,
    machine: Machine,
    processes: Vec<ProcessReport>,
    programs: Vec<ProgramReport>,
    /// Targets that are not there.
    failed: Vec<Failed>,
    exit: u8,
}

#[derive(Serialize)]
#[allow(clippy::struct_excessive_bools, reason = "each is an independent fact")]
struct Meta {
    /// Goes up when a name or a meaning changes, not when a name is added.
    format_version: u32,
    sigward: &'static str,
    as_root: bool,
    /// Whether the kernel's texts were given on the command line.
    pretended: bool,
    /// Whether something could not be seen: `not_seen` here and of each process.
    reduced_accuracy: bool,
    not_seen: Vec<String>,
    /// Whether every process was asked for.
    all: bool,
    /// Processes that ended while they were looked at.
    ended: usize,
}

#[derive(Serialize)]
struct ProgramReport {
    name: String,
    standing: Standing,
    #[serde(flatten)]
    inspection: Inspection,
}

#[derive(Serialize)]
struct Failed {
    target: String,
    why: String,
}

const FORMAT_VERSION: u32 = 1;

impl Doctor {
    pub fn execute(&self) -> Result<Exit, Failure> {
        let targets: Vec<Target> =
            self.targets.iter().map(|text| target(text)).collect::<Result<_, _>>()?;
        let verdict = self.kernel.judge()?;
        let affected = machine::is_affected(&verdict);
        let mut report = Report {
            meta: self.meta(),
            machine: Machine::look(&self.kernel, &verdict),
            processes: Vec::new(),
            programs: Vec::new(),
            failed: Vec::new(),
            exit: 0,
        };
        if verdict.gvisor {
            report.meta.not_seen.push("the host's kernel: this is gVisor".to_owned());
        }
        for (target, name) in targets.into_iter().zip(&self.targets) {
            let name = escaped(name.as_bytes());
            match target {
                Target::Process(pid) => report.add_process(pid, affected, name),
                Target::Program(path) => report.add_program(&path, affected, name),
            }
        }
        if self.all {
            report.add_all(affected);
        }
        let exit = report.judge(affected, self.targets.is_empty() && !self.all);
        for Failed { target, why } in &report.failed {
            failure::remark(format_args!("{target}: {why}"));
        }
        // Of targets that are not there, the line on stderr says all.
        let is_empty = report.processes.is_empty() && report.programs.is_empty();
        let text = match self.format {
            Format::Json => output::json(&report)?,
            Format::Prometheus => metrics::of(&report),
            Format::Human if is_empty && !report.failed.is_empty() => return Ok(exit),
            Format::Human => text::of(&report),
        };
        output::put(&text, self.output.as_deref())?;
        Ok(exit)
    }

    fn meta(&self) -> Meta {
        let mut not_seen = Vec::new();
        if !has_proc() {
            not_seen.push("processes and settings of the kernel: there is no /proc".to_owned());
        }
        if self.all && hides_processes() {
            not_seen.push("other users' processes: /proc hides them (hidepid)".to_owned());
        }
        Meta {
            format_version: FORMAT_VERSION,
            sigward: env!("CARGO_PKG_VERSION"),
            as_root: geteuid().is_root(),
            pretended: self.kernel.is_given(),
            reduced_accuracy: false,
            not_seen,
            all: self.all,
            ended: 0,
        }
    }
}

/// Whether `/proc` shows processes.
fn has_proc() -> bool {
    Path::new("/proc/self/stat").exists()
}

/// Whether `/proc` is mounted with `hidepid=2`, for us: process 1 is always there.
fn hides_processes() -> bool {
    has_proc() && !Path::new("/proc/1").exists()
}

/// Digits are a process; anything else is a program.
fn target(text: &OsStr) -> Result<Target, Failure> {
    let bytes = text.as_bytes();
    if bytes.is_empty() {
        return Err(Failure::new("an empty name is neither a process nor a program")
            .remedy("give a number, or a program's name"));
    }
    if bytes.iter().all(u8::is_ascii_digit) {
        let number = text.to_str().and_then(|text| text.parse::<i32>().ok()).unwrap_or(0);
        return match u32::try_from(number) {
            Ok(pid @ 1..) => Ok(Target::Process(pid)),
            _ => Err(Failure::new(format!("{}: no process has this number", text.display()))
                .remedy("for a program of that name, write ./ before it")),
        };
    }
    Ok(Target::Program(PathBuf::from(text)))
}

impl Report {
    fn frame(&self) -> u64 {
        self.machine.frame.bytes
    }

    fn add_process(&mut self, pid: u32, affected: Option<bool>, name: String) {
        let why = match process::look(pid, affected, self.frame()) {
            Ok(report) => return self.processes.push(report),
            Err(Absent::Failed(why)) => why,
            Err(Absent::NoProcess) => {
                let there = kill(Pid::from_raw(pid as i32), None);
                match (there, has_proc()) {
                    (Ok(()) | Err(Errno::EPERM), true) => {
                        "there is such a process, but /proc does not show it (hidepid?)".to_owned()
                    }
                    (Ok(()) | Err(Errno::EPERM), false) => {
                        "there is such a process, but no /proc to look at it".to_owned()
                    }
                    _ => "no such process, or it has just ended".to_owned(),
                }
            }
        };
        self.failed.push(Failed { target: name, why });
    }

    fn add_program(&mut self, path: &Path, affected: Option<bool>, name: String) {
        let is_path = path.as_os_str().as_bytes().contains(&b'/');
        let found = if is_path {
            Ok(path.to_owned())
        } else {
            program::find(path.as_os_str(), std::env::var_os("PATH").as_deref())
                .map_err(|failure| escaped(failure.to_string().as_bytes()))
        };
        match found.and_then(|path| inspect(&path, Depth::Libraries)) {
            Ok(inspection) => {
                let standing = Standing::of_program(inspection.coverage, affected);
                self.programs.push(ProgramReport { name, standing, inspection });
            }
            Err(why) => {
                let prefix = format!("{name}: ");
                let why = why.strip_prefix(&prefix).unwrap_or(&why).to_owned();
                self.failed.push(Failed { target: name, why });
            }
        }
    }

    /// Every process but ourselves and the kernel's threads.
    fn add_all(&mut self, affected: Option<bool>) {
        let own = std::process::id();
        for pid in kernel_view::numbers("/proc").unwrap_or_default() {
            if pid == own || is_of_the_kernel(pid) {
                continue;
            }
            match process::look(pid, affected, self.frame()) {
                Ok(report) => self.processes.push(report),
                Err(_) => self.meta.ended += 1,
            }
        }
    }

    /// The exit code, and whether something was not seen.
    fn judge(&mut self, affected: Option<bool>, machine_only: bool) -> Exit {
        let processes = self.processes.iter();
        let blind = processes.clone().any(|process| !process.not_seen.is_empty());
        self.meta.reduced_accuracy = blind || !self.meta.not_seen.is_empty();
        let standings = processes.map(|process| process.standing);
        let standings = standings.chain(self.programs.iter().map(|program| program.standing));
        let failed = self.failed.iter().map(|_| Standing::Unknown);
        let blind = self.meta.all && (!has_proc() || hides_processes());
        let unseen = blind.then_some(Standing::Unknown);
        let machine = machine_only.then(|| match self.machine.preloaded_everywhere {
            Some(_) => Standing::Covered,
            None => Standing::without(affected),
        });
        let exit = Standing::exit_of_all(standings.chain(failed).chain(unseen).chain(machine));
        self.exit = exit.code() as u8;
        exit
    }
}

/// A thread of the kernel has no memory of its own; a process that has ended, none any
/// more.
fn is_of_the_kernel(pid: u32) -> bool {
    let status = kernel_view::Status::read(&format!("/proc/{pid}"));
    status.is_ok_and(|status| {
        let ended = status.field("State").is_some_and(|state| state.starts_with('Z'));
        status.field("VmSize").is_none() && !ended
    })
}
