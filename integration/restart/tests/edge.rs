//! No EINTR is lost between the halves of a wait.
//!
//! The waiter is single-stepped from the hook's first instruction to the
//! instruction that puts it to sleep for the *second* time: a child was there,
//! and another waiter takes it away in between. In one round per step a signal
//! whose handler has no `SA_RESTART` is delivered there. From then on the wait
//! must end with EINTR; a thread that goes to sleep has lost it.

use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::os::unix::fs::FileExt;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

use nix::sys::ptrace::{self, Options};
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::Pid;
use sigward_harness::artifacts;
use sigward_harness::programs::{self, Libc, build};

/// Words of `control` in wait_edge.c.
#[derive(Clone, Copy)]
enum Word {
    Ready,
    Go,
    Steal,
    Stolen,
    Finish,
    Handled,
    Result,
}

/// How a wait ended in which a signal was delivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// EINTR.
    Interrupted,
    /// It slept on, although the handler had run.
    Slept,
    /// A child was reported.
    Reported(i32),
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
    fn start(strategy: &str, libc: Libc, bypass: bool) -> Self {
        let mut command = Command::new(build("wait_edge", libc).unwrap());
        command.env("LD_PRELOAD", artifacts::preload()).env("SIGWARD_WAIT", strategy);
        if bypass {
            command.arg("bypass");
        }
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

    fn step(&self) {
        ptrace::step(self.pid, None).unwrap();
        loop {
            match waitpid(self.pid, None).unwrap() {
                WaitStatus::Stopped(_, Signal::SIGTRAP) => return,
                // SIGCHLD and the like: not ours to keep back.
                WaitStatus::Stopped(_, signal) => ptrace::step(self.pid, signal).unwrap(),
                other => panic!("{other:?}"),
            }
        }
    }

    /// Begins a round and steps to the first instruction of the hook.
    fn enter_hook(&self, round: i32) {
        until(|| self.get(Word::Ready) == round);
        // Not before: its children's signals would stop it.
        ptrace::seize(self.pid, Options::PTRACE_O_EXITKILL).unwrap();
        ptrace::interrupt(self.pid).unwrap();
        waitpid(self.pid, None).unwrap();
        self.set(Word::Go, 1);
        while !self.library.contains(&self.rip()) {
            self.step();
        }
    }

    /// Delivers the signal before the next instruction, then lets the waiter
    /// run and sees how its wait ends.
    fn interrupt_here(&self, asleep_in: &str) -> End {
        kill(self.pid, Signal::SIGUSR1).unwrap();
        ptrace::step(self.pid, None).unwrap();
        assert!(matches!(
            waitpid(self.pid, None).unwrap(),
            WaitStatus::Stopped(_, Signal::SIGUSR1)
        ));
        ptrace::detach(self.pid, Signal::SIGUSR1).unwrap();
        until(|| self.get(Word::Handled) == 1);
        let mut seen_asleep = 0;
        let end = loop {
            match self.get(Word::Result) {
                0 if seen_asleep == 20 => break End::Slept,
                0 => {}
                code if code == -libc::EINTR => break End::Interrupted,
                code => break End::Reported(code),
            }
            // The handler has run: who sleeps now will not be interrupted. A
            // napping waiter sleeps many times.
            let place = fs::read_to_string(format!("/proc/{}/wchan", self.pid)).unwrap();
            seen_asleep += i32::from(place.contains(asleep_in));
            sleep(Duration::from_millis(2));
        };
        self.set(Word::Finish, 1);
        end
    }
}

/// Where `libsigward.so` has its code.
fn library_of(pid: Pid) -> std::ops::Range<u64> {
    let maps = fs::read_to_string(format!("/proc/{pid}/maps")).unwrap();
    let line = maps
        .lines()
        .find(|line| line.contains("libsigward") && line.contains("r-xp"))
        .expect("the library is loaded");
    let (start, end) = line.split(' ').next().unwrap().split_once('-').unwrap();
    u64::from_str_radix(start, 16).unwrap()..u64::from_str_radix(end, 16).unwrap()
}

/// One round per instruction; the ends, in order.
fn ends(strategy: &str, libc: Libc, bypass: bool) -> Vec<End> {
    let (entry, asleep_in) = match strategy {
        "int80" => ([0xcd, 0x80], "do_wait"),
        _ => ([0x0f, 0x05], "poll"),
    };
    let waiter = Waiter::start(strategy, libc, bypass);
    let mut ends = Vec::new();
    for round in 1.. {
        waiter.enter_hook(round);
        let mut sleeps = 0;
        let mut last = false;
        for _ in 1..round {
            let registers = ptrace::getregs(waiter.pid).unwrap();
            let enters = waiter.opcode(registers.rip) == entry;
            // The reap of two-phase, which is entered by SYSCALL, too.
            let puts_to_sleep =
                enters && (strategy == "int80" || registers.rax == libc::SYS_poll as u64);
            if puts_to_sleep && sleeps == 1 {
                last = true;
                break;
            }
            // In two-phase the child is taken away before the first look.
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
        // Before the first sleep nobody is to take the child: the wait would
        // report it. Taken away, it must be.
        steal(&waiter);
        ends.push(waiter.interrupt_here(asleep_in));
        if last {
            return ends;
        }
    }
    unreachable!()
}

fn steal(waiter: &Waiter) {
    waiter.set(Word::Steal, 1);
    until(|| waiter.get(Word::Stolen) == 1);
}

/// The first steps come before the wait notes the generation: a handler there
/// is one that runs before the call, as on a bare kernel.
fn after_the_beginning(ends: &[End]) -> &[End] {
    let begun = ends.iter().position(|&end| end != End::Slept).unwrap_or(ends.len());
    &ends[begun..]
}

#[test]
fn a_signal_at_any_instruction_interrupts() {
    for &libc in programs::libcs() {
        for strategy in ["int80", "two-phase"] {
            let ends = ends(strategy, libc, false);
            let rest = after_the_beginning(&ends);
            println!("{strategy}: {} instructions, {} inside", ends.len(), rest.len());
            assert!(rest.len() > 100, "the loop was stepped: {ends:?}");
            assert!(rest.iter().all(|&end| end == End::Interrupted), "{strategy}: {ends:?}");
        }
    }
}

/// The control: a handler that does not stand behind the gate is overlooked.
#[test]
fn without_the_gate_signals_are_lost() {
    let ends = ends("int80", Libc::Glibc, true);
    let lost = ends.iter().filter(|&&end| end == End::Slept).count();
    println!("{lost} of {} lost", ends.len());
    assert!(lost > 40, "{ends:?}");
}

fn until(what: impl Fn() -> bool) {
    while !what() {
        sleep(Duration::from_micros(200));
    }
}
