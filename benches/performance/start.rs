//! What `sigward run` takes to start a program, beside a well-known init.

use std::io;
use std::path::Path;
use std::process::{Command, Stdio};

use sigward_harness::artifacts;
use sigward_harness::counter::Counter;
use sigward_harness::cpu_time;
use sigward_harness::need::installed;

use crate::document::{Section, grouped, ratio};
use crate::subject::Libraries;

/// The most that `sigward run` may take, relative to tini.
const TARGET: f64 = 1.1;
const ROUNDS: usize = 20;
const STARTS: u32 = 50;

pub fn run(_: Counter, _: &Libraries) -> io::Result<Section> {
    let tini_path = installed("tini").ok_or_else(|| io::Error::other("apt-get install tini"))?;
    let sigward = artifacts::command();
    let arms: [(&str, &Path, &[&str]); 4] = [
        ("nothing", Path::new("/bin/true"), &[]),
        ("tini", &tini_path, &["-s", "--", "/bin/true"]),
        ("`sigward run`", sigward, &["run", "--", "/bin/true"]),
        ("`sigward run --init`", sigward, &["run", "--init", "--", "/bin/true"]),
    ];
    let mut least = [f64::INFINITY; 4];
    // In turns, so that a busy moment of the machine affects all of them.
    for _ in 0..ROUNDS {
        for ((_, program, arguments), least) in arms.iter().zip(&mut least) {
            *least = least.min(microseconds(program, arguments)?);
        }
    }
    let [_, tini, ours, _] = least;
    let row = |(&(name, ..), &time): (&(&str, _, _), &f64)| {
        vec![name.to_owned(), grouped(time), ratio(time, tini)]
    };
    Ok(Section {
        title: "Starting a program by the command",
        text: format!(
            "CPU time, of user and kernel, of starting `/bin/true` and waiting for it: the mean of\n\
             {STARTS} starts, in the best of {ROUNDS} rounds. The target is at most {TARGET} times tini's for\n\
             `sigward run`."
        ),
        header: vec!["started by", "us", "ratio to tini"],
        rows: arms.iter().zip(&least).map(row).collect(),
        missed: (ours > TARGET * tini)
            .then(|| format!("`sigward run` takes {} times tini's time", ratio(ours, tini))),
    })
}

/// The CPU time of one start.
fn microseconds(program: &Path, arguments: &[&str]) -> io::Result<f64> {
    let before = cpu_time::of_children()?;
    for _ in 0..STARTS {
        let mut command = Command::new(program);
        command.args(arguments).env("SIGWARD", "auto").env_remove("LD_PRELOAD");
        let status = command.stdin(Stdio::null()).status()?;
        if !status.success() {
            return Err(io::Error::other(format!("{}: {status}", program.display())));
        }
    }
    let took = cpu_time::of_children()?.saturating_sub(before);
    Ok(took.as_secs_f64() * 1e6 / f64::from(STARTS))
}
