//! Records the system calls of a single-threaded program, in order, from outside.
//!
//! # References
//! - ptrace(2), `PTRACE_O_TRACESYSGOOD`

use std::io;
use std::process::Command;
use std::time::Duration;

use nix::sys::ptrace::{self, Options};
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::Pid;

use crate::tracee::follow;

/// Runs `command` to its end and returns the numbers of its system calls (`SYS_*`).
///
/// # Errors
///
/// If the program cannot be started or traced, or does not exit with 0 by itself.
///
/// # Panics
///
/// If the tracing thread panics.
pub fn record(command: Command, deadline: Duration) -> io::Result<Vec<i64>> {
    follow(command, deadline, Options::PTRACE_O_TRACESYSGOOD, calls_of)
}

fn calls_of(pid: Pid) -> io::Result<Vec<i64>> {
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
