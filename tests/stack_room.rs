//! A program that handles the SIGSEGV of a full or write-protected stack gets it wherever in a
//! call the stack ends: with signals blocked, no hook uses more stack than it has touched before.
//! And a hook uses little: the bounds are those of docs/limits.md. (musl's own fork and _Fork do
//! kill the program, because they block signals themselves.)

use std::time::Duration;

use sigward_harness::Run;
use sigward_harness::programs::{Libc, build, libcs};

const CALLS: &[&str] = &[
    "sigaltstack",
    "sigaction",
    "signal",
    "fork",
    "_Fork",
    "madvise",
    "madvise-other",
    "madvise-by-number",
    "pageout",
    "pageout-own",
    "munmap",
    "mprotect",
    "mprotect-own",
    "mmap",
    "mremap",
    "mlock",
    "munlock",
    "munlockall",
    "sbrk",
    "shmdt",
    "process_madvise",
    "waitpid",
    "pthread_create",
];

fn program(call: &str, libc: Libc) -> Run {
    let program = build("stack_room", libc).unwrap();
    Run::new(program).arg(call).deadline(Duration::from_secs(290))
}

/// The figures of its one line, each after its name.
fn figures<const COUNT: usize>(run: &Run, names: [&str; COUNT]) -> [usize; COUNT] {
    let outcome = run.output().unwrap();
    assert!(outcome.success(), "{outcome:?}");
    let mut words = outcome.stdout.split_whitespace();
    names.map(|name| {
        assert_eq!(words.next(), Some(name), "{outcome:?}");
        words.next().unwrap().parse().unwrap()
    })
}

fn overflow_is_survived(calls: &[&str], libc: Libc, setting: impl Fn(Run) -> Run) {
    for call in calls {
        let plain = program(call, libc);
        let with = setting(plain.clone().sigward("on"));
        let [_, own] = figures(&plain, ["killed", "needed"]);
        let [killed, needed] = figures(&with, ["killed", "needed"]);
        assert_eq!(killed, 0, "{call}, {libc:?}");
        let most = if call.ends_with("ork") { 2048 } else { 1024 };
        assert!(needed <= own + most, "{call}, {libc:?}: {needed} bytes, libc's own {own}");
    }
}

fn protection_is_survived(calls: &[&str], libc: Libc, setting: impl Fn(Run) -> Run) {
    for call in calls {
        let with = setting(program(call, libc).arg("written").sigward("on"));
        assert_eq!(figures(&with, ["killed"]), [0], "{call}, {libc:?}");
    }
}

#[test]
fn a_stack_may_end_anywhere_in_a_call() {
    for &libc in libcs() {
        overflow_is_survived(CALLS, libc, |run| run);
    }
}

#[test]
fn a_stack_may_be_write_protected_anywhere_in_a_call() {
    for &libc in libcs() {
        protection_is_survived(CALLS, libc, |run| run);
    }
}

#[test]
fn also_with_a_wait_strategy() {
    const CALLS: &[&str] = &["sigaction", "signal", "waitpid"];
    for &libc in libcs() {
        for strategy in ["int80", "two-phase"] {
            let setting = |run: Run| run.env("SIGWARD_WAIT", strategy);
            overflow_is_survived(CALLS, libc, setting);
            protection_is_survived(CALLS, libc, setting);
        }
    }
}

#[test]
fn also_where_stacks_are_replaced() {
    // Larger than every stack of the program.
    let setting = |run: Run| run.env("SIGWARD_SIZE", "fix").env("SIGWARD_FRAME", "70000");
    for &libc in libcs() {
        overflow_is_survived(&["sigaltstack", "fork"], libc, setting);
        protection_is_survived(&["sigaltstack"], libc, setting);
    }
}

#[test]
fn also_where_stacks_are_held_in_full() {
    let setting = |run: Run| run.env("SIGWARD_STACK", "full");
    overflow_is_survived(&["sigaltstack", "madvise", "mprotect", "mmap"], Libc::Glibc, setting);
}
