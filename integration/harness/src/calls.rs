//! The system calls that a single-threaded program makes, in order, seen from outside.
//!
//! # References
//! - ptrace(2), `PTRACE_O_TRACESYSGOOD`

use std::io;
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::thread;
use std::time::Duration;

use nix::sys::ptrace::{self, Options};
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::Pid;

use crate::deadman::DeadMan;

/// Runs `command` to its end and returns the numbers of its system calls (`SYS_*`).
///
/// # Errors
///
/// When the program cannot be started or traced, and when it did not exit with 0 by itself.
///
/// # Panics
///
/// When the tracing thread itself panicked.
pub fn record(command: Command, deadline: Duration) -> io::Result<Vec<i64>> {
    // The tracer is a thread, not a process.
    thread::spawn(move || record_here(command, deadline)).join().expect("the tracer lives")
}

fn record_here(mut command: Command, deadline: Duration) -> io::Result<Vec<i64>> {
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
    ptrace::setoptions(pid, Options::PTRACE_O_TRACESYSGOOD | Options::PTRACE_O_EXITKILL)?;
    let mut calls = Vec::new();
    let mut entered = false;
    let mut signal = None;
    loop {
        ptrace::syscall(pid, signal.take())?;
        match waitpid(pid, None)? {
            WaitStatus::PtraceSyscall(_) => {
                entered = !entered;
                if entered {
                    calls.push(ptrace::getregs(pid)?.orig_rax as i64);
                }
            }
            WaitStatus::Stopped(_, stop) => signal = Some(stop),
            WaitStatus::Exited(_, 0) => return Ok(calls),
            end => return Err(io::Error::other(format!("the program ended with {end:?}"))),
        }
    }
}
