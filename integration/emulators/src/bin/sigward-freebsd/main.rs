//! Emulates `FreeBSD`/amd64's kernel for code that was built for it.
//!
//! The program is a Linux one. Only calls from `libsigward.so` (built for `FreeBSD`) and
//! from `libfbsd.so` (stubs like those in FreeBSD's libc) count as `FreeBSD` calls: with
//! its numbers, its carry flag and its ways of entry. Linux carries out the calls that
//! sleep, in the same thread, at a `syscall` instruction that `libfbsd.so` keeps for
//! this. So signals interrupt and restart them as usual, and there an affected kernel
//! loses R10 (and R8, R9) of a call that was entered by SYSCALL.

mod calls;

use std::collections::HashMap;
use std::ffi::OsString;
use std::fs;
use std::io;
use std::ops::Range;
use std::process::ExitCode;

use clap::Parser;
use libc::{PTRACE_EVENT_STOP, PTRACE_SYSCALL, SIGTRAP, pid_t};
use nix::sys::ptrace::{self, Options};
use nix::unistd::Pid;
use sigward_emulators::kernel::{self, Change, Registers};

use calls::{Answer, By, Call, Kernel};

/// The command line.
#[derive(Parser)]
#[command(about, trailing_var_arg = true)]
struct Arguments {
    /// `kern.osreldate`
    #[arg(long, default_value_t = 900_044)]
    osreldate: i32,
    /// The kernel has no 32-bit compatibility, and so no INT 0x80
    #[arg(long)]
    no_int80: bool,
    /// A restart loses nothing
    #[arg(long)]
    fixed: bool,
    /// Write the counts to this file
    #[arg(long)]
    report: Option<std::path::PathBuf>,
    /// The program and its arguments
    #[arg(required = true)]
    command: Vec<OsString>,
}

/// A `FreeBSD` call in progress.
struct Running {
    call: Call,
    /// The registers after the instruction that entered the kernel.
    entered: Registers,
    /// Whether Linux has already been kept from making it as a call of its own.
    skipped: bool,
    /// How often it was entered: more than once if it was restarted.
    entries: u32,
}

/// A thread of the program and its calls, the innermost (of a handler) last.
#[derive(Default)]
struct Thread {
    running: Vec<Running>,
}

struct Supervisor {
    kernel: Kernel,
    program: pid_t,
    threads: HashMap<pid_t, Thread>,
    /// Code that makes `FreeBSD`'s calls.
    code: Vec<Range<u64>>,
    /// The instruction at which Linux carries out calls.
    gate: Option<u64>,
    restarts: HashMap<By, u64>,
    calls: HashMap<By, u64>,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match run(&arguments) {
        Ok(status) => ExitCode::from(status),
        Err(error) => {
            eprintln!("sigward-freebsd: {error}");
            ExitCode::from(125)
        }
    }
}

fn run(arguments: &Arguments) -> io::Result<u8> {
    let program = kernel::start(
        &arguments.command,
        Options::PTRACE_O_TRACESYSGOOD
            | Options::PTRACE_O_TRACECLONE
            | Options::PTRACE_O_TRACEFORK
            | Options::PTRACE_O_TRACEEXEC,
    )?;
    ptrace::interrupt(Pid::from_raw(program))?;
    let mut supervisor = Supervisor {
        kernel: Kernel {
            osreldate: arguments.osreldate,
            int80: !arguments.no_int80,
            loses: !arguments.fixed,
        },
        program,
        threads: HashMap::new(),
        code: Vec::new(),
        gate: None,
        restarts: HashMap::new(),
        calls: HashMap::new(),
    };
    let mut status = 125;
    while let Some((tid, change)) = kernel::next_change()? {
        let ended = match change {
            Change::Exited(code) => Some(code as u8),
            Change::Killed(signal) => Some(128 + signal as u8),
            Change::Stopped { signal, event } => {
                supervisor.stopped(tid, signal, event);
                None
            }
        };
        if let Some(ended) = ended {
            supervisor.threads.remove(&tid);
            if tid == program {
                status = ended;
            }
        }
    }
    let count = |counts: &HashMap<By, u64>, by| counts.get(&by).copied().unwrap_or(0);
    let report = format!(
        "calls_syscall {}\ncalls_int80 {}\nrestarts_syscall {}\nrestarts_int80 {}\n",
        count(&supervisor.calls, By::Syscall),
        count(&supervisor.calls, By::Int80),
        count(&supervisor.restarts, By::Syscall),
        count(&supervisor.restarts, By::Int80)
    );
    match &arguments.report {
        Some(path) => fs::write(path, report)?,
        None => eprint!("{report}"),
    }
    Ok(status)
}

impl Supervisor {
    fn stopped(&mut self, tid: pid_t, signal: i32, event: i32) {
        let mut deliver = 0;
        match (event, signal) {
            (0, signal) if signal == SIGTRAP | 0x80 => self.system_call(tid),
            (0, SIGTRAP) if self.is_behind_gate(tid) => self.finish(tid),
            (0, signal) => deliver = signal,
            (libc::PTRACE_EVENT_EXEC, _) => {
                self.code.clear();
                self.gate = None;
            }
            (libc::PTRACE_EVENT_FORK, _) => self.pull_to_boundary(tid),
            (PTRACE_EVENT_STOP, _) if kernel::process_of(tid) != Some(self.program) => {
                // A forked child: not ours to follow.
                let _ = ptrace::detach(Pid::from_raw(tid), None);
                return;
            }
            _ => {}
        }
        kernel::resume(tid, PTRACE_SYSCALL, deliver);
    }

