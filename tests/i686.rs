//! The library for 32-bit programs on x86: the same promises, for the same programs built with
//! `gcc -m32`. `make i686-test` runs many more tests that way.

use std::fs;
use std::time::Duration;

use sigward_harness::filter::Filter;
use sigward_harness::programs::{self, Libc, build, build_with, libcs32};
use sigward_harness::scenarios::{
    self, FORKS, Family, MEMORY_CALLS, NESTED, ORDINARY_STACKS, Scenario, THREADS, observe,
};
use sigward_harness::{Run, artifacts};

fn program(name: &str, libc: Libc) -> Run {
    let program = build(name, libc).unwrap_or_else(|error| panic!("{name}, {libc:?}: {error}"));
    Run::new(program).deadline(Duration::from_secs(60))
}

#[test]
fn a_program_sees_no_difference() {
    let programs = programs::comparable(libcs32()).unwrap();
    assert!(libcs32().is_empty() || programs.len() > 20, "{programs:?}");
    for (name, libc) in programs {
        let run = program(&name, libc);
        let without = run.output().unwrap();
        let idle = [2, 99].contains(&without.code());
        assert!(!idle, "{name}, {libc:?} tests nothing without an argument: {without:?}");
        for mode in ["on", "auto", "observe", "off"] {
            let with = run.clone().sigward(mode).output().unwrap();
            assert_eq!(with, without, "{name}, {libc:?}, SIGWARD={mode}");
        }
    }
}

/// The kernel's two frames: without and with `ucontext_t`.
const FRAMES: [&[&str]; 2] = [&[], &["-DEXTRA_FLAGS=SA_SIGINFO"]];

/// A program with so many frames on alternate stacks faults without the library, and does not
/// with it.
fn frames_fault_only_without(name: &str, args: &[&str], frames: usize) {
    for (&libc, flags) in libcs32().iter().flat_map(|libc| FRAMES.map(|flags| (libc, flags))) {
        for limit in [8 << 20, 0] {
            let run = Run::new(build_with(name, libc, flags).unwrap()).args(args);
            let run = run.unprivileged().memlock(limit);
            for (mode, faulting) in [(None, frames), (Some("on"), 0), (Some("observe"), frames)] {
                let what = format!("{name}, {libc:?} {flags:?}, limit {limit}, SIGWARD={mode:?}");
                let run = mode.map_or_else(|| run.clone(), |mode| run.clone().sigward(mode));
                let trace = run.frames().unwrap();
                assert!(trace.outcome.success(), "{what}: {:?}", trace.outcome);
                assert_eq!(trace.on_altstack().count(), frames, "{what}: {:?}", trace.frames);
                assert_eq!(trace.faulting(), faulting, "{what}: {:?}", trace.frames);
            }
        }
    }
}

#[test]
fn no_delivery_to_an_alternate_stack_faults() {
    frames_fault_only_without("altstack_mmap", &[], 1);
    frames_fault_only_without("altstack_malloc", &[], 1);
    frames_fault_only_without("altstack_threads", &["64"], 64);
    frames_fault_only_without("adopt_onstack", &[], 2);
}

