//! Programs that run, and what doctor says about them.

use std::fs::OpenOptions;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::FileExt;
use std::process::{Child, ChildStdout, Stdio};

use sigward_harness::artifacts;
use sigward_harness::programs::{Libc, build};
use sigward_reader::Process;

use super::*;

/// A running program, which ends with its standard input.
pub struct Running {
    pub child: Child,
    pub lines: BufReader<ChildStdout>,
}

impl Running {
    pub fn start(command: &mut Command) -> Self {
        let piped = command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = piped.spawn().expect("a program");
        let lines = BufReader::new(child.stdout.take().unwrap());
        Running { child, lines }
    }

    /// `integration/programs/memory/past_libc.c` with the library in this mode.
    pub fn with(libc: Libc, mode: &str) -> Self {
        let mut command = Command::new(build("past_libc", libc).unwrap());
        command.env("LD_PRELOAD", artifacts::preload()).env("SIGWARD", mode);
        Running::ready(&mut command)
    }

    pub fn ready(command: &mut Command) -> Self {
        let mut running = Running::start(command);
        running.answer();
        running
    }

    /// The numbers in the next line: the address of its stack, and its copy's pid.
    pub fn answer(&mut self) -> (u64, u32) {
        let mut line = String::new();
        self.lines.read_line(&mut line).unwrap();
        let mut words = line.split_whitespace().skip(1);
        let mut next = || words.next().unwrap_or_else(|| panic!("{line:?}"));
        (next().parse().unwrap(), next().parse().unwrap())
    }

    pub fn ask(&mut self, letter: &str) -> (u64, u32) {
        self.child.stdin.as_mut().unwrap().write_all(letter.as_bytes()).unwrap();
        self.answer()
    }

    pub fn pid(&self) -> String {
        self.child.id().to_string()
    }

    /// Changes the byte at `offset` of its block.
    pub fn set(&self, offset: u64, byte: u8) {
        let pid = self.child.id();
        let block = Process::open(pid).unwrap().blocks().unwrap()[0].found.block;
        let memory = OpenOptions::new().write(true).open(format!("/proc/{pid}/mem")).unwrap();
        memory.write_all_at(&[byte], block + offset).unwrap();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What doctor says on an affected kernel: its exit code, and the report on the process.
pub fn look(pid: &str) -> (i32, Value) {
    on(&AFFECTED, pid.as_ref(), "processes")
}

#[track_caller]
pub fn stands(pid: &str, code: i32, standing: &str, why: &str) -> Value {
    let (found, report) = look(pid);
    let because = joined(&report["because"]);
    assert_eq!((found, &report["standing"]), (code, &standing.into()), "{report:#}");
    assert!(because.contains(why), "{because}");
    report
}

pub fn alternate(report: &Value) -> &Value {
    let stacks = report["stacks"].as_array().unwrap();
    let mut alternate = stacks.iter().filter(|stack| stack["role"] == "current");
    let first = alternate.next().expect("an alternate stack");
    assert!(alternate.next().is_none(), "{report:#}");
    first
}
