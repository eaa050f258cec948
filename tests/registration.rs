//! The cost of registering an alternate stack, in system calls, which are the same on every
//! machine; and a stack that is set again is held, whatever happened to it before.

use std::time::Duration;

use sigward_harness::Run;
use sigward_harness::every_stack::{pages_held, unless_every_stack_is_ours};
use sigward_harness::programs::{Libc, build, libcs};

/// The system calls of one sigaltstack(2), with or without the library.
fn calls_of(settings: &[&str], mode: Option<&str>) -> Vec<i64> {
    let run = Run::new(build("bench_beside", Libc::Glibc).unwrap());
    let run = run.args(settings).arg("rounds=0").deadline(Duration::from_secs(60));
    let run = mode.map_or_else(|| run.clone(), |mode| run.clone().sigward(mode));
    run.steps().unwrap().calls
}

#[test]
fn registration_takes_few_system_calls() {
    if !unless_every_stack_is_ours("to replace a stack takes system calls") {
        return;
    }
    // Beside other threads: the kernel is not asked about any of them. Some pages of a large stack
    // are touched, one by one.
    let large: &[_] = &["set=256"];
    // Every processor has to forget which pages the fork write-protected.
    let forked: &[_] = &["forked=1"];
    for beside in [&[][..], &["threads=16", "stacks=mapped"], large, forked] {
        for (operation, most, locks) in [("set", 9, 1), ("again", 4, 0)] {
            let settings = [&[operation], beside].concat();
            let most = match operation {
                "set" if beside == large => most + 16,
                "set" if beside == forked => most + 1,
                _ => most,
            };
            for mode in [None, Some("auto"), Some("off")] {
                let calls = calls_of(&settings, mode);
                assert_eq!(calls, [libc::SYS_sigaltstack], "{settings:?}, {mode:?}");
            }
            let calls = calls_of(&settings, Some("on"));
            let made = |number| calls.iter().filter(|&&call| call == number).count();
            assert_eq!(
                (made(libc::SYS_sigaltstack), made(libc::SYS_mlock)),
                (1, locks),
                "{calls:?}"
            );
            assert!(calls.len() <= most, "{settings:?}: {} calls: {calls:?}", calls.len());
        }
    }
}

#[test]
fn a_stack_that_is_set_again_is_held() {
    let happens =
        ["nothing", "disabled", "unlocked", "replaced", "mapped", "shortened", "patched", "copied"];
    for (&libc, what) in libcs().iter().flat_map(|libc| happens.map(|what| (libc, what))) {
        let run = Run::new(build("altstack_again", libc).unwrap()).arg(what);
        for (mode, faulting, locked) in [("off", 1, 0), ("on", 0, pages_held(16))] {
            let trace = run.clone().sigward(mode).frames().unwrap();
            let what = format!("{what}, {libc:?}, {mode}: {:?}", trace.outcome);
            assert!(trace.outcome.success(), "{what}");
            assert_eq!((trace.on_altstack().count(), trace.faulting()), (1, faulting), "{what}");
            assert_eq!(trace.outcome.stderr, format!("locked {locked}\nlocked 0\n"), "{what}");
        }
    }
}

/// Threads are identified by their thread pointers, which other threads may use too.
#[test]
fn a_thread_pointer_may_be_shared_and_handed_on() {
    let own = pages_held(16);
    let both = format!("{own} {own}");
    let whose = [("next", own.to_string()), ("shared", both), ("vfork", format!("{own} 0"))];
    for (&libc, (whose, locked)) in
        libcs().iter().flat_map(|libc| whose.clone().map(|whose| (libc, whose)))
    {
        for stacks in ["auto", "off"] {
            let run = Run::new(build("same_pointer", libc).unwrap()).arg(whose);
            let run = run.sigward("on").env("SIGWARD_STACK", stacks);
            let outcome = run.output().unwrap();
            let mut lines: Vec<_> = outcome.stderr.lines().collect();
            if whose == "next" {
                assert_eq!(lines.pop(), Some("locked 0"), "{libc:?}, {stacks}: {outcome:?}");
            }
            let held = lines.iter().all(|line| *line == format!("locked {locked}"));
            assert!(held && lines.len() > 1, "{whose}, {libc:?}, {stacks}: {outcome:?}");
            assert!(outcome.success(), "{whose}, {libc:?}, {stacks}: {outcome:?}");
        }
    }
}
