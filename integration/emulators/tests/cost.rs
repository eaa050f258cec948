//! The cost of the hooks: one instruction when off; two waits and two changes of the
//! signal mask per child with `int80`.

mod support;

use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use nix::sys::ptrace;
use nix::sys::signal::Signal;
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::Pid;
use sigward_harness::programs::{self, Libc, build};
use sigward_harness::run::Run;
use sigward_harness::{artifacts, need};
use support::{STRATEGIES, program};

/// Instructions between the breakpoints of wait_probe: for wait4 and for waitpid.
fn instructions(libc: Libc, strategy: Option<&str>) -> [u32; 2] {
    let mut command = Command::new(build("wait_probe", libc).unwrap());
    if let Some(strategy) = strategy {
        command.env("LD_PRELOAD", artifacts::preload()).env("SIGWARD_WAIT", strategy);
    }
    // SAFETY: one system call between fork and exec.
    unsafe { command.pre_exec(|| Ok(ptrace::traceme()?)) };
    let mut child = command.spawn().unwrap();
    let pid = Pid::from_raw(child.id() as i32);
    let trapped = || {
        let status = waitpid(pid, None).unwrap();
        assert_eq!(status, WaitStatus::Stopped(pid, Signal::SIGTRAP));
    };
    // The exec, then the first breakpoint.
    trapped();
    ptrace::cont(pid, None).unwrap();
    trapped();
    let counts = [(); 2].map(|()| {
        let mut count = 0;
        loop {
            let rip = ptrace::getregs(pid).unwrap().rip;
            let next = ptrace::read(pid, rip as ptrace::AddressType).unwrap() & 0xff;
            ptrace::step(pid, None).unwrap();
            trapped();
            if next == 0xcc {
                return count;
            }
            count += 1;
        }
    });
    child.kill().unwrap();
    child.wait().unwrap();
    counts
}

#[test]
fn a_hook_that_is_off_is_one_jump() {
    for &libc in programs::libcs() {
        let bare = instructions(libc, None);
        let off = instructions(libc, Some("off"));
        println!("{libc:?}: {bare:?} without, {off:?} with the library");
        assert_eq!(off, bare.map(|count| count + 1), "{libc:?}");
    }
}

/// Calls per child whose names end with one of `names`, counted by strace, for one thread
/// that waits for each child.
fn calls_per_child(strace: &Path, strategy: &str, children: u32, names: &[&str]) -> f64 {
    let table = tempfile::NamedTempFile::new().unwrap();
    let outcome = Run::new(strace)
        .args(["-f", "-c", "-o"])
        .arg(table.path())
        .args(["-e", "trace=wait4,waitid,waitpid,poll,rt_sigprocmask"])
        .args(["/usr/bin/env", &format!("SIGWARD_WAIT={strategy}")])
        .arg(format!("LD_PRELOAD={}", artifacts::preload().display()))
        .arg(build("wait_race", Libc::Glibc).unwrap())
        .args(["waitpid", &children.to_string(), "1"])
        .output()
        .unwrap();
    assert!(outcome.success(), "{outcome:?}");
    let text = std::fs::read_to_string(table.path()).unwrap();
    println!("{strategy}:\n{text}");
    let calls: u32 = text
        .lines()
        .filter(|line| names.iter().any(|name| line.ends_with(name)))
        .map(|line| line.split_whitespace().nth(3).unwrap().parse::<u32>().unwrap())
        .sum();
    f64::from(calls) / f64::from(children)
}

#[test]
fn int80_makes_two_calls_per_child() {
    let Some(strace) = need::program("strace") else { return };
    let calls = calls_per_child(&strace, "int80", 500, &["wait4", "waitid", "poll"]);
    assert!((1.9..=2.2).contains(&calls), "{calls}");
    // A fork changes the mask too.
    let [masks, bare] = ["int80", "off"]
        .map(|strategy| calls_per_child(&strace, strategy, 500, &["rt_sigprocmask"]));
    assert!((1.9..=2.2).contains(&(masks - bare)), "{masks} {bare}");
}

#[test]
fn many_waiters_share_many_children() {
    for strategy in STRATEGIES {
        for (function, threads) in [("any4", 8), ("wait4", 8), ("anyid", 8), ("any4", 64)] {
            let run = program("wait_race", Libc::Glibc, Some(strategy));
            let outcome = run.args([function, "2000", &threads.to_string()]).output().unwrap();
            assert!(outcome.success(), "{strategy} {function} {threads}: {outcome:?}");
        }
    }
}
