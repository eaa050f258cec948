//! Which function a hook calls: never one of a library that was unloaded. And where a signal
//! handler may call the hook, it never looks a function up under the loader's lock.

use std::path::PathBuf;

use sigward_harness::artifacts::{self, glibc_without};
use sigward_harness::programs::{Libc, build, build_with, libcs};
use sigward_harness::{Outcome, Run};

/// Two libraries that define what the libc lacks; they return 41 and 42.
fn two_libraries() -> [PathBuf; 2] {
    let other = build_with("liblate_names", Libc::Glibc, &["-DRESULT=42"]);
    [build("liblate_names", Libc::Glibc).unwrap(), other.unwrap()]
}

/// Checks the program's output. Two libraries are loaded and unloaded; in each, process_madvise(2) returns
/// `in_library`. When they are unloaded, the program prints `then`.
fn check_output(outcome: &Outcome, in_library: [&str; 2], then: &str) {
    let lines: Vec<_> =
        outcome.stdout.lines().filter(|line| !line.starts_with("at first:")).collect();
    let mut expected = Vec::new();
    for (result, process_madvise) in [41, 42].into_iter().zip(in_library) {
        expected.push(format!("library: thrd_create {result} process_madvise {process_madvise}"));
        expected.push("gone: 1".to_owned());
        expected.push(format!("then:{then}"));
    }
    assert_eq!(
        (lines, &*outcome.stderr, outcome.code()),
        (expected.iter().map(String::as_str).collect(), "", 0)
    );
}

const PLAIN: ([&str; 2], &str) = (["41 Success", "42 Success"], "");
/// The program finds our functions first. `thrd_create` returns `thrd_error` if there is no other
/// behind ours; the call that a signal handler may make always goes to the kernel.
const OURS: ([&str; 2], &str) =
    (["-1 Bad file descriptor"; 2], " thrd_create 2 process_madvise -1 Bad file descriptor");

#[test]
fn a_function_of_a_library_that_was_unloaded_is_not_called() {
    let libc = glibc_without(&["thrd_create", "process_madvise"]).unwrap();
    let run = Run::new(build("late_names", Libc::Glibc).unwrap()).args(two_libraries());
    let run = run.env("LD_LIBRARY_PATH", libc.path());
    check_output(&run.output().unwrap(), PLAIN.0, PLAIN.1);
    for mode in ["auto", "on"] {
        check_output(&run.clone().sigward(mode).output().unwrap(), OURS.0, OURS.1);
    }
}

/// Another library's constructor ran first and loaded a library that does not stay.
#[test]
fn what_was_loaded_before_our_constructor_may_go() {
    let libc = glibc_without(&["thrd_create", "process_madvise"]).unwrap();
    let [first, second] = two_libraries();
    let opener = build("libopener", Libc::Glibc).unwrap();
    let run = Run::new(build("late_names", Libc::Glibc).unwrap()).args([&first, &second]);
    let run = run.env("LD_LIBRARY_PATH", libc.path()).env("OPENS", first);
    check_output(&run.clone().preload(&opener).output().unwrap(), PLAIN.0, PLAIN.1);
    for mode in ["auto", "on"] {
        let run = run.clone().preloaded_late().preload(&opener).env("SIGWARD", mode);
        check_output(&run.output().unwrap(), OURS.0, OURS.1);
    }
}

#[test]
fn no_hook_waits_for_the_loader() {
    let lacking = glibc_without(&["process_madvise", "pkey_mprotect", "mmap64"]).unwrap();
    let runs = libcs().iter().map(|&libc| Run::new(build("loader_locked", libc).unwrap()));
    let poor = Run::new(build("loader_locked", Libc::Glibc).unwrap());
    for run in runs.chain([poor.env("LD_LIBRARY_PATH", lacking.path())]) {
        for run in [run.clone(), run.clone().sigward("auto"), run.clone().sigward("on")] {
            let outcome = run.output().unwrap();
            assert_eq!(
                (&*outcome.stdout, outcome.code()),
                ("failed: 0\n", 0),
                "{run:?}: {outcome:?}"
            );
        }
    }
}

/// More objects than sigward records: the rest are searched at load.
#[test]
fn behind_many_libraries_libc_is_found() {
    let folder = tempfile::tempdir_in(artifacts::target()).unwrap();
    let empty = build("libempty", Libc::Glibc).unwrap();
    let mut run = Run::new(build("altstack_threads", Libc::Glibc).unwrap()).arg("8");
    run = run.sigward("on").env("SIGWARD_STATS", "1");
    for number in 0..600 {
        let copy = folder.path().join(format!("{number}.so"));
        // Not a link, which the loader would recognize as the same file.
        std::fs::copy(&empty, &copy).unwrap();
        run = run.preload(copy);
    }
    let outcome = run.output().unwrap();
    assert_eq!(outcome.stdout, "threads: 8, signals: 8\n", "{outcome:?}");
    assert_eq!((outcome.figure("duty"), outcome.figure("stacks")), ("act", "8"), "{outcome:?}");
}
