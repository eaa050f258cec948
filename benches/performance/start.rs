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
const ROUNDS: usize = 9;
const STARTS: u32 = 100;

pub fn run(_: Counter, _: &Libraries) -> io::Result<Section> {
    let tini = installed("tini").ok_or_else(|| io::Error::other("apt-get install tini"))?;
    let sigward = artifacts::command();
    let arms: [(&str, &Path, &[&str]); 4] = [
        ("nothing", Path::new("/bin/true"), &[]),
        ("tini", &tini, &["-s", "--", "/bin/true"]),
        ("`sigward run`", sigward, &["run", "--", "/bin/true"]),
        ("`sigward run --init`", sigward, &["run", "--init", "--", "/bin/true"]),
    ];
    let mut rounds = [[0.0; ROUNDS]; 4];
    // In turns, so that a busy moment of the machine affects all of them.
    for round in 0..ROUNDS {
        for ((_, program, arguments), rounds) in arms.iter().zip(&mut rounds) {
            rounds[round] = microseconds(program, arguments)?;
        }
    }
    let tinis = rounds[1];
    let relative = |rounds: &[f64; ROUNDS]| {
        let mut ratios: Vec<f64> = rounds.iter().zip(&tinis).map(|(own, its)| own / its).collect();
        ratios.sort_by(f64::total_cmp);
        ratios[ROUNDS / 2]
    };
    let least = |rounds: &[f64; ROUNDS]| rounds.iter().copied().fold(f64::INFINITY, f64::min);
    let ours = relative(&rounds[2]);
    Ok(Section {
        title: "Starting a program by the command",
        text: format!(
            "CPU time, of user and kernel, of starting `/bin/true` and waiting for it: the least of\n\
             {ROUNDS} rounds of {STARTS} starts, and the median of the ratios to tini's time in the\n\
             same round. The target is at most {TARGET} times tini's for `sigward run`."
        ),
        header: vec!["started by", "us", "ratio to tini"],
        rows: arms
            .iter()
            .zip(&rounds)
            .map(|((name, ..), rounds)| {
                vec![(*name).to_owned(), grouped(least(rounds)), ratio(relative(rounds), 1.0)]
            })
            .collect(),
        missed: (ours > TARGET)
            .then(|| format!("`sigward run` takes {} times tini's time", ratio(ours, 1.0))),
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
