//! `make performance-gate`: instructions and system calls that the library adds to its main operations,
//! against the figures in `limits.json`. Nothing here depends on the processor, on its speed or on
//! what else it does: callgrind's processor is the same everywhere, and the frame's size is given.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use sigward_harness::artifacts::workspace;
use sigward_harness::counter::Counter;
use sigward_harness::programs::{self, Libc};
use sigward_harness::run::Run;

use crate::calls::CALLS;
use crate::operations::OPERATIONS;
use crate::subject::{Libraries, Mode};

/// By name: what was counted when the limits were written.
type Figures = BTreeMap<String, f64>;

/// How much dearer than then. Half an instruction more is an instruction in every second call.
const SLACK: f64 = 0.05;
const LEAST: f64 = 0.5;

/// A small frame, as on processors without AVX-512.
const FRAME: (&str, &str) = ("SIGWARD_FRAME", "2696");

const MODES: [(&str, Mode); 2] = [("auto", Mode::Auto), ("on", Mode::On)];

/// Counts, and compares; with `BLESS` in the environment, writes the limits anew instead. Returns
/// whether all are kept.
pub fn run(libraries: &Libraries) -> io::Result<bool> {
    let path = workspace().join("benches/performance/limits.json");
    let found = count(libraries)?;
    if std::env::var_os("BLESS").is_some() {
        let text = serde_json::to_string_pretty(&found).map_err(io::Error::other)? + "\n";
        fs::write(&path, text)?;
        println!("performance gate: wrote {}", path.display());
        return Ok(true);
    }
    let text = fs::read_to_string(&path)?;
    let limits: Figures = serde_json::from_str(&text).map_err(io::Error::other)?;
    let mut kept = limits.keys().eq(found.keys());
    if !kept {
        println!("performance gate: other figures than in {}", path.display());
    }
    for (name, limit) in &limits {
        let Some(now) = found.get(name) else { continue };
        let most = limit + (limit.abs() * SLACK).max(LEAST);
        let verdict = if *now > most {
            kept = false;
            "TOO DEAR"
        } else if *now < limit - (limit.abs() * SLACK).max(LEAST) {
            "cheaper: write the limits anew"
        } else {
            "kept"
        };
        println!("{name}: {now:.1}, limit {most:.1}: {verdict}");
    }
    if !kept {
        println!("performance gate: if a feature needs more, BLESS=1 make performance-gate");
    }
    Ok(kept)
}

fn count(libraries: &Libraries) -> io::Result<Figures> {
    let mut found = Figures::new();
    let program = programs::build("bench_calls", Libc::Glibc)?;
    let per_call = |call: &str, mode: Mode| {
        let args = [call, "1"];
        with_environment(mode, libraries, |environment| {
            Counter::Callgrind.per_call(&program, &args, [200, 1200], environment)
        })
    };
    for (call, _) in CALLS {
        let bare = per_call(call, Mode::Without)?;
        for (word, mode) in MODES {
            let added = per_call(call, mode)? - bare;
            found.insert(format!("instructions, {call}, {word}"), rounded(added));
        }
    }
    let exec = |mode: Mode| {
        with_environment(mode, libraries, |environment| {
            Counter::Callgrind.count(&[OsStr::new("/bin/true")], environment)
        })
    };
    let bare = exec(Mode::Without)?;
    for (word, mode) in MODES {
        found.insert(format!("instructions, exec, {word}"), rounded(exec(mode)? - bare));
    }
    let program = programs::build("bench_beside", Libc::Glibc)?;
    for (what, args, _) in OPERATIONS {
        // A page that the kernel moves meanwhile, or the like, takes a call more.
        let calls = |mode: Mode| -> io::Result<f64> {
            (0..3).try_fold(f64::INFINITY, |least, _| {
                Ok(least.min(system_calls(&program, args, mode, libraries)?))
            })
        };
        let bare = calls(Mode::Without)?;
        for (word, mode) in MODES {
            found.insert(format!("system calls, {what}, {word}"), calls(mode)? - bare);
        }
    }
    Ok(found)
}

/// To a tenth: that is enough to judge by, and the file stays readable.
fn rounded(figure: f64) -> f64 {
    (figure * 10.0).round() / 10.0
}

fn with_environment<T>(
    mode: Mode,
    libraries: &Libraries,
    count: impl FnOnce(&[(&str, &OsStr)]) -> io::Result<T>,
) -> io::Result<T> {
    let mut variables = mode.environment(libraries, None);
    variables.push((FRAME.0, FRAME.1.into()));
    count(&crate::subject::borrowed(&variables))
}

fn system_calls(
    program: &PathBuf,
    args: &[&str],
    mode: Mode,
    libraries: &Libraries,
) -> io::Result<f64> {
    let run = Run::new(program).args(args).args(["rounds=0"]).env(FRAME.0, FRAME.1);
    let run = mode
        .environment(libraries, None)
        .into_iter()
        .fold(run.deadline(Duration::from_secs(250)), |run, (name, value)| run.env(name, value));
    let calls = run.steps()?.calls.len();
    Ok(f64::from(u32::try_from(calls).unwrap_or(u32::MAX)))
}
