//! Counts the user instructions and system calls of part of a program by single-stepping: the
//! result is the same on every processor, without hardware counters, beside any number of
//! threads.
//!
//! The program executes an `int3` before and after that part, in its main thread.
//!
//! # References
//! - ptrace(2), `PTRACE_SINGLESTEP`

use std::io;
use std::process::Command;
use std::time::Duration;

use nix::sys::ptrace::{self, AddressType, Options};
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::Pid;

use crate::tracee::follow;

/// The counts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Steps {
    /// User instructions; each repetition of a `rep` instruction counts.
    pub instructions: usize,
    /// The numbers (`SYS_*`) of the system calls entered by `syscall`, in order.
    pub calls: Vec<i64>,
}

/// Runs `command` and counts what happens between its two marks.
///
/// # Errors
///
/// If the program cannot be started or traced, or ends before its second mark.
///
/// # Panics
///
/// If the tracing thread panics.
pub fn count(command: Command, deadline: Duration) -> io::Result<Steps> {
    follow(command, deadline, Options::empty(), count_of)
}

fn count_of(pid: Pid) -> io::Result<Steps> {
    let mut signal = None;
    loop {
        ptrace::cont(pid, signal.take())?;
        match stop(pid)? {
            Signal::SIGTRAP => break,
            other => signal = Some(other),
        }
    }
    let mut steps = Steps::default();
    while !at_mark(pid)? {
        let registers = ptrace::getregs(pid)?;
        if bytes(pid, registers.rip)? & 0xffff == SYSCALL {
            steps.calls.push(registers.rax as i64);
        }
        steps.instructions += 1;
        ptrace::step(pid, signal.take())?;
        match stop(pid)? {
            Signal::SIGTRAP => {}
            other => signal = Some(other),
        }
    }
    // The rest does not matter; we do not wait for it.
    kill(pid, Signal::SIGKILL)?;
    waitpid(pid, None)?;
    Ok(steps)
}

/// `syscall`, as the low bytes of a little-endian word.
const SYSCALL: i64 = 0x050f;
/// `int3`.
const MARK: i64 = 0xcc;

fn bytes(pid: Pid, address: u64) -> io::Result<i64> {
    Ok(ptrace::read(pid, address as AddressType)?)
}

fn at_mark(pid: Pid) -> io::Result<bool> {
    Ok(bytes(pid, ptrace::getregs(pid)?.rip)? & 0xff == MARK)
}

fn stop(pid: Pid) -> io::Result<Signal> {
    match waitpid(pid, None)? {
        WaitStatus::Stopped(_, signal) => Ok(signal),
        end => Err(io::Error::other(format!("the program ended before its mark: {end:?}"))),
    }
}
