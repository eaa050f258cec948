//! `altstack-size`: alternate stacks that are too small for a frame are reported, or replaced
//! by a larger one; either way the program gets its own stack back from sigaltstack(2).
//!
//! `SIGWARD_FRAME` makes the old `SIGSTKSZ` too small on every machine.

use sigward_harness::Run;
use sigward_harness::programs::{build, libcs};

/// The size of a frame with AMX state.
const FRAME: (&str, &str) = ("SIGWARD_FRAME", "11952");

fn small(libc: sigward_harness::programs::Libc, mode: &str, remedy: &str) -> Run {
    Run::new(build("altstack_small", libc).unwrap())
        .sigward(mode)
        .env("SIGWARD_SIZE", remedy)
        .env(FRAME.0, FRAME.1)
        .env("SIGWARD_STATS", "1")
}

#[test]
fn the_program_gets_its_own_stack_back() {
    for &libc in libcs() {
        let plain = Run::new(build("altstack_small", libc).unwrap()).output().unwrap();
        for mode in ["on", "auto", "observe"] {
            for remedy in ["fix", "report", "off", "auto"] {
                let with = small(libc, mode, remedy).output().unwrap();
                assert_eq!(with.stdout, plain.stdout, "{libc:?}, {mode}, {remedy}");
                assert_eq!(with.status, plain.status, "{libc:?}, {mode}, {remedy}");
            }
        }
    }
}

/// The control: only where stacks are replaced does the handler run outside the small one.
#[test]
fn the_kernel_gets_a_larger_one() {
    for &libc in libcs() {
        for (mode, remedy, inside) in [
            ("on", "fix", 0),
            ("auto", "fix", 0),
            ("auto", "auto", 0),
            ("on", "auto", 0),
            ("on", "report", 1),
            ("auto", "off", 1),
            ("observe", "auto", 1),
            ("off", "fix", 1),
            ("off", "auto", 1),
        ] {
            let outcome = small(libc, mode, remedy).args(["where"]).output().unwrap();
            let wanted = format!("inside {inside}\n");
            assert!(outcome.stdout.ends_with(&wanted), "{libc:?}, {mode}, {remedy}: {outcome:?}");
        }
    }
}

#[test]
fn it_is_reported_once_with_both_sizes_and_counted() {
    for &libc in libcs() {
        let reported = small(libc, "auto", "report").env("SIGWARD_LOG", "warn").output().unwrap();
        let lines: Vec<_> = reported.stderr.lines().filter(|line| line.contains("WARN")).collect();
        assert_eq!(lines.len(), 1, "{reported:?}");
        for what in ["8192 bytes", "11952", "SIGWARD_SIZE=fix"] {
            assert!(lines[0].contains(what), "{what}: {}", lines[0]);
        }
        assert!(reported.stderr.contains(" too_small=1 "), "{}", reported.stderr);
        // A stack that is large enough is not reported.
        let large = small(libc, "auto", "report").env(FRAME.0, "4096").env("SIGWARD_LOG", "warn");
        let large = large.env("SIGWARD_SIZE_ROOM", "0").output().unwrap();
        assert!(large.stderr.contains(" too_small=0 "), "{}", large.stderr);
        assert!(!large.stderr.contains("WARN"), "{}", large.stderr);
    }
}

#[test]
fn a_stack_that_the_kernel_restores_works() {
    for &libc in libcs() {
        let run = Run::new(build("altstack_put_back", libc).unwrap()).sigward("on");
        let outcome = run.env("SIGWARD_SIZE", "fix").env(FRAME.0, FRAME.1).output().unwrap();
        assert_eq!(outcome.stdout, "delivered: 3\n", "{libc:?}: {outcome:?}");
    }
}
