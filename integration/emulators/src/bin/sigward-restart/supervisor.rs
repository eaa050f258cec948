//! Follows the program and overwrites registers when a call is restarted.

use std::collections::HashMap;
use std::ffi::OsString;
use std::fmt;
use std::io;

use libc::{PTRACE_CONT, PTRACE_EVENT_STOP, PTRACE_LISTEN, PTRACE_SINGLESTEP, pid_t};
use nix::sys::ptrace::{self, Options};
use nix::unistd::Pid;

use crate::defect::{Arguments, Defect, SignalFrame};
use sigward_emulators::kernel::{self, Change, Entry, Registers};

/// What the supervisor saw and did.
#[derive(Debug, Default)]
pub struct Counts {
    /// New processes and threads.
    pub forks: u64,
    /// Restarts without a handler in which registers were overwritten.
    pub affected_plain: u64,
    /// The same, after a handler with `SA_RESTART`.
    pub affected_handler: u64,
    /// Restarts of calls entered by INT 0x80, left alone.
    pub int80: u64,
    /// Interrupted calls that are continued without arguments.
    pub continued: u64,
    /// Restarts of calls that the defect does not affect.
    pub unaffected: u64,
}

impl fmt::Display for Counts {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(to, "forks {}", self.forks)?;
        writeln!(to, "affected_plain {}", self.affected_plain)?;
        writeln!(to, "affected_handler {}", self.affected_handler)?;
        writeln!(to, "int80 {}", self.int80)?;
        writeln!(to, "continued {}", self.continued)?;
        writeln!(to, "unaffected {}", self.unaffected)
    }
}

/// How the run ended.
pub struct Outcome {
    /// The program's exit code, or 128 plus the signal.
    pub status: u8,
    /// The counts.
    pub counts: Counts,
}

/// An interrupted call and its arguments.
#[derive(Clone, Copy)]
struct Interrupted {
    number: u64,
    rip: u64,
    arguments: Arguments,
}

/// A thread of the program.
struct Thread {
    process: pid_t,
    /// A call that is being restarted with overwritten registers.
    affected: Option<Interrupted>,
    /// The call that a handler interrupts; the next stop is at the handler's first
    /// instruction.
    entering_handler: Option<Interrupted>,
    /// An interruption was requested and has not been seen yet.
    interrupted: bool,
}

struct Supervisor {
    defect: Defect,
    boundary: bool,
    threads: HashMap<pid_t, Thread>,
    /// Where garbage that looks mapped points, by process.
    mapped: HashMap<pid_t, Option<u64>>,
    counts: Counts,
}

/// Runs `command` with the defect. With `boundary`, a fork interrupts the other threads
/// of its process.
pub fn run(command: &[OsString], defect: Defect, boundary: bool) -> io::Result<Outcome> {
    let program = kernel::start(
        command,
        Options::PTRACE_O_TRACEFORK
            | Options::PTRACE_O_TRACEVFORK
            | Options::PTRACE_O_TRACECLONE
            | Options::PTRACE_O_TRACEEXEC,
    )?;
    let mut supervisor = Supervisor {
        defect,
        boundary,
        threads: HashMap::new(),
        mapped: HashMap::new(),
        counts: Counts::default(),
    };
    let mut status = 125;
    while let Some((tid, change)) = kernel::next_change()? {
        match change {
            Change::Exited(code) => {
                supervisor.forget(tid);
                if tid == program {
                    status = code as u8;
                }
            }
            Change::Killed(signal) => {
                supervisor.forget(tid);
                if tid == program {
                    status = 128 + signal as u8;
                }
            }
            Change::Stopped { signal, event } => supervisor.stopped(tid, signal, event),
        }
    }
    Ok(Outcome { status, counts: supervisor.counts })
}

impl Supervisor {
    fn thread(&mut self, tid: pid_t) -> &mut Thread {
        self.threads.entry(tid).or_insert_with(|| Thread {
            process: kernel::process_of(tid).unwrap_or(tid),
            affected: None,
            entering_handler: None,
            interrupted: false,
        })
    }

    fn forget(&mut self, tid: pid_t) {
        self.threads.remove(&tid);
        self.mapped.remove(&tid);
    }

