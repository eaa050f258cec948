//! `linux-sigframe-fpu`: with the library, no page fault occurs while the kernel writes a
//! signal frame to an alternate stack, and a program sees no other difference.
//!
//! The tests assume a healthy kernel: there `on` does what happens on an affected one, and
//! `auto` must do nothing. On an affected kernel the tests of `auto` fail.

use std::time::Duration;

use sigward_harness::every_stack::{self, KNOW_PLACE, unless_every_stack_is_ours};
use sigward_harness::programs::{self, Libc, build, build_with, libcs};
use sigward_harness::{Run, need};

const MODES: &[&str] = &["on", "auto", "off", "observe"];

fn program(name: &str, libc: Libc) -> Run {
    let program = build(name, libc).unwrap_or_else(|error| panic!("{name}, {libc:?}: {error}"));
    Run::new(program).deadline(Duration::from_secs(60))
}

#[test]
fn a_program_sees_no_difference() {
    let programs = programs::comparable(libcs()).unwrap();
    assert!(programs.len() > 20, "{programs:?}");
    let same = |name: &str| !every_stack::requested() || !KNOW_PLACE.contains(&name);
    for (name, libc) in programs.into_iter().filter(|(name, _)| same(name)) {
        let run = program(&name, libc);
        let without = run.output().unwrap();
        // Its usage message, or a failed MUST.
        let idle = [2, 99].contains(&without.code());
        assert!(!idle, "{name}, {libc:?} tests nothing without an argument: {without:?}");
        for mode in MODES {
            let with = run.clone().sigward(mode).output().unwrap();
            assert_eq!(with, without, "{name}, {libc:?}, SIGWARD={mode}");
        }
    }
}

/// Changes a run to use these limits.
type Setting = fn(Run) -> Run;

/// Which user runs a program, and how much it may lock.
const SETTINGS: &[(&str, Setting)] = &[
    ("root", |run| run),
    // The default limit of today's kernels.
    ("nobody, 8 MiB", |run| run.unprivileged().memlock(8 << 20)),
    ("nobody, 64 KiB", |run| run.unprivileged().memlock(64 << 10)),
    ("nobody, 0", |run| run.unprivileged().memlock(0)),
];

fn frames_fault_only_without(name: &str, args: &[&str], frames: usize, settings: usize) {
    let suits = |libc| programs::suits(name, libc).unwrap();
    for &libc in libcs().iter().filter(|libc| suits(**libc)) {
        for (setting, set) in &SETTINGS[..settings] {
            let run = set(program(name, libc).args(args));
            for (mode, faulting) in [(None, frames), (Some("on"), 0), (Some("observe"), frames)] {
                let what = format!("{name}, {libc:?}, {setting}, SIGWARD={mode:?}");
                let run = mode.map_or_else(|| run.clone(), |mode| run.clone().sigward(mode));
                let trace = run.frames().unwrap();
                // See below.
                let usual = name != "altstack_mmap" || !every_stack::requested();
                assert!(!usual || trace.outcome.success(), "{what}: {:?}", trace.outcome);
                assert_eq!(trace.on_altstack().count(), frames, "{what}");
                assert_eq!(trace.faulting(), faulting, "{what}: {:?}", trace.frames);
            }
            // It looks at whether a variable is in its own buffer.
            if name != "altstack_mmap" {
                let run = every_stack::SETTINGS
                    .iter()
                    .fold(run.sigward("on"), |run, (name, value)| run.env(name, value));
                let trace = run.frames().unwrap();
                let what =
                    format!("{name}, {libc:?}, {setting}, larger stacks: {:?}", trace.outcome);
                assert!(trace.outcome.success(), "{what}");
                assert_eq!((trace.on_altstack().count(), trace.faulting()), (frames, 0), "{what}");
            }
        }
    }
}

#[test]
fn no_fault_on_an_mmapped_stack() {
    frames_fault_only_without("altstack_mmap", &[], 1, SETTINGS.len());
}

#[test]
fn no_fault_on_an_unaligned_malloced_stack() {
    frames_fault_only_without("altstack_malloc", &[], 1, SETTINGS.len());
}

#[test]
fn no_fault_on_64_threads() {
    frames_fault_only_without("altstack_threads", &["64"], 64, SETTINGS.len());
}

#[test]
fn no_fault_on_a_stack_adopted_with_its_handler() {
    frames_fault_only_without("adopt_onstack", &[], 2, SETTINGS.len());
}

#[test]
fn no_fault_on_a_stack_adopted_at_load() {
    // A stack can only be older than our constructor if another constructor can run
    // before it.
    let run = program("adopt_at_load", Libc::Glibc);
    assert_eq!(run.frames().unwrap().faulting(), 1);
    let trace = run.preloaded_late().env("SIGWARD", "on").frames().unwrap();
    assert!(trace.outcome.success(), "{:?}", trace.outcome);
    assert_eq!((trace.on_altstack().count(), trace.faulting()), (1, 0));
}

#[test]
fn no_fault_without_dlsym() {
    // A libc without errno is unknown to us: the library only must not harm the program.
    for (flags, faulting) in [(&[][..], 0), (&["-DNO_ERRNO"], 1)] {
        let run = Run::new(build_with("no_dlsym", Libc::Glibc, flags).unwrap());
        let without = run.frames().unwrap();
        assert_eq!((without.outcome.stdout.as_str(), without.faulting()), ("one signal\n", 1));
        let with = run.sigward("on").frames().unwrap();
        assert_eq!(with.outcome, without.outcome, "{flags:?}");
        assert_eq!((with.frames.len(), with.faulting()), (1, faulting), "{flags:?}");
    }
}

