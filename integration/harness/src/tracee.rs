//! A program that is traced from its exec on, by a thread of its own.

use std::io;
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::thread;
use std::time::Duration;

use nix::sys::ptrace::{self, Options};
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::waitpid;
use nix::unistd::Pid;

use crate::deadman::DeadMan;

/// Starts `command`, and gives `trace` its pid once it has executed, with `options` set. It is
/// killed after `deadline`, and when `trace` returns.
///
/// # Errors
///
/// When the program cannot be started or traced; those of `trace`.
///
/// # Panics
///
/// When `trace` does.
pub fn follow<R: Send + 'static>(
    mut command: Command,
    deadline: Duration,
    options: Options,
    trace: impl FnOnce(Pid) -> io::Result<R> + Send + 'static,
) -> io::Result<R> {
    let tracer = move || {
        // SAFETY: traceme is one system call.
        unsafe {
            command.pre_exec(|| Ok(ptrace::traceme()?));
        }
        let child = command.spawn()?;
        let pid = Pid::from_raw(child.id() as i32);
        let _deadman = DeadMan::arm(deadline, move || {
            let _ = kill(pid, Signal::SIGKILL);
        });
        waitpid(pid, None)?;
        ptrace::setoptions(pid, options | Options::PTRACE_O_EXITKILL)?;
        trace(pid)
    };
    // The tracer is a thread, not a process: its end is the program's.
    thread::spawn(tracer).join().expect("the tracer lives")
}