    fn stopped(&mut self, tid: pid_t, signal: i32, event: i32) {
        match event {
            0 => self.signal(tid, signal),
            PTRACE_EVENT_STOP => {
                self.thread(tid).interrupted = false;
                self.restart_without_handler(tid);
                // A group stop lasts until SIGCONT; an interruption does not.
                let group_stop =
                    matches!(signal, libc::SIGSTOP | libc::SIGTSTP | libc::SIGTTIN | libc::SIGTTOU);
                kernel::resume(tid, if group_stop { PTRACE_LISTEN } else { PTRACE_CONT }, 0);
            }
            libc::PTRACE_EVENT_FORK | libc::PTRACE_EVENT_VFORK | libc::PTRACE_EVENT_CLONE => {
                self.counts.forks += 1;
                if self.boundary {
                    self.pull_to_boundary(tid);
                }
                kernel::resume(tid, PTRACE_CONT, 0);
            }
            libc::PTRACE_EVENT_EXEC => {
                self.mapped.remove(&tid);
                kernel::resume(tid, PTRACE_CONT, 0);
            }
            _ => kernel::resume(tid, PTRACE_CONT, 0),
        }
    }

    /// A stop with a signal: a delivery, or the step into a handler.
    fn signal(&mut self, tid: pid_t, signal: i32) {
        if signal == libc::SIGTRAP
            && let Some(call) = self.thread(tid).entering_handler.take()
        {
            self.restart_behind_handler(tid, call);
            kernel::resume(tid, PTRACE_CONT, 0);
            return;
        }
        if !kernel::catches(tid, signal) {
            self.restart_without_handler(tid);
            kernel::resume(tid, PTRACE_CONT, signal);
            return;
        }
        let mut request = PTRACE_CONT;
        if let Some((registers, call)) = self.interrupted_call(tid) {
            // Now the kernel decides whether there is a restart at all.
            if self.thread(tid).affected.take().is_some() {
                let mut healed = registers;
                call.arguments.put(&mut healed);
                kernel::set_registers(tid, healed);
            }
            self.thread(tid).entering_handler = Some(call);
            request = PTRACE_SINGLESTEP;
        }
        kernel::resume(tid, request, signal);
    }

    /// The call that the stop interrupted, if it asks for a restart, with the arguments
    /// that the program passed.
    fn interrupted_call(&mut self, tid: pid_t) -> Option<(Registers, Interrupted)> {
        let registers = kernel::registers(tid)?;
        self.counts.continued += u64::from(kernel::asks_for_continuation(&registers));
        let thread = self.thread(tid);
        if !kernel::asks_for_restart(&registers) {
            thread.affected = None;
            return None;
        }
        let seen = Interrupted {
            number: registers.orig_rax,
            rip: registers.rip,
            arguments: Arguments::of(&registers),
        };
        if !thread.affected.is_some_and(|call| call.rip == seen.rip && call.number == seen.number) {
            thread.affected = None;
        }
        Some((registers, thread.affected.unwrap_or(seen)))
    }

    /// Whether restarting this call loses arguments; counts it.
    fn loses(&mut self, tid: pid_t, registers: &Registers, call: Interrupted) -> bool {
        let at_call = Registers { rip: call.rip, ..*registers };
        match kernel::entry(tid, &at_call) {
            Entry::Syscall if self.defect.affects(call.number as i64) => true,
            Entry::Int80 => {
                self.counts.int80 += 1;
                false
            }
            _ => {
                self.counts.unaffected += 1;
                false
            }
        }
    }

    fn garbage(&mut self, tid: pid_t, arguments: Arguments) -> Arguments {
        let process = self.thread(tid).process;
        let mapped =
            *self.mapped.entry(process).or_insert_with(|| kernel::writable_memory(process));
        let turn = self.counts.affected_plain + self.counts.affected_handler;
        self.defect.garbage(arguments, mapped, turn)
    }

    fn restart_without_handler(&mut self, tid: pid_t) {
        let Some((mut registers, call)) = self.interrupted_call(tid) else {
            return;
        };
        if self.thread(tid).affected.is_some() || !self.loses(tid, &registers, call) {
            return;
        }
        self.garbage(tid, call.arguments).put(&mut registers);
        if kernel::set_registers(tid, registers) {
            self.thread(tid).affected = Some(call);
            self.counts.affected_plain += 1;
        }
    }

    fn restart_behind_handler(&mut self, tid: pid_t, call: Interrupted) {
        let Some(registers) = kernel::registers(tid) else {
            return;
        };
        let frame = SignalFrame::of_handler(tid, &registers);
        if !frame.restarts(call.number, call.rip) || !self.loses(tid, &registers, call) {
            return;
        }
        let garbage = self.garbage(tid, call.arguments);
        if frame.put(garbage) {
            self.counts.affected_handler += 1;
        }
    }

    /// Interrupts the other threads of a forking process, as FreeBSD's
    /// `thread_single(SINGLE_BOUNDARY)` does.
    fn pull_to_boundary(&mut self, tid: pid_t) {
        let process = self.thread(tid).process;
        for (&other, thread) in &mut self.threads {
            if other != tid && thread.process == process && !thread.interrupted {
                thread.interrupted = ptrace::interrupt(Pid::from_raw(other)).is_ok();
            }
        }
    }
}
