//! Stacks of ours that stand in for small ones leave the rest of the program alone: what it maps
//! where, how much it may lock and map, what its children find, and what it reads back.

use sigward_harness::Run;
use sigward_harness::programs::{Libc, build, libcs};

/// The size of a frame with AMX state, whatever this processor has: stacks of 8 KiB are too small.
const LARGE_FRAME: &str = "11952";

fn same(what: &str, libcs: &[Libc], expected: &str) {
    for &libc in libcs {
        same_with("beside_small", what, libc, expected);
    }
}

fn same_with(program: &str, what: &str, libc: Libc, expected: &str) {
    let run = Run::new(build(program, libc).unwrap()).arg(what);
    let run = if what == "limit" { run.unprivileged().memlock(4 << 20) } else { run };
    let with = |mode: &str| run.clone().sigward(mode).env("SIGWARD_FRAME", LARGE_FRAME);
    for run in [run.clone(), with("auto"), with("auto").env("SIGWARD_SIZE", "fix"), with("on")] {
        let outcome = run.output().unwrap();
        assert!(outcome.success(), "{what}, {libc:?}: {outcome:?}");
        assert_eq!(outcome.stdout, expected, "{what}, {libc:?}: {outcome:?}");
    }
}

#[test]
fn memory_at_places_of_its_own_stays() {
    same("place", libcs(), "kept\n");
}

#[test]
fn the_limit_on_locks_is_the_programs() {
    same("limit", libcs(), "mapped\n");
}

#[test]
fn ended_threads_leave_few_mappings() {
    for what in ["threads", "threads_set"] {
        same(what, libcs(), "few mappings\n");
    }
}

#[test]
fn the_size_is_that_of_the_last_success() {
    let expected = "0: before 0, now 8192\n0: before 8192, now 9192\n-1: before 0, now 9192\n\
                    0: before 9192, now 8192\n";
    same("sizes", libcs(), expected);
}

/// A handler on the ordinary stack registers the same memory with another size, and returns: the
/// kernel puts back the stack from before.
#[test]
fn what_the_kernel_puts_back_is_still_there() {
    same("in_place", libcs(), "1111 few mappings\n");
}

/// musl has no swapcontext(3).
#[test]
fn a_coroutine_may_fork_in_another_thread() {
    same("forks", &[Libc::Glibc], "child: 1792\n");
}

/// A filter of the program's may be fatal for munmap(2). (musl unmaps the stacks of threads itself.)
#[test]
fn nothing_is_unmapped_under_a_filter() {
    let run = Run::new(build("small_under_filter", Libc::Glibc).unwrap());
    let with = |mode: &str| run.clone().sigward(mode).env("SIGWARD_FRAME", LARGE_FRAME);
    let fix = with("on").env("SIGWARD_SIZE", "fix");
    for run in [run.clone(), with("auto"), with("on"), fix] {
        let outcome = run.output().unwrap();
        assert!(outcome.success(), "{outcome:?}");
        assert_eq!(outcome.stdout, "taken 401\n", "{outcome:?}");
    }
}

#[test]
fn large_stacks_go_with_the_memory_that_is_unmapped() {
    for &libc in libcs() {
        let run = Run::new(build("large_unmapped", libc).unwrap());
        let fix = run.clone().sigward("on").env("SIGWARD_SIZE", "fix");
        for run in [run, fix] {
            let outcome = run.output().unwrap();
            assert!(outcome.success(), "{libc:?}: {outcome:?}");
            assert_eq!(outcome.stdout, "few mappings\n", "{libc:?}: {outcome:?}");
        }
    }
}

/// A record of ours that one thread judges may be given back and used again by another meanwhile.
#[test]
fn contexts_outlive_what_other_threads_give_back() {
    same_with("resumed", "threads", Libc::Glibc, "intact: 12000 of 12000\n");
}

/// A thread ends while its stack is set, and another resumes a context there.
#[test]
fn a_context_outlives_its_thread() {
    same_with("resumed", "ended", Libc::Glibc, "intact: 1\n");
}

/// What another thread had on its stack at a fork is there in the child as without ours, where a
/// fork would not copy a stack that has a mapping of its own.
#[test]
fn a_child_finds_what_other_threads_left() {
    same_with("resumed", "child", Libc::Glibc, "child: 0x700\n");
    same_with("resumed", "forks", Libc::Glibc, "intact: 1 child: 0x700\n");
}

/// The same with a stack that sigward gave to a thread without one.
#[test]
fn a_child_finds_what_other_threads_left_on_given_stacks() {
    let run = |what: &str| Run::new(build("resumed", Libc::Glibc).unwrap()).arg(what);
    for (what, expected) in
        [("child given", "child: 0x700\n"), ("forks given", "intact: 1 child: 0x700\n")]
    {
        let plain = run(what);
        let with = |mode: &str| run(what).sigward(mode).env("SIGWARD_ALTSTACK_ALL", "1");
        let measured = with("auto").env("SIGWARD_DEPTH", "1");
        for run in [plain, with("auto"), with("on"), measured] {
            let outcome = run.output().unwrap();
            assert!(outcome.success(), "{what}: {outcome:?}");
            assert_eq!(outcome.stdout, expected, "{what}: {outcome:?}");
        }
    }
}
