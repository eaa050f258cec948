//! A line from us on standard error is a write that the program never made. Whatever standard
//! error is, the program continues and ends as it does without the library.

use sigward_harness::filter::Filter;
use sigward_harness::programs::{Libc, build, libcs};
use sigward_harness::{Outcome, Run};

/// Settings that make the library write lines: at load, in the middle, and at exit.
const TALKATIVE: &[&[(&str, &str)]] = &[
    &[("SIGWARD", "on"), ("SIGWARD_STATS", "1")],
    &[("SIGWARD", "on"), ("SIGWARD_LOG", "debug")],
    &[("SIGWARD", "on"), ("SIGWARD_FOO", "1")],
    &[("SIGWARD", "auto"), ("SIGWARD_STATS", "1")],
    &[("SIGWARD", "auto"), ("SIGWARD_LOG", "info")],
    &[("SIGWARD", "auto"), ("SIGWARD_SIZE", "x")],
];

fn stderr_kind(kind: &str, libc: Libc) -> Run {
    Run::new(build("stderr_kinds", libc).unwrap()).arg(kind)
}

fn with_messages(run: &Run, settings: &[(&str, &str)]) -> Outcome {
    let run = run.clone().preloaded();
    let run = settings.iter().fold(run, |run, (name, value)| run.env(name, value));
    run.output().unwrap()
}

/// The program prints `expected` and exits with 3, with and without the library.
fn unharmed(kind: &str, expected: &str) {
    for &libc in libcs() {
        let run = stderr_kind(kind, libc);
        let plain = run.output().unwrap();
        assert_eq!((&*plain.stdout, plain.code()), (expected, 3), "{plain:?}");
        for settings in TALKATIVE {
            let with = with_messages(&run, settings);
            let end = (with.stdout, with.status);
            assert_eq!(end, (plain.stdout.clone(), plain.status), "{kind} {libc:?} {settings:?}");
        }
    }
}

#[test]
fn stderr_has_no_reader() {
    unharmed("pipe, no reader", "");
    unharmed("socket, no reader", "");
    unharmed("closed", "");
}

#[test]
fn stderr_is_full() {
    unharmed("pipe, full", "");
    unharmed("socket, full", "");
    unharmed("terminal, stopped", "");
}

#[test]
fn stderr_is_a_terminal_that_stops_writers() {
    unharmed("background", "");
}

#[test]
fn stderr_is_a_file_that_may_not_grow() {
    unharmed("file", "");
    let blocked = |own| {
        format!(
            "before: SIGPIPE {own} SIGXFSZ {own} mask kept\n\
             after: SIGPIPE {own} SIGXFSZ {own} mask kept\n"
        )
    };
    unharmed("file:clear", &blocked(0));
    unharmed("file:pending", &blocked(1));
}

#[test]
fn stderr_becomes_a_data_file() {
    unharmed("data", "status 0 data DATA\n");
}

#[test]
fn stderr_may_be_of_any_kind() {
    let lines = |count: usize| {
        ["pipe", "socket", "terminal", "file", "named pipe"].map(|kind| format!("{kind} {count}\n"))
    };
    for &libc in libcs() {
        let run = stderr_kind("count", libc);
        assert_eq!(run.output().unwrap().stdout, lines(0).concat());
        for errno in [None, Some(libc::ENOSYS), Some(libc::EOPNOTSUPP), Some(libc::EPERM)] {
            // As on a kernel that has no non-blocking write.
            let refused = |errno| Filter::new().refuse(libc::SYS_pwritev2, errno);
            let run = errno.map_or(run.clone(), |errno| run.clone().filter(refused(errno)));
            assert_eq!(with_messages(&run, &[("SIGWARD_STATS", "1")]).stdout, lines(1).concat());
        }
    }
}

/// The control: the same program with a standard error that accepts lines.
#[test]
fn lines_arrive_on_a_working_stderr() {
    for settings in TALKATIVE {
        let outcome = with_messages(&stderr_kind("end", Libc::Glibc), settings);
        assert_eq!(outcome.code(), 3);
        assert!(outcome.stderr.lines().count() > 0, "{settings:?}");
        assert!(outcome.stderr.lines().all(|line| line.starts_with("sigward[")), "{outcome:?}");
    }
}
