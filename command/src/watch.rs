//! `sigward watch`: a report again and again, for containers without a shell or cron.

use std::ffi::OsString;
use std::process::{Command, Stdio};
use std::time::Duration;

use clap::Args;
use nix::errno::Errno;
use nix::sys::signal::{SigSet, Signal};

use super::exit::Exit;
use super::failure::{Failure, remark};

/// Write reports again and again
///
/// Runs each of the given reports, waits, and starts over, until SIGTERM or SIGINT. Reports are
/// separated by a comma of its own, and should have --output: check and doctor replace that file at
/// once. A report that fails is said so and tried again.
#[derive(Args)]
#[command(after_help = "Examples:
  sigward watch --every 6h -- check --format nfd --output /features.d/sigward \\
      , check --format prometheus --output /textfiles/sigward.prom")]
pub struct Watch {
    /// How long to wait between two rounds: a number with s, m or h
    #[arg(long, value_name = "TIME", default_value = "6h", value_parser = duration)]
    every: Duration,
    /// The reports: arguments of `sigward check` or `sigward doctor`
    #[arg(last = true, required = true)]
    reports: Vec<OsString>,
}

impl Watch {
    pub fn execute(&self) -> Result<Exit, Failure> {
        let reports: Vec<&[OsString]> = self.reports.split(|word| word == ",").collect();
        for report in &reports {
            if !report.first().is_some_and(|name| name == "check" || name == "doctor") {
                return Err(Failure::new("a report does not begin with check or doctor")
                    .remedy("for example: sigward watch -- check --output FILE"));
            }
        }
        // As the first process of a container, we get these only if we ask for them.
        let ends = SigSet::from_iter([Signal::SIGTERM, Signal::SIGINT]);
        ends.thread_block().map_err(|error| Failure::new(format!("sigprocmask: {error}")))?;
        loop {
            for report in &reports {
                run(report);
            }
            if wait(&ends, self.every) {
                return Ok(Exit::Success);
            }
        }
    }
}

/// Runs one report. Its exit code says what it found; only 125 says that it failed.
fn run(report: &[OsString]) {
    use std::os::unix::process::CommandExt;
    let mut command = Command::new("/proc/self/exe");
    command.args(report).stdin(Stdio::null());
    // SAFETY: one system call.
    unsafe { command.pre_exec(|| SigSet::all().thread_unblock().map_err(Into::into)) };
    let name =
        || report.iter().map(|word| word.display().to_string()).collect::<Vec<_>>().join(" ");
    match command.status() {
        Ok(status) if status.code().is_some_and(|code| code < Exit::Failed.code()) => {}
        Ok(status) => remark(format_args!("{}: {status}", name())),
        Err(error) => remark(format_args!("{}: {error}", name())),
    }
}

/// Waits. Returns whether it is time to end.
fn wait(ends: &SigSet, time: Duration) -> bool {
    let seconds = libc::time_t::try_from(time.as_secs()).unwrap_or(libc::time_t::MAX);
    let limit = libc::timespec { tv_sec: seconds, tv_nsec: 0 };
    loop {
        // SAFETY: a set and a time that live; no information is asked for.
        let got =
            unsafe { libc::sigtimedwait(ends.as_ref(), std::ptr::null_mut(), &raw const limit) };
        match (got, Errno::last()) {
            (-1, Errno::EINTR) => {}
            (got, _) => return got != -1,
        }
    }
}

fn duration(text: &str) -> Result<Duration, String> {
    let (number, unit) = match text.as_bytes().last() {
        Some(b's') => (text.strip_suffix('s'), 1),
        Some(b'm') => (text.strip_suffix('m'), 60),
        Some(b'h') => (text.strip_suffix('h'), 3600),
        _ => (None, 0),
    };
    let number = number.and_then(|number| number.parse::<u64>().ok()).filter(|number| *number > 0);
    let seconds = number.and_then(|number| number.checked_mul(unit));
    seconds.map(Duration::from_secs).ok_or_else(|| "accepted: 30s, 10m, 6h, …".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_units() {
        for (text, seconds) in [("1s", 1), ("10m", 600), ("6h", 21_600)] {
            assert_eq!(duration(text), Ok(Duration::from_secs(seconds)));
        }
        for text in ["", "s", "6", "0s", "-1h", "1.5h", "99999999999999999999h", "1d"] {
            assert!(duration(text).is_err(), "{text}");
        }
    }
}
