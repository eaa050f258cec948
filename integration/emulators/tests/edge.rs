//! A signal between the halves of a wait loses neither its EINTR nor a child.
//!
//! The waiter is single-stepped from the hook's first instruction. Each round goes one
//! instruction further and sends a signal there.
//!
//! - Up to the instruction that puts it to sleep for the *second* time: a child was there,
//!   and another waiter takes it in between. The handler has no `SA_RESTART`, so the wait
//!   must end with EINTR; a thread that goes to sleep has lost it.
//! - Up to the end of the hook: a child has ended, and the handler reaps whatever has
//!   ended. In the kernel it would come too late, because the interrupted wait already
//!   has that child.

use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::os::unix::fs::FileExt;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

use libc::ECHILD;
use nix::sys::ptrace::{self, Options};
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::Pid;
use sigward_harness::artifacts;
use sigward_harness::programs::{self, Libc, build};

/// The indices of `control` in wait_edge.c.
#[derive(Clone, Copy)]
enum Word {
    Ready,
    Go,
    Steal,
    Stolen,
    Finish,
    Handled,
    Result,
    Second,
}

/// How a wait ended during which a signal was delivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// EINTR.
    Interrupted,
    /// It kept sleeping although the handler had run.
    Slept,
    /// It reported a child: the first or the second.
    Reported(i32),
    /// Another error.
    Failed(i32),
}

/// The program, with its main thread under ptrace.
struct Waiter {
    child: Child,
    pid: Pid,
    memory: File,
    control: u64,
    library: std::ops::Range<u64>,
}

impl Drop for Waiter {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Waiter {
    fn start(strategy: &str, libc: Libc, mode: Option<&str>) -> Self {
        let mut command = Command::new(build("wait_edge", libc).unwrap());
        command.env("LD_PRELOAD", artifacts::preload()).env("SIGWARD_WAIT", strategy);
        command.args(mode);
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let (pid, address) = line.trim().split_once(' ').unwrap();
        let pid = Pid::from_raw(pid.parse().unwrap());
        let control = u64::from_str_radix(address.trim_start_matches("0x"), 16).unwrap();
        let memory =
            File::options().read(true).write(true).open(format!("/proc/{pid}/mem")).unwrap();
        let library = library_of(pid);
        Self { child, pid, memory, control, library }
    }

    fn get(&self, word: Word) -> i32 {
        let mut bytes = [0; 4];
        self.memory.read_exact_at(&mut bytes, self.control + 4 * word as u64).unwrap();
        i32::from_ne_bytes(bytes)
    }

    fn set(&self, word: Word, value: i32) {
        self.memory.write_all_at(&value.to_ne_bytes(), self.control + 4 * word as u64).unwrap();
    }

    fn rip(&self) -> u64 {
        ptrace::getregs(self.pid).unwrap().rip
    }

    /// The two bytes of the next instruction.
    fn opcode(&self, rip: u64) -> [u8; 2] {
        let mut bytes = [0; 2];
        self.memory.read_exact_at(&mut bytes, rip).unwrap();
        bytes
    }

    fn word_at(&self, address: u64) -> u64 {
        let mut bytes = [0; 8];
        self.memory.read_exact_at(&mut bytes, address).unwrap();
        u64::from_ne_bytes(bytes)
    }

    /// Whether the next instruction is the one that sleeps.
    fn is_about_to_sleep(&self, strategy: &str) -> bool {
        let registers = ptrace::getregs(self.pid).unwrap();
        let opcode = self.opcode(registers.rip);
        match strategy {
            "int80" => opcode == [0xcd, 0x80],
            // The call that reaps is entered by SYSCALL too.
            _ => opcode == [0x0f, 0x05] && registers.rax == libc::SYS_poll as u64,
        }
    }

    /// Ends the one child, and waits until it is a zombie.
    fn end_child(&self) {
        let child = self.get(Word::Second);
        kill(Pid::from_raw(child), Signal::SIGKILL).unwrap();
        let stat = format!("/proc/{child}/stat");
        until(|| fs::read_to_string(&stat).unwrap().contains(") Z "));
    }

