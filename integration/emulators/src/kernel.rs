//! The ptrace requests that nix cannot express, because it has no real-time signals.

use std::ffi::{CString, OsString};
use std::io::{self, Read, Write};
use std::os::unix::ffi::OsStrExt;

use libc::{c_int, c_long, c_void, pid_t};
use nix::sys::ptrace::{self, Options};
use nix::unistd::{ForkResult, Pid};

pub use libc::user_regs_struct as Registers;

/// `-ERESTARTSYS`, `-ERESTARTNOINTR` and `-ERESTARTNOHAND`: the results by which a call
/// asks to be repeated with the same arguments (linux/errno.h). `-ERESTART_RESTARTBLOCK`
/// (-516) is not among them: another call, without arguments, continues it.
/// continued by another call, without arguments.
const RESTARTS: [i64; 3] = [-512, -513, -514];

/// How a thread entered the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Entry {
    /// `0f 05`
    Syscall,
    /// `cd 80`
    Int80,
    /// Neither instruction precedes the instruction pointer.
    Unknown,
}

/// A state change that `wait` reported.
#[derive(Clone, Copy, Debug)]
pub enum Change {
    /// Exited with this code.
    Exited(i32),
    /// Killed by this signal.
    Killed(i32),
    /// Stopped: the signal, and the ptrace event (0 for none).
    Stopped {
        /// The signal; for system calls `SIGTRAP | 0x80`, if that option is set.
        signal: i32,
        /// The ptrace event.
        event: i32,
    },
}

/// Waits for the next state change of any tracee; `None` if there are no tracees.
///
/// # Errors
///
/// Those of waitpid(2).
pub fn next_change() -> io::Result<Option<(pid_t, Change)>> {
    loop {
        let mut status = 0;
        // SAFETY: `status` outlives the call.
        let pid = unsafe { libc::waitpid(-1, &raw mut status, libc::__WALL) };
        if pid > 0 {
            let change = if libc::WIFEXITED(status) {
                Change::Exited(libc::WEXITSTATUS(status))
            } else if libc::WIFSIGNALED(status) {
                Change::Killed(libc::WTERMSIG(status))
            } else {
                Change::Stopped { signal: libc::WSTOPSIG(status), event: status >> 16 }
            };
            return Ok(Some((pid, change)));
        }
        let error = io::Error::last_os_error();
        match error.raw_os_error() {
            Some(libc::ECHILD) => return Ok(None),
            Some(libc::EINTR) => {}
            _ => return Err(error),
        }
    }
}

/// Resumes a stopped tracee by `request` and delivers `signal` to it. It is no error if
/// the tracee was killed meanwhile.
pub fn resume(tid: pid_t, request: u32, signal: c_int) {
    // SAFETY: PTRACE_CONT, _SINGLESTEP and _LISTEN read none of our memory.
    unsafe {
        libc::ptrace(request, tid, std::ptr::null_mut::<c_void>(), c_long::from(signal));
    }
}

/// The registers of a stopped tracee; `None` if it was killed meanwhile.
#[must_use]
pub fn registers(tid: pid_t) -> Option<Registers> {
    ptrace::getregs(Pid::from_raw(tid)).ok()
}

/// Overwrites the registers of a stopped tracee.
#[allow(clippy::must_use_candidate, reason = "a tracee may be killed at any time")]
pub fn set_registers(tid: pid_t, registers: Registers) -> bool {
    ptrace::setregs(Pid::from_raw(tid), registers).is_ok()
}

/// A word of a tracee's memory.
#[must_use]
pub fn peek(tid: pid_t, address: u64) -> Option<u64> {
    ptrace::read(Pid::from_raw(tid), address as ptrace::AddressType).ok().map(|word| word as u64)
}

/// Overwrites a word of a tracee's memory.
#[allow(clippy::must_use_candidate, reason = "a tracee may be killed at any time")]
pub fn poke(tid: pid_t, address: u64, word: u64) -> bool {
    ptrace::write(Pid::from_raw(tid), address as ptrace::AddressType, word as c_long).is_ok()
}

/// Whether the tracee, stopped with these registers, is inside a call that asks for a
/// restart.
#[must_use]
pub fn asks_for_restart(registers: &Registers) -> bool {
    registers.orig_rax as i64 >= 0 && RESTARTS.contains(&(registers.rax as i64))
}

