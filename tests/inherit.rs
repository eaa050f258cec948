//! `SIGWARD_INHERIT=off`: the library is in the program, and not in what that starts.

use sigward_harness::Run;
use sigward_harness::artifacts::{command, preload};
use sigward_harness::programs::{Libc, build, libcs};

fn starts(libc: Libc) -> Run {
    Run::new(build("starts", libc).unwrap())
}

#[test]
fn programs_that_are_started_do_not_get_the_library() {
    let library = preload().display().to_string();
    for &libc in libcs() {
        for mode in ["on", "off", "auto"] {
            let run = starts(libc).preload(preload()).env("SIGWARD", mode);
            let all = run.clone().output().unwrap();
            let child = format!("child library=1 LD_PRELOAD={library}\n");
            let program = format!("program library=1 LD_PRELOAD={library}\n");
            assert_eq!(all.stdout, format!("{program}{child}{child}"), "{libc:?} {all:?}");
            let only = run.env("SIGWARD_INHERIT", "off").output().unwrap();
            let child = "child library=0 LD_PRELOAD=\n";
            let program = "program library=1 LD_PRELOAD=\n";
            assert_eq!(only.stdout, format!("{program}{child}{child}"), "{libc:?} {only:?}");
            assert_eq!((only.code(), &*only.stderr), (0, ""), "{only:?}");
        }
    }
}

#[test]
fn run_has_an_option_for_it() {
    for &libc in libcs() {
        let program = build("starts", libc).unwrap();
        let run = Run::new(command()).args(["run", "--no-inherit", "--"]).arg(program);
        let outcome = run.output().unwrap();
        let lines: Vec<&str> = outcome.stdout.lines().collect();
        let child = "child library=0 LD_PRELOAD=";
        assert_eq!(lines, ["program library=1 LD_PRELOAD=", child, child], "{outcome:?}");
    }
}

/// The library finds itself by its name.
#[test]
fn a_library_of_another_name_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let renamed = folder.path().join("renamed.so");
    std::fs::copy(preload(), &renamed).unwrap();
    let run = Run::new(command()).args(["run", "--no-inherit", "--library"]).arg(renamed);
    let outcome = run.arg("true").output().unwrap();
    assert_eq!(outcome.code(), 125, "{outcome:?}");
    assert!(outcome.stderr.contains("begins with libsigward"), "{outcome:?}");
}