    fn step(&self) {
        ptrace::step(self.pid, None).unwrap();
        loop {
            match waitpid(self.pid, None).unwrap() {
                WaitStatus::Stopped(_, Signal::SIGTRAP) => return,
                // Other signals, such as SIGCHLD, are passed on.
                WaitStatus::Stopped(_, signal) => ptrace::step(self.pid, signal).unwrap(),
                other => panic!("{other:?}"),
            }
        }
    }

    /// Begins a round and steps to the hook's first instruction.
    fn enter_hook(&self, round: i32) {
        until(|| self.get(Word::Ready) == round);
        // Not earlier: the signals of its children would stop it.
        ptrace::seize(self.pid, Options::PTRACE_O_EXITKILL).unwrap();
        ptrace::interrupt(self.pid).unwrap();
        waitpid(self.pid, None).unwrap();
        self.set(Word::Go, 1);
        while !self.library.contains(&self.rip()) {
            self.step();
        }
    }

    /// Sends the signal before the next instruction, lets the waiter run, and sees how
    /// its wait ends. The signal is delivered there, or, if signals are blocked, when
    /// they no longer are.
    fn interrupt_here(&self, asleep_in: &str) -> End {
        kill(self.pid, Signal::SIGUSR1).unwrap();
        ptrace::cont(self.pid, None).unwrap();
        let stop = || waitpid(self.pid, None).unwrap();
        loop {
            match stop() {
                WaitStatus::Stopped(_, Signal::SIGUSR1) => break,
                WaitStatus::Stopped(_, signal) => ptrace::cont(self.pid, signal).unwrap(),
                other => panic!("{other:?}"),
            }
        }
        ptrace::detach(self.pid, Signal::SIGUSR1).unwrap();
        until(|| self.get(Word::Handled) == 1);
        let mut seen_asleep = 0;
        let end = loop {
            match self.get(Word::Result) {
                0 if seen_asleep == 20 => break End::Slept,
                0 => {}
                code if code == -libc::EINTR => break End::Interrupted,
                code if code < 0 => break End::Failed(-code),
                code => break End::Reported(code),
            }
            // The handler has run, so a thread that sleeps now will not be interrupted. A
            // napping waiter sleeps many times.
            let place = fs::read_to_string(format!("/proc/{}/wchan", self.pid)).unwrap();
            seen_asleep += i32::from(place.contains(asleep_in));
            sleep(Duration::from_millis(2));
        };
        self.set(Word::Finish, 1);
        end
    }
}

/// The address range of `libsigward.so`'s code.
fn library_of(pid: Pid) -> std::ops::Range<u64> {
    let maps = fs::read_to_string(format!("/proc/{pid}/maps")).unwrap();
    let line = maps
        .lines()
        .find(|line| line.contains("libsigward") && line.contains("r-xp"))
        .expect("the library is loaded");
    let (start, end) = line.split(' ').next().unwrap().split_once('-').unwrap();
    u64::from_str_radix(start, 16).unwrap()..u64::from_str_radix(end, 16).unwrap()
}

/// One round per instruction; returns how each ended, in order.
fn ends(strategy: &str, libc: Libc, mode: Option<&str>) -> Vec<End> {
    let asleep_in = asleep_in(strategy);
    let waiter = Waiter::start(strategy, libc, mode);
    let mut ends = Vec::new();
    for round in 1.. {
        waiter.enter_hook(round);
        let mut sleeps = 0;
        let mut last = false;
        for _ in 1..round {
            let puts_to_sleep = waiter.is_about_to_sleep(strategy);
            if puts_to_sleep && sleeps == 1 {
                last = true;
                break;
            }
            // With two-phase the child is taken away before the first look.
            if strategy == "two-phase" && waiter.get(Word::Stolen) == 0 {
                steal(&waiter);
            }
            waiter.step();
            if puts_to_sleep {
                sleeps += 1;
                if strategy == "int80" {
                    steal(&waiter);
                }
            }
        }
        // Before the first sleep nobody may take the child, because the wait would report
        // it. Afterwards it must be taken.
        steal(&waiter);
        ends.push(waiter.interrupt_here(asleep_in));
        if last {
            return ends;
        }
    }
    unreachable!()
}

/// The kernel function in which it sleeps.
fn asleep_in(strategy: &str) -> &'static str {
    if strategy == "int80" { "do_wait" } else { "poll" }
}

