//! `make demo`: four real, unmodified programs without and with `libsigward.so`, and the page
//! faults that the kernel took while it wrote their signal frames. Counted from outside.

use std::io;
use std::process::ExitCode;

use sigward_harness::frames::Trace;
use sigward_harness::programs::{self, Libc};
use sigward_harness::{Run, artifacts};

/// Its fatal-signal reporter runs on an alternate stack from `malloc`; `register` puts a
/// user signal there too.
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
    match programs::python() {
        Some(python) => rows.insert(
            1,
            Row {
                what: "python3 with faulthandler",
                // malloc may hand out memory that was used before, by chance already resident:
                // this setting makes it map blocks of this size afresh, as it does larger ones.
                run: Run::new(python).env("MALLOC_MMAP_THRESHOLD_", "16384").args([
                    "-X",
                    "faulthandler",
                    "-c",
                    PYTHON,
                ]),
            },
        ),
        None => println!("python3 is not here and left out (apt-get install python3).\n"),
    }

    println!("{:34}{:>11}{:>26}", "", "signals", "frames that faulted");
    println!("{:34}{:>11}{:>13}{:>13}", "program", "delivered", "without", "with sigward");
    let mut good = true;
    for Row { what, run } in rows {
        let without = measured(&run)?;
        let with = measured(&run.sigward("on"))?;
        println!(
            "{what:34}{:>11}{:>13}{:>13}",
            without.frames.len(),
            without.faulting(),
            with.faulting()
        );
        good &= without.faulting() > 0 && with.faulting() == 0;
        good &= with.frames.len() == without.frames.len();
    }
    println!();
    println!("{}", if good { MEANING } else { FAILED });
    Ok(good)
}

const MEANING: &str = "\
Each frame that faults is a moment in which an affected kernel may give the program another
program's vector registers; with libsigward.so preloaded, no frame of the same, unmodified
programs faults any more.";

const FAILED: &str = "\
NOT as it should be: without the library each program must take faults, with it none, and
the same number of signals.";

fn measured(run: &Run) -> io::Result<Trace> {
    let trace = run.frames()?;
    if trace.outcome.success() {
        return Ok(trace);
    }
    Err(io::Error::other(format!("a program of the demo failed: {:?}", trace.outcome)))
}