/// The kernel answers EFAULT if it cannot write the old stack, and has set the new one all the same:
/// that one is held, or a larger one is in its place, as after a success.
#[test]
fn a_stack_that_was_set_with_an_error_is_held() {
    const SMALL: &[(&str, &str)] = &[("SIGWARD_SIZE", "fix"), ("SIGWARD_FRAME", "80000")];
    const ALL: &[(&str, &str)] = &[("SIGWARD_ALTSTACK_ALL", "1")];
    for (&libc, size) in libcs().iter().flat_map(|libc| ["8192", "65536"].map(|size| (libc, size)))
    {
        let run = program("bad_old", libc).args([size, "faults"]);
        let run = run.env("GLIBC_TUNABLES", "glibc.pthread.rseq=0");
        let without = run.output().unwrap();
        let (faults, seen) = without.stdout.split_once('\n').unwrap();
        assert_eq!(faults, "the frame faults: yes", "{libc:?}: {without:?}");
        assert!(
            seen.starts_with("set: -1 errno 14, seen: its own, the handler is on it\n"),
            "{seen}"
        );
        for mode in MODES {
            for settings in [&[], SMALL, ALL] {
                let run = run.clone().sigward(mode);
                let run = settings.iter().fold(run, |run, (name, value)| run.env(name, value));
                let with = run.output().unwrap();
                let faults = if *mode == "on" { "no" } else { "yes" };
                let wanted = format!("the frame faults: {faults}\n{seen}");
                assert_eq!(with.stdout, wanted, "{libc:?}, {size}, {mode}, {settings:?}: {with:?}");
                assert!(with.success(), "{libc:?}, {size}, {mode}, {settings:?}: {with:?}");
            }
        }
    }
}

#[test]
fn on_takes_and_releases_locks_and_auto_takes_none() {
    if !unless_every_stack_is_ours("what of the program's own stacks is locked") {
        return;
    }
    for &libc in libcs() {
        for (name, with) in [("altstack_replace", REPLACED), ("shared_page", SHARED)] {
            let run = program(name, libc).arg("locked").env("SIGWARD_STACK", "off");
            let output = |run: &Run| run.output().unwrap().stdout;
            assert_eq!(output(&run.clone().sigward("on")), with, "{name}, {libc:?}");
            let without = output(&run);
            assert_ne!(without, with, "{name}, {libc:?}");
            for mode in ["auto", "off", "observe"] {
                assert_eq!(output(&run.clone().sigward(mode)), without, "{name}, {libc:?}, {mode}");
            }
        }
    }
}

const REPLACED: &str = "\
start: none, flags 2, size 0, signals 1, locked first 0 second 0, VmLck 0 kB
set: first, flags 0, size 65536, signals 2, locked first 16 second 0, VmLck 64 kB
set again: first, flags 0, size 65536, signals 3, locked first 16 second 0, VmLck 64 kB
replaced: second, flags 0, size 65536, signals 4, locked first 0 second 16, VmLck 64 kB
disabled: none, flags 2, size 0, signals 5, locked first 0 second 0, VmLck 0 kB
";

const SHARED: &str = "\
both: locked lower 17, upper 17, VmLck 132 kB
upper only: locked lower 1, upper 17, VmLck 68 kB
none: locked lower 0, upper 0, VmLck 0 kB
signals: 1
";

#[test]
fn auto_adds_no_system_call() {
    if !unless_every_stack_is_ours("to replace a stack takes system calls") {
        return;
    }
    for &libc in libcs() {
        let run = program("signal_calls", libc);
        let without = between_marks(&run, libc);
        // musl blocks signals too.
        assert!(without.len() >= 5, "{libc:?}: {without:?}");
        for mode in ["auto", "off"] {
            assert_eq!(
                between_marks(&run.clone().sigward(mode), libc),
                without,
                "{libc:?}, {mode}"
            );
        }
        // Any further call would show up.
        let on = between_marks(&run.sigward("on"), libc);
        let mlock = if libc.is_32_bit() { 150 } else { libc::SYS_mlock };
        assert!(on.contains(&mlock), "{libc:?}: {on:?}");
    }
}

/// The system calls between the two calls of getppid(2).
fn between_marks(run: &Run, libc: Libc) -> Vec<i64> {
    let calls = run.calls().unwrap();
    let mark = if libc.is_32_bit() { 64 } else { libc::SYS_getppid };
    let parts: Vec<_> = calls.split(|&call| call == mark).collect();
    let [_, between, _] = parts[..] else { panic!("two marks: {calls:?}") };
    between.to_vec()
}

#[test]
fn the_limits_are_in_force() {
    // A program that locks more than its limit and dies of it shows that the limits above
    // are in force.
    if !need::root() {
        return;
    }
    let run = program("altstack_mlocked", Libc::Glibc);
    let codes = SETTINGS.iter().map(|(_, set)| set(run.clone()).output().unwrap().code());
    assert_eq!(codes.collect::<Vec<_>>(), [0, 0, 0, 99]);
}