    /// A fork in one thread interrupts the sleeping calls of all others.
    fn pull_to_boundary(&self, tid: pid_t) {
        for &other in self.threads.keys().filter(|&&other| other != tid) {
            let _ = ptrace::interrupt(Pid::from_raw(other));
        }
    }

    /// A stop at the entry or exit of a Linux system call.
    fn system_call(&mut self, tid: pid_t) {
        let Some(registers) = kernel::registers(tid) else { return };
        let at_entry = kernel::is_at_entry(tid);
        let thread = self.threads.entry(tid).or_default();
        if !at_entry {
            if thread.running.last().is_some_and(|running| running.skipped) {
                self.carry_out(tid);
            }
            return;
        }
        let gate = self.gate;
        if let Some(running) = thread.running.last_mut()
            && gate == Some(registers.rip.wrapping_sub(2))
        {
            running.entries += 1;
            if running.entries > 1 {
                *self.restarts.entry(running.call.by).or_default() += 1;
                if self.kernel.loses && running.call.by == By::Syscall {
                    running.call.lose(tid, registers);
                }
            }
            return;
        }
        if self.is_freebsd_call(tid, &registers)
            && let Some(by) = By::of(tid, &registers)
        {
            let call = Call::entered(by, &registers);
            *self.calls.entry(by).or_default() += 1;
            let thread = self.threads.entry(tid).or_default();
            thread.running.push(Running { call, entered: registers, skipped: true, entries: 0 });
            // No such number, so Linux does nothing.
            kernel::set_registers(tid, Registers { orig_rax: u64::MAX, ..registers });
        }
    }

    /// Whether a call with this number at this address is a `FreeBSD` call.
    fn is_freebsd_call(&mut self, tid: pid_t, registers: &Registers) -> bool {
        if !calls::PLAYED.contains(&(registers.orig_rax & 0xffff_ffff)) {
            return false;
        }
        let rip = registers.rip;
        if !self.code.iter().any(|range| range.contains(&rip)) {
            // The number may be Linux's own, or the code is new.
            self.look_for_code(tid);
        }
        self.code.iter().any(|range| range.contains(&rip))
    }

    fn look_for_code(&mut self, tid: pid_t) {
        let maps = fs::read_to_string(format!("/proc/{tid}/maps")).unwrap_or_default();
        let code_of = |name: &str| {
            let line = maps.lines().find(|line| line.contains(" r-xp ") && line.contains(name))?;
            let (start, end) = line.split(' ').next()?.split_once('-')?;
            Some(u64::from_str_radix(start, 16).ok()?..u64::from_str_radix(end, 16).ok()?)
        };
        let stubs = code_of("/libfbsd.so");
        if let (Some(stubs), None) = (&stubs, self.gate) {
            self.gate = stubs
                .clone()
                .step_by(8)
                .find(|&place| kernel::peek(tid, place) == Some(u64::from_le_bytes(*b"fbsdgate")))
                .map(|mark| mark + 8);
        }
        self.code = stubs.into_iter().chain(code_of("/libsigward")).collect();
    }

    /// Linux has skipped the call: answer it, or have Linux carry it out.
    fn carry_out(&mut self, tid: pid_t) {
        let gate = self.gate.unwrap_or(0);
        let Some(thread) = self.threads.get_mut(&tid) else { return };
        let Some(running) = thread.running.last_mut() else { return };
        running.skipped = false;
        match running.call.answer(tid, &self.kernel) {
            Answer::Done(result) => self.return_result(tid, result),
            Answer::Linux(number, [a, b, c, d]) => {
                let registers = Registers {
                    rip: gate,
                    rax: number as u64,
                    orig_rax: u64::MAX,
                    rdi: a,
                    rsi: b,
                    rdx: c,
                    r10: d,
                    ..running.entered
                };
                kernel::set_registers(tid, registers);
            }
        }
    }

    fn is_behind_gate(&self, tid: pid_t) -> bool {
        // After the breakpoint that follows the two bytes of the gate.
        kernel::registers(tid)
            .is_some_and(|registers| self.gate.is_some_and(|gate| registers.rip == gate + 3))
    }

    /// Linux has carried out the call.
    fn finish(&mut self, tid: pid_t) {
        let Some(registers) = kernel::registers(tid) else { return };
        let Some(running) = self.threads.get(&tid).and_then(|thread| thread.running.last()) else {
            return;
        };
        let result = running.call.result(tid, registers.rax as i64);
        self.return_result(tid, result);
    }

    /// Returns to the program by `FreeBSD`'s convention.
    fn return_result(&mut self, tid: pid_t, result: Result<u64, i32>) {
        const CARRY: u64 = 1;
        let Some(thread) = self.threads.get_mut(&tid) else { return };
        let Some(running) = thread.running.pop() else { return };
        let mut registers = Registers { orig_rax: u64::MAX, ..running.entered };
        match result {
            Ok(value) => {
                registers.rax = value;
                registers.eflags &= !CARRY;
            }
            Err(error) => {
                registers.rax = error as u64;
                registers.eflags |= CARRY;
            }
        }
        registers.rdx = 0;
        if running.call.lost {
            // The program sees the registers that the kernel lost.
            [registers.r8, registers.r9, registers.r10] = [calls::GARBAGE; 3];
        }
        kernel::set_registers(tid, registers);
    }
}
