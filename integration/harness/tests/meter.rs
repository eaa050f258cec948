//! The meter itself: what it counts, and that it disturbs nothing.

use std::io::ErrorKind;
use std::os::unix::process::ExitStatusExt;
use std::process::Command;
use std::time::{Duration, Instant};

use sigward_harness::frames::{self, FrameStack, Trace};
use sigward_harness::need;
use sigward_harness::programs::{self, build};
use sigward_harness::run::Run;

const LONG: Duration = Duration::from_secs(60);

fn program(name: &str) -> Vec<Trace> {
    programs::libcs()
        .iter()
        .map(|&libc| Run::new(build(name, libc).unwrap()).frames().unwrap())
        .collect()
}

fn python(script: &str) -> Option<Trace> {
    Some(Run::new(need::python()?).args(["-c", script]).frames().unwrap())
}

#[test]
fn an_untouched_stack_costs_one_fault() {
    for trace in program("altstack_mmap") {
        assert!(trace.outcome.success(), "{:?}", trace.outcome);
        let [frame] = &trace.frames[..] else { panic!("one frame: {:?}", trace.frames) };
        assert_eq!((frame.faults, frame.stack), (1, FrameStack::Altstack));
        assert_eq!((frame.signal, frame.pid), (libc::SIGUSR1, frame.tid));
        assert_eq!(frame.name, "altstack_mmap");
    }
}

#[test]
fn a_locked_stack_costs_none() {
    for trace in program("altstack_mlocked") {
        let [frame] = &trace.frames[..] else { panic!("one frame: {:?}", trace.frames) };
        assert_eq!((frame.faults, frame.stack), (0, FrameStack::Altstack));
    }
}

#[test]
fn every_thread_is_followed() {
    for trace in program("altstack_threads") {
        assert!(trace.outcome.success(), "{:?}", trace.outcome);
        let mut tids: Vec<_> = trace.on_altstack().map(|frame| frame.tid).collect();
        tids.sort_unstable();
        tids.dedup();
        assert_eq!((tids.len(), trace.faulting()), (64, 64));
    }
}

#[test]
fn children_of_fork_and_of_exec_are_followed() {
    let program = build("altstack_mmap", programs::Libc::Glibc).unwrap();
    let script = format!("{0} & wait; ( {0} ); exec {0}", program.display());
    let trace = Run::new("/bin/sh").args(["-c", &script]).frames().unwrap();
    let mut pids: Vec<_> = trace.on_altstack().map(|frame| frame.pid).collect();
    pids.sort_unstable();
    pids.dedup();
    assert_eq!(pids.len(), 3, "{:?}", trace.frames);
    assert!(trace.on_altstack().all(|frame| frame.faults == 1));
}

#[test]
fn a_frame_on_the_ordinary_stack_is_recognized() {
    let script =
        "import os, signal\nsignal.signal(40, lambda *_: print('here'))\nos.kill(os.getpid(), 40)";
    let Some(trace) = python(script) else { return };
    assert_eq!(trace.outcome.stdout, "here\n");
    let [frame] = &trace.frames[..] else { panic!("one frame: {:?}", trace.frames) };
    // A real-time signal too.
    assert_eq!((frame.signal, frame.stack), (40, FrameStack::Ordinary));
}

#[test]
fn ignored_and_default_signals_are_no_deliveries() {
    let script = "import os, signal\nsignal.signal(10, signal.SIG_IGN)\nos.kill(os.getpid(), 10)\nos.kill(os.getpid(), 12)";
    let Some(trace) = python(script) else { return };
    assert!(trace.frames.is_empty(), "{:?}", trace.frames);
    assert_eq!(trace.outcome.status.signal(), Some(12));
}

#[test]
fn job_control_is_unchanged() {
    // The child stops itself; the parent must see the stop, and then the continuation.
    let script = "
import os, signal
child = os.fork()
if child == 0:
    os.kill(os.getpid(), signal.SIGSTOP)
    os._exit(7)
_, status = os.waitpid(child, os.WUNTRACED)
assert os.WIFSTOPPED(status), status
os.kill(child, signal.SIGCONT)
_, status = os.waitpid(child, 0)
print(os.WEXITSTATUS(status))";
    let Some(trace) = python(script) else { return };
    assert_eq!(trace.outcome.stdout, "7\n", "{:?}", trace.outcome);
}

#[test]
fn a_frame_that_cannot_be_written_is_reported() {
    for trace in program("altstack_unwritable") {
        let [frame] = &trace.frames[..] else { panic!("one frame: {:?}", trace.frames) };
        assert_eq!(frame.stack, FrameStack::Refused);
        assert_eq!(trace.outcome.status.signal(), Some(libc::SIGSEGV));
    }
}

#[test]
fn exit_code_and_output_are_the_programs_own() {
    let trace =
        Run::new("/bin/sh").args(["-c", "echo out; echo err >&2; exit 3"]).frames().unwrap();
    let outcome = trace.outcome;
    assert_eq!((&*outcome.stdout, &*outcome.stderr, outcome.code()), ("out\n", "err\n", 3));
}

#[test]
fn what_hangs_is_killed() {
    // setsid: not even in the same process group.
    let run = Run::new("/bin/sh").args(["-c", "setsid sleep 1000 & sleep 1000"]);
    let run = run.deadline(Duration::from_millis(300));
    let start = Instant::now();
    assert_eq!(run.frames().unwrap_err().kind(), ErrorKind::TimedOut);
    assert!(start.elapsed() < LONG);

    let run = Run::new("/bin/sleep").arg("1000").deadline(Duration::from_millis(300));
    assert_eq!(run.output().unwrap_err().kind(), ErrorKind::TimedOut);
    assert!(start.elapsed() < LONG);
}

#[test]
fn a_missing_program_is_an_error() {
    let error = frames::measure(Command::new("/no/such/program"), LONG).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
}