/// Whether another call, without arguments, continues the call
/// (`-ERESTART_RESTARTBLOCK`), as for poll: there is nothing to lose.
#[must_use]
pub fn asks_for_continuation(registers: &Registers) -> bool {
    registers.orig_rax as i64 >= 0 && registers.rax as i64 == -516
}

/// Whether a tracee in a system-call stop has not made the call yet.
#[must_use]
pub fn is_at_entry(tid: pid_t) -> bool {
    // The first byte is the kind of stop. (nix 0.30 has no buffer for it.)
    let mut kind = [0_u8; 8];
    // SAFETY: the kernel writes at most the given number of bytes.
    unsafe {
        libc::ptrace(libc::PTRACE_GET_SYSCALL_INFO, tid, kind.len(), kind.as_mut_ptr());
    }
    kind[0] == libc::PTRACE_SYSCALL_INFO_ENTRY
}

/// The instruction by which the interrupted call entered the kernel.
#[must_use]
pub fn entry(tid: pid_t, registers: &Registers) -> Entry {
    match peek(tid, registers.rip.wrapping_sub(2)).map(|word| word & 0xffff) {
        Some(0x050f) => Entry::Syscall,
        Some(0x80cd) => Entry::Int80,
        _ => Entry::Unknown,
    }
}

/// Whether the process catches `signal` with a handler.
#[must_use]
pub fn catches(tid: pid_t, signal: c_int) -> bool {
    let Ok(status) = std::fs::read_to_string(format!("/proc/{tid}/status")) else {
        return false;
    };
    status
        .lines()
        .find_map(|line| line.strip_prefix("SigCgt:"))
        .and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok())
        .is_some_and(|mask| mask & (1 << (signal - 1)) != 0)
}

/// The process that a thread belongs to.
#[must_use]
pub fn process_of(tid: pid_t) -> Option<pid_t> {
    let status = std::fs::read_to_string(format!("/proc/{tid}/status")).ok()?;
    status.lines().find_map(|line| line.strip_prefix("Tgid:"))?.trim().parse().ok()
}

/// The middle of the program's own largest writable mapping: memory that a kernel with
/// garbage in R10 would overwrite without an error.
#[must_use]
pub fn writable_memory(tid: pid_t) -> Option<u64> {
    let program = std::fs::read_link(format!("/proc/{tid}/exe")).ok()?;
    let program = program.to_str()?;
    let maps = std::fs::read_to_string(format!("/proc/{tid}/maps")).ok()?;
    let mut after_program = false;
    maps.lines()
        .filter_map(|line| {
            let (range, rest) = line.split_once(' ')?;
            let (start, end) = range.split_once('-')?;
            let start = u64::from_str_radix(start, 16).ok()?;
            let end = u64::from_str_radix(end, 16).ok()?;
            // The zeroed data is in an unnamed mapping after the file's.
            let own = rest.ends_with(program) || (after_program && rest.ends_with(" 0 "));
            after_program = own || rest.ends_with(program);
            (own && rest.starts_with("rw")).then_some((end - start, start))
        })
        .max()
        .map(|(length, start)| (start + length / 2) & !0xfff)
}

/// Starts `command` with a supervisor attached from its first instruction; `options` are
/// those of `PTRACE_SEIZE`.
///
/// # Errors
///
/// If it cannot be started or traced.
pub fn start(command: &[OsString], options: Options) -> io::Result<pid_t> {
    let arguments: Vec<CString> = command
        .iter()
        .map(|argument| CString::new(argument.as_bytes()))
        .collect::<Result<_, _>>()?;
    let (mut go_read, mut go_write) = io::pipe()?;
    // SAFETY: the supervisors have one thread.
    match unsafe { nix::unistd::fork() }? {
        ForkResult::Parent { child } => {
            drop(go_read);
            ptrace::seize(child, options | Options::PTRACE_O_EXITKILL)?;
            go_write.write_all(b"!")?;
            Ok(child.as_raw())
        }
        ForkResult::Child => {
            drop(go_write);
            let _ = go_read.read_exact(&mut [0]);
            drop(go_read);
            let Err(error) = nix::unistd::execvp(&arguments[0], &arguments);
            eprintln!("{}: {error}", command[0].display());
            std::process::exit(127);
        }
    }
}
