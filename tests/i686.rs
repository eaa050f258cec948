//! The library for 32-bit programs on x86: the same promises, for the same programs built with
//! `gcc -m32`. `make test` runs a part of the scenarios, with `EVERY_SCENARIO=1` (`make i686-test`)
//! all of them.

use std::time::Duration;

use sigward_harness::Run;
use sigward_harness::programs::{self, Libc, build, libcs32};
use sigward_harness::scenarios::{FORKS, Family, MEMORY_CALLS, NESTED, ORDINARY_STACKS, THREADS};

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

/// The stacks of a program with so many frames on alternate stacks fault without the library, and
/// with it do not.
fn frames_fault_only_without(name: &str, args: &[&str], frames: usize) {
    for &libc in libcs32() {
        for limit in [8 << 20, 64 << 10, 0] {
            let run = program(name, libc).args(args).unprivileged().memlock(limit);
            for (mode, faulting) in [(None, frames), (Some("on"), 0), (Some("observe"), frames)] {
                let what = format!("{name}, {libc:?}, limit {limit}, SIGWARD={mode:?}");
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
