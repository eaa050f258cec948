//! `altstack-size`: alternate stacks that are too small for a frame are reported, or replaced
//! by a larger one; either way the program gets its own stack back from sigaltstack(2).
//!
//! `SIGWARD_FRAME` makes the old `SIGSTKSZ` too small on every machine.

use sigward_harness::Run;
use sigward_harness::need;
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

/// `musl-126-refuses`: libc refuses the stack, and the kernel would take it. The hook comes first.
#[test]
fn what_libc_refuses_is_registered_larger() {
    for &libc in libcs() {
        let musl = build("libmusl126", libc).unwrap();
        // Without the library it is the pretended libc that refuses.
        let plain = Run::new(build("narrow_stack", libc).unwrap()).args(["2048", "0"]);
        let plain = plain.preload(&musl).output().unwrap();
        assert_eq!(plain.stdout, "refused: ENOMEM\n", "{libc:?}: {plain:?}");
        for (remedy, said) in [
            ("fix", "delivered: 1\n"),
            ("report", "refused: ENOMEM\n"),
            ("off", "refused: ENOMEM\n"),
        ] {
            let run = Run::new(build("narrow_stack", libc).unwrap()).args(["2048", "0"]);
            let run = run.sigward("auto").preload(&musl).env("SIGWARD_SIZE", remedy);
            let outcome = run.output().unwrap();
            assert_eq!(outcome.stdout, said, "{libc:?}, {remedy}: {outcome:?}");
        }
    }
}

/// `go-forces-onstack`: a handler that was written for the ordinary stack comes to a small one.
#[test]
fn a_handler_that_is_forced_onto_a_small_stack_has_room() {
    for &libc in libcs() {
        for (remedy, survives) in [("fix", true), ("report", false), ("off", false)] {
            let run = Run::new(build("narrow_stack", libc).unwrap());
            let run = run.args(["8192", "8192", "forced"]).sigward("auto");
            let run = run.env("SIGWARD_SIZE", remedy).env(FRAME.0, FRAME.1);
            let outcome = run.output().unwrap();
            let said = if survives { "delivered: 1\n" } else { "" };
            assert_eq!(outcome.stdout, said, "{libc:?}, {remedy}: {outcome:?}");
            assert_eq!(outcome.success(), survives, "{libc:?}, {remedy}: {outcome:?}");
        }
    }
}

/// `x86-amx-denied`, where there is AMX: the kernel itself judges what it was given.
#[test]
fn amx_is_granted_beside_a_small_stack() {
    for &libc in libcs() {
        let answer = |remedy| {
            let run = Run::new(build("ask_amx", libc).unwrap()).sigward("auto");
            run.env("SIGWARD_SIZE", remedy).output().unwrap().stdout
        };
        let plain = answer("off");
        if !need::optional(!plain.contains("absent"), "AMX", "a processor that has it") {
            return;
        }
        assert_eq!(plain, "beside a small stack: refused\n", "{libc:?}");
        assert_eq!(answer("fix"), "beside a small stack: granted\n", "{libc:?}");
    }
}
