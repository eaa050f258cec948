//! Child processes that make calls and time them. A call that this machine lacks kills only
//! the child.

use std::ffi::c_int;
use std::io::{self, Read};
use std::process::abort;
use std::time::Instant;

use clap::{Args, value_parser};
use nix::sys::signal::Signal;
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{ForkResult, dup2_stdout, fork};

/// How often to call.
#[derive(Args, Clone, Copy)]
pub struct Effort {
    /// Rounds per path; the table shows their minimum and median
    #[arg(long, default_value_t = 200, value_parser = value_parser!(u32).range(1..=100_000))]
    pub rounds: u32,
    /// Calls in a round
    #[arg(long, default_value_t = 1000, value_parser = value_parser!(u32).range(1..=1_000_000))]
    pub calls: u32,
}

/// Nanoseconds per call of each round, the least first. Or why there are none.
pub type Outcome = Result<Vec<f64>, String>;

/// Times `call`, which is async-signal-safe and returns `answer`, in a child.
pub fn time(effort: Effort, answer: c_int, call: fn() -> c_int) -> Outcome {
    let round = |_| {
        let start = Instant::now();
        let right = (0..effort.calls).all(|_| call() == answer);
        let spent = start.elapsed();
        let round = [0, 0, spent.as_secs() as u32, spent.subsec_nanos()];
        // SAFETY: `round` is live and has 16 bytes.
        right && unsafe { libc::write(libc::STDOUT_FILENO, (&raw const round).cast(), 16) } == 16
    };
    Ok(times(effort, &run(|| if (0..effort.rounds).all(round) { 0 } else { abort() })?))
}

/// The times that a child wrote: when each round began and ended, in seconds and nanoseconds.
pub fn times(effort: Effort, written: &[u8]) -> Vec<f64> {
    let spent = |round: &[[u8; 4]; 4]| {
        let [s0, ns0, s1, ns1] = round.map(|word| f64::from(u32::from_le_bytes(word)));
        ((s1 - s0) * 1e9 + ns1 - ns0) / f64::from(effort.calls)
    };
    let mut times: Vec<f64> = written.as_chunks().0.as_chunks().0.iter().map(spent).collect();
    times.sort_by(f64::total_cmp);
    times
}

/// Runs `child`, which is async-signal-safe and returns 0 or an error number, in a process of
/// its own. Returns what it wrote to stdout. If a signal kills it, the reason is a guess.
pub fn run(mut child: impl FnMut() -> c_int) -> Result<Vec<u8>, String> {
    let mut written = Vec::new();
    let mut end = || -> io::Result<WaitStatus> {
        let (mut reader, writer) = io::pipe()?;
        // SAFETY: all that the child does is async-signal-safe.
        let ForkResult::Parent { child } = unsafe { fork() }? else {
            let code = dup2_stdout(writer).map_or_else(|error| error as c_int, |()| child());
            // SAFETY: ends the child without running `exit`'s handlers a second time.
            unsafe { libc::_exit(code) }
        };
        drop(writer);
        reader.read_to_end(&mut written)?;
        Ok(waitpid(child, None)?)
    };
    let guess = |signal| match signal {
        Signal::SIGSYS => ": a seccomp filter forbids it",
        Signal::SIGSEGV => ": this kernel does not have it, or it is switched off",
        Signal::SIGABRT => ": it got a wrong answer",
        Signal::SIGILL => ": this processor does not have it",
        _ => "",
    };
    Err(match end().map_err(|error| format!("cannot run a child: {error}"))? {
        WaitStatus::Exited(_, 0) => return Ok(written),
        WaitStatus::Exited(_, libc::ENOEXEC) => "this kernel runs no 32-bit programs".to_owned(),
        WaitStatus::Signaled(_, by, _) => format!("its child died of {by}{}", guess(by)),
        other => format!("cannot run a child: {other:?}"),
    })
}
