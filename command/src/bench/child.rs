//! Child processes that make calls and time them. A call that this machine lacks kills only
//! the child.

use std::ffi::c_int;
use std::fs::File;
use std::io::{self, Read, Seek};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::Command;
use std::time::Instant;

use clap::{Args, value_parser};
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::signal::Signal;

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

/// What a child wrote: nanoseconds per call, an `f64` for each round. Or why it could not.
pub type Outcome = Result<Vec<u8>, String>;

/// Times `call`, which is async-signal-safe and returns `answer`, in a child.
pub fn time(effort: Effort, answer: c_int, call: fn() -> c_int) -> Outcome {
    let round = move |_| {
        let start = Instant::now();
        let right = (0..effort.calls).all(|_| call() == answer);
        let each = start.elapsed().as_secs_f64() * 1e9 / f64::from(effort.calls);
        // SAFETY: `each` is live and has 8 bytes.
        right && unsafe { libc::write(libc::STDOUT_FILENO, (&raw const each).cast(), 8) } == 8
    };
    let rounds = move || {
        let wrong = !(0..effort.rounds).all(round);
        // SAFETY: ends the child without running `exit`'s handlers a second time.
        unsafe { libc::_exit(wrong.into()) }
    };
    let mut child = Command::new("not executed");
    // SAFETY: all of `rounds` is async-signal-safe.
    unsafe { child.pre_exec(rounds) };
    run(child)
}

/// Runs a child to its end. If a signal kills it, the reason is a guess.
pub fn run(mut child: Command) -> Outcome {
    let mut written = Vec::new();
    let ended = file().and_then(|mut file| {
        // Not a pipe: it would fill up, as nobody reads it while `pre_exec` runs.
        let status = child.stdout(file.try_clone()?).status()?;
        file.rewind()?;
        file.read_to_end(&mut written).and(Ok(status))
    });
    let status = ended.map_err(|error| match error.raw_os_error() {
        Some(libc::ENOEXEC) => "this kernel runs no 32-bit programs".to_owned(),
        _ => format!("cannot run a child: {error}"),
    })?;
    let signal = match status.signal().map(Signal::try_from) {
        Some(Ok(signal)) => signal,
        _ if status.success() => return Ok(written),
        _ => return Err("it gave a wrong answer in a child".to_owned()),
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

/// A file without a name; executable, if that is allowed.
pub fn file() -> io::Result<File> {
    // Kernels before 6.3 do not know MFD_EXEC; later ones may be configured to require it.
    let memfd = |flags| memfd_create(c"sigward-bench", MFdFlags::from_bits_retain(flags));
    Ok(memfd(libc::MFD_CLOEXEC | libc::MFD_EXEC).or_else(|_| memfd(libc::MFD_CLOEXEC))?.into())
}
