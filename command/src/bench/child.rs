//! Child processes that make calls and time them. A call that this machine lacks kills only
//! the child.

use std::ffi::c_int;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Command, Stdio};
use std::time::Instant;

use clap::Args;
use nix::sys::signal::Signal;

/// How often to call.
#[derive(Args, Clone, Copy)]
pub struct Effort {
    /// Rounds per path; the table shows their minimum and median
    #[arg(long, value_name = "N", default_value_t = 200,
          value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub rounds: u32,
    /// Calls in a round
    #[arg(long, value_name = "N", default_value_t = 1000,
          value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub calls: u32,
}

/// What a child wrote to its stdout: nanoseconds per call, an `f64` for each round. Or why it
/// could not.
pub type Outcome = Result<Vec<u8>, String>;

/// Exit code of a child: a call returned something else than it must.
const WRONG_ANSWER: c_int = 1;
/// Exit code of a child: the kernel gives it no vDSO.
pub const NO_VDSO: c_int = 2;

/// Times `call`, which is async-signal-safe and returns `answer`, in a child.
pub fn time<F>(effort: Effort, answer: c_int, call: F) -> Outcome
where
    F: Fn() -> c_int + Send + Sync + 'static,
{
    let round = move |_| {
        let start = Instant::now();
        let right = (0..effort.calls).all(|_| call() == answer);
        let each = start.elapsed().as_secs_f64() * 1e9 / f64::from(effort.calls);
        // SAFETY: `each` is live and has 8 bytes.
        right && unsafe { libc::write(libc::STDOUT_FILENO, (&raw const each).cast(), 8) } == 8
    };
    let rounds = move || {
        let code = if (0..effort.rounds).all(&round) { 0 } else { WRONG_ANSWER };
        // SAFETY: ends the child without running `exit`'s handlers a second time.
        unsafe { libc::_exit(code) }
    };
    let mut child = Command::new("not executed");
    // SAFETY: all of `rounds` is async-signal-safe.
    unsafe { child.pre_exec(rounds) };
    run(child)
}

/// Runs a child to its end. If a signal kills it, the reason is a guess.
pub fn run(mut child: Command) -> Outcome {
    // The default for both is /dev/null, which may be missing.
    let ended = child.stdin(Stdio::inherit()).stderr(Stdio::inherit()).output();
    let ended = ended.map_err(|error| match error.raw_os_error() {
        Some(libc::ENOEXEC) => "this kernel runs no 32-bit programs".to_owned(),
        _ => format!("cannot run a child: {error}"),
    })?;
    let signal = match (ended.status.code(), ended.status.signal().map(Signal::try_from)) {
        (Some(0), _) => return Ok(ended.stdout),
        (Some(WRONG_ANSWER), _) => return Err("it gave a wrong answer in a child".to_owned()),
        (Some(NO_VDSO), _) => return Err("the kernel maps no 32-bit vDSO".to_owned()),
        (_, Some(Ok(signal))) => signal,
        _ => return Err(format!("a child that tried it was lost: {}", ended.status)),
    };
    let guess = match signal {
        Signal::SIGSYS => ": a seccomp filter forbids it",
        Signal::SIGSEGV => ": this kernel does not have it, or it is switched off",
        Signal::SIGILL => ": this processor does not have it",
        Signal::SIGXCPU => ": it took too long",
        _ => "",
    };
    Err(format!("a child that tried it died of {signal}{guess}"))
}