/// One round per instruction of a wait whose child has ended before the signal comes.
/// Returns how each ended, in order, and the index of the one before the sleep.
fn ends_of_collected(strategy: &str, libc: Libc, mode: &str) -> (Vec<End>, usize) {
    let waiter = Waiter::start(strategy, libc, Some(mode));
    let mut ends = Vec::new();
    let mut asleep_at = 0;
    for round in 1.. {
        waiter.enter_hook(round);
        let back = waiter.word_at(ptrace::getregs(waiter.pid).unwrap().rsp);
        let mut over = false;
        let mut ended = false;
        for step in 0..round - 1 {
            if !ended && waiter.is_about_to_sleep(strategy) {
                waiter.end_child();
                ended = true;
                asleep_at = step as usize;
            }
            waiter.step();
            over = waiter.rip() == back;
            if over {
                break;
            }
        }
        if !ended {
            waiter.end_child();
        }
        ends.push(waiter.interrupt_here(asleep_in(strategy)));
        if over {
            return (ends, asleep_at);
        }
    }
    unreachable!()
}

fn steal(waiter: &Waiter) {
    waiter.set(Word::Steal, 1);
    until(|| waiter.get(Word::Stolen) == 1);
}

/// At the first steps the wait has not yet recorded the generation: a handler there runs
/// before the call, as it may on a bare kernel.
fn after_the_beginning(ends: &[End]) -> &[End] {
    let begun = ends.iter().position(|&end| end != End::Slept).unwrap_or(ends.len());
    &ends[begun..]
}

#[test]
fn a_signal_at_any_instruction_interrupts() {
    for &libc in programs::libcs() {
        for strategy in ["int80", "two-phase"] {
            let ends = ends(strategy, libc, None);
            let rest = after_the_beginning(&ends);
            println!("{strategy}: {} instructions, {} inside", ends.len(), rest.len());
            assert!(rest.len() > 100, "the loop was stepped: {ends:?}");
            assert!(rest.iter().all(|&end| end == End::Interrupted), "{strategy}: {ends:?}");
        }
    }
}

/// A handler that reaps whatever has ended comes too late wherever it runs.
#[test]
fn a_handler_at_any_instruction_takes_no_child() {
    for &libc in programs::libcs() {
        for strategy in ["int80", "two-phase"] {
            for mode in ["collect", "collect-restart"] {
                let (ends, asleep_at) = ends_of_collected(strategy, libc, mode);
                // A handler that runs before the wait has begun may reap it.
                let begun = ends.iter().position(|end| *end != End::Failed(ECHILD)).unwrap();
                println!("{strategy} {mode}: {} instructions, {begun} before", ends.len());
                assert!(0 < begun && begun < asleep_at, "{begun} {asleep_at} {ends:?}");
                let rest = &ends[begun..];
                assert!(
                    rest.iter().all(|&end| end == End::Reported(2)),
                    "{strategy} {mode}: {ends:?}"
                );
            }
        }
    }
}

/// The control: a handler without the gate in front of it is not noticed.
#[test]
fn without_the_gate_signals_are_lost() {
    let ends = ends("int80", Libc::Glibc, Some("bypass"));
    let lost = ends.iter().filter(|&&end| end == End::Slept).count();
    println!("{lost} of {} lost", ends.len());
    assert!(lost > 40, "{ends:?}");
}

fn until(what: impl Fn() -> bool) {
    while !what() {
        sleep(Duration::from_micros(200));
    }
}
