//! What `sigward run` takes to start a program, beside a well-known init.

use std::io;
use std::path::Path;
use std::process::{Command, Stdio};

use sigward_harness::artifacts;
use sigward_harness::counter::Counter;
use sigward_harness::cpu_time;
use sigward_harness::need::installed;

use crate::document::{Section, grouped};
use crate::subject::Libraries;

/// The most that `sigward run` may take, relative to tini.
const TARGET: f64 = 1.1;
const ROUNDS: usize = 1000;
const ARMS: usize = 5;
/// Where tini is, and the last arm that the target is for.
const TINI: usize = 1;
const LAST: usize = 3;

pub fn run(_: Counter, _: &Libraries) -> io::Result<Section> {
    let tini = installed("tini").ok_or_else(|| io::Error::other("apt-get install tini"))?;
    // A copy, as an installed command is one: how the linker wrote a file decides how many pages of
    // it a fault brings in.
    let folder = tempfile::tempdir()?;
    let sigward = &folder.path().join("sigward");
    std::fs::copy(artifacts::command(), sigward)?;
    let arms: [(&str, &Path, &[&str]); ARMS] = [
        ("nothing", Path::new("/bin/true"), &[]),
        ("tini", &tini, &["-s", "--", "/bin/true"]),
        ("`sigward run`", sigward, &["run", "--", "/bin/true"]),
        ("`sigward run --quiet`", sigward, &["run", "--quiet", "--", "/bin/true"]),
        ("`sigward run --init`", sigward, &["run", "--init", "--", "/bin/true"]),
    ];
    let mut times = [const { Vec::new() }; ARMS];
    let mut ratios = times.clone();
    for round in 0..ROUNDS {
        let mut took = [0.0; ARMS];
        // Each is first as often as the others: what runs before one may be in its way.
        for turn in 0..ARMS {
            let arm = (round + turn) % ARMS;
            let (_, program, arguments) = arms[arm];
            took[arm] = microseconds(program, arguments)?;
        }
        for arm in 0..ARMS {
            times[arm].push(took[arm]);
            ratios[arm].push(took[arm] / took[TINI]);
        }
    }
    let times = times.map(median);
    let ratios = ratios.map(median);
    let row = |arm: usize| {
        vec![arms[arm].0.to_owned(), grouped(times[arm]), format!("{:.2}", ratios[arm])]
    };
    let missed = (TINI + 1..=LAST).find(|&arm| ratios[arm] > TARGET);
    Ok(Section {
        title: "Starting a program by the command",
        text: format!(
            "CPU time, of user and kernel, of starting `/bin/true` and waiting for it: the median of\n\
             {ROUNDS} starts of each, in turns. The ratio is the median of those of each turn. The target is\n\
             at most {TARGET} times tini's for `sigward run`, without an option and with one. It includes what\n\
             the library takes in the program."
        ),
        header: vec!["started by", "us", "ratio to tini"],
        rows: (0..ARMS).map(row).collect(),
        missed: missed
            .map(|arm| format!("{} takes {:.2} times tini's time", arms[arm].0, ratios[arm])),
    })
}

/// The CPU time of one start.
fn microseconds(program: &Path, arguments: &[&str]) -> io::Result<f64> {
    let before = cpu_time::of_children()?;
    let mut command = Command::new(program);
    command.args(arguments).env("SIGWARD", "auto").env_remove("LD_PRELOAD");
    let status = command.stdin(Stdio::null()).status()?;
    if !status.success() {
        return Err(io::Error::other(format!("{}: {status}", program.display())));
    }
    let took = cpu_time::of_children()?.saturating_sub(before);
    Ok(took.as_secs_f64() * 1e6)
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
