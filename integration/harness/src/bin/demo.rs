//! `make demo`: four real, unmodified programs without and with `libsigward.so`, and the page
//! faults that the kernel took while it wrote their signal frames, counted from outside. The
//! library gets `SIGWARD_FRAME` from the environment.

use std::io;
use std::process::ExitCode;

use sigward_harness::frames::Trace;
use sigward_harness::programs::{self, Libc};
use sigward_harness::{Run, artifacts, need};

/// Its fatal-signal reporter runs on an alternate stack from `malloc`; `register` makes a
/// user signal run there too.
const PYTHON: &str = "\
import faulthandler, os, signal
faulthandler.register(signal.SIGUSR1, file=open(os.devnull, 'w'))
os.kill(os.getpid(), signal.SIGUSR1)
";

struct Row {
    what: &'static str,
    run: Run,
}

fn main() -> ExitCode {
    match demo() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("demo: {error}");
            ExitCode::FAILURE
        }
    }
}

fn demo() -> io::Result<bool> {
    let mut rows = vec![
        Row {
            what: "C, one mmapped alternate stack",
            run: Run::new(programs::build("altstack_mmap", Libc::Glibc)?),
        },
        Row {
            what: "Rust, std's stack on 9 threads",
            run: Run::new(artifacts::harness_bin("rust-threads")?),
        },
        Row {
            what: "C, 64 threads with a stack each",
            run: Run::new(programs::build("altstack_threads", Libc::Glibc)?).arg("64"),
        },
    ];
    match need::interpreter() {
        Some(python) => rows.insert(
            1,
            Row {
                what: "python3 with faulthandler",
                // malloc may return memory that was used before and happens to be resident.
                // With this setting it maps blocks of a page or more afresh, as it does large
                // ones. The size of the stack depends on the CPU and on python's version.
                run: Run::new(python).env("MALLOC_MMAP_THRESHOLD_", "4096").args([
                    "-X",
                    "faulthandler",
                    "-c",
                    PYTHON,
                ]),
            },
        ),
        None => println!("python3 is missing and skipped (apt-get install python3).\n"),
    }

    println!("{:34}{:>11}{:>26}", "", "signals", "frames that faulted");
    println!("{:34}{:>11}{:>13}{:>13}", "program", "delivered", "without", "with sigward");
    let (mut good, mut shown) = (true, false);
    for Row { what, run } in rows {
        let without = measured(&run)?;
        let with = run.sigward("on");
        let with = measured(&match std::env::var_os("SIGWARD_FRAME") {
            Some(bytes) => with.env("SIGWARD_FRAME", bytes),
            None => with,
        })?;
        let note = if without.faulting() == 0 { "  its stack was in memory anyway" } else { "" };
        println!(
            "{what:34}{:>11}{:>13}{:>13}{note}",
            without.frames.len(),
            without.faulting(),
            with.faulting()
        );
        shown |= without.faulting() > 0;
        good &= with.faulting() == 0 && with.frames.len() == without.frames.len();
    }
    good &= shown;
    println!();
    println!("{}", if good { MEANING } else { FAILED });
    Ok(good)
}

const MEANING: &str = "\
Each frame that faults is a moment in which an affected kernel may give the program another
program's vector registers; with libsigward.so preloaded, no frame of the same, unmodified
programs faults any more.";

const FAILED: &str = "\
NOT as it should be: with the library no program may take a fault, each must take as many
signals as without, and without it some must fault.";

fn measured(run: &Run) -> io::Result<Trace> {
    let trace = run.frames()?;
    if trace.outcome.success() {
        return Ok(trace);
    }
    Err(io::Error::other(format!("a program of the demo failed: {:?}", trace.outcome)))
}