fn every_scenario_of(family: &Family) {
    let broken = family.broken_with(libcs32());
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

/// Calls that were replaced before the other architectures came.
#[test]
fn old_system_calls() {
    const SCENARIOS: &[Scenario] =
        &[shown("sigaction"), shown("ordinary"), shown("signal"), shown("mmap")];
    const fn shown(name: &'static str) -> Scenario {
        Scenario { name, does: "", shown: true }
    }
    every_scenario_of(&Family { program: "old_calls", title: "", scenarios: SCENARIOS });
}

#[test]
fn old_system_calls_get_the_flag_that_was_asked_for() {
    for &libc in libcs32() {
        let run = program("old_calls", libc).arg("onstack");
        let places = |on| format!("sigaction: on the stack {on}\nsignal: on the stack {on}\n");
        let plain = run.output().unwrap();
        assert_eq!(plain.stderr, places(0), "{libc:?}");
        let with = run.sigward("on").env("SIGWARD_ONSTACK", "USR1").output().unwrap();
        assert_eq!((with.stdout, with.stderr), (plain.stdout, places(1)), "{libc:?}");
    }
}

/// Programs that were built before GCC 4.5 align their stack to four bytes.
#[test]
fn an_old_programs_stack_is_aligned_to_four_bytes() {
    const OLD: &[&str] = &["-mpreferred-stack-boundary=2"];
    for &libc in libcs32() {
        for name in ["altstack_mmap", "altstack_replace", "thread_exit", "sigaction_fields"] {
            let run = Run::new(build_with(name, libc, OLD).unwrap());
            let without = run.output().unwrap();
            assert!(without.success(), "{name}: {without:?}");
            assert_eq!(run.sigward("on").output().unwrap(), without, "{name}");
        }
        for (program, scenario) in
            [("forked", "child"), ("disturbed", "dontneed-around"), ("ordinary", "main")]
        {
            let run = scenarios::run(build_with(program, libc, OLD).unwrap(), scenario);
            let seen = observe(&run.sigward("on")).unwrap();
            assert!(seen.outcome.success() && !seen.frames.is_empty(), "{scenario}: {seen:?}");
            assert_eq!(seen.faults(), 0, "{scenario}: {seen:?}");
        }
    }
}

/// Under a filter that kills the process for a call of ours, by the numbers of 32-bit programs.
#[test]
fn a_filter_that_kills_for_a_call_of_ours_is_survived() {
    /// mlock, madvise, futex, tgkill, msync, process_vm_writev, in asm/unistd_32.h.
    const NUMBERS: &[i64] = &[150, 219, 240, 270, 144, 348];
    for &libc in libcs32() {
        let mut shown = 0;
        for &number in NUMBERS {
            for filter in [Filter::new().kill(number), Filter::new().trap(number)] {
                let run = program("confined", libc).args(["status", "locked"]).filter(filter);
                let plain = run.output().unwrap();
                if !plain.success() {
                    continue;
                }
                shown += 1;
                let with = run.sigward("on").env("SIGWARD_LOG", "warn").output().unwrap();
                assert_eq!((&with.stdout, with.status), (&plain.stdout, plain.status), "{with:?}");
                assert!(with.stderr.contains("standing down: a seccomp filter kills"), "{with:?}");
            }
        }
        assert!(shown >= 8, "{shown}");
    }
}

/// A filter that the program installs itself: all locks are given up first.
#[test]
fn the_programs_own_filter_ends_our_work() {
    for &libc in libcs32() {
        for how in ["prctl", "seccomp"] {
            let run = program("confined", libc).args([how, "locked"]);
            let plain = run.output().unwrap();
            let with = run.sigward("on").output().unwrap();
            assert_eq!(
                (&with.stdout, with.status),
                (&plain.stdout, plain.status),
                "{how}: {with:?}"
            );
        }
    }
}

/// The loader replaces `$LIB` by the folder of each program's width.
#[test]
fn one_line_serves_both_widths() {
    // musl replaces nothing there, and says nothing: it needs the full path.
    let narrow = libcs32().iter().copied().filter(|libc| *libc == Libc::Glibc32);
    let both: Vec<_> = [Libc::Glibc].into_iter().chain(narrow).collect();
    let folder = tempfile::tempdir().unwrap();
    let preload = folder.path().join("$LIB/libsigward.so");
    for &libc in &both {
        let program = build("altstack_mmap", libc).unwrap();
        // What `$LIB` means is compiled into the loader.
        let loader =
            if libc == Libc::Glibc { "/lib64/ld-linux-x86-64.so.2" } else { "/lib/ld-linux.so.2" };
        let words = Run::new(loader).arg("--list-diagnostics").output().unwrap().stdout;
        let lib = words.lines().find_map(|line| line.strip_prefix("dl_dst_lib=\""));
        let lib = folder.path().join(lib.unwrap().trim_end_matches('"'));
        fs::create_dir_all(&lib).unwrap();
        fs::copy(artifacts::preload_for(&program), lib.join("libsigward.so")).unwrap();
    }
    for &libc in &both {
        let run = program("altstack_mmap", libc).preload(&preload).env("SIGWARD", "on");
        let outcome = run.env("SIGWARD_STATS", "1").output().unwrap();
        assert_eq!(outcome.figure("stacks"), "1", "{libc:?}: {outcome:?}");
        assert!(outcome.stderr.lines().all(|line| line.starts_with("sigward[")), "{outcome:?}");
    }
}

/// Its exports are the hooks of the other library but for the waits.
#[test]
fn it_exports_the_same_hooks_except_for_waits() {
    let mut others = artifacts::exports(artifacts::preload()).unwrap();
    for wait in ["wait", "__wait", "waitpid", "__waitpid", "wait3", "wait4", "waitid"] {
        assert!(others.remove(wait), "{wait}");
    }
    assert_eq!(artifacts::exports(artifacts::preload32()).unwrap(), others);
}

#[test]
fn forks() {
    every_scenario_of(&FORKS);
}

#[test]
fn memory_calls() {
    every_scenario_of(&MEMORY_CALLS);
}

#[test]
fn ordinary_stacks() {
    every_scenario_of(&ORDINARY_STACKS);
}

#[test]
fn deep_in_a_stack() {
    every_scenario_of(&NESTED);
}

#[test]
fn threads_that_end() {
    every_scenario_of(&THREADS);
}
