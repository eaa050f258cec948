//! Hooks that are interrupted by handlers which make the same call, left by a long jump, or
//! cancelled: no deadlock, nothing stays locked, and the program sees what it would see without
//! the library. Each program has a dead man's switch and counts what it has survived, not time.

use sigward_harness::every_stack::unless_every_stack_is_ours;
use sigward_harness::programs::{build, libcs, suits};
use sigward_harness::{Outcome, Run};

/// Runs `name` without and with the library; both must print `expected`.
fn same(name: &str, args: &[&str], expected: &str) {
    for &libc in libcs() {
        if !suits(name, libc).unwrap() {
            continue;
        }
        let run = Run::new(build(name, libc).unwrap()).args(args);
        let run = run.deadline(std::time::Duration::from_secs(70));
        for run in [run.clone(), run.sigward("on")] {
            let outcome = run.output().unwrap();
            assert!(outcome.success(), "{name} {args:?} {libc:?}: {outcome:?}");
            assert_eq!(outcome.stdout, expected, "{name} {args:?} {libc:?}");
        }
    }
}

#[test]
fn a_call_may_be_interrupted_by_itself() {
    for call in ["sigaltstack", "sigaction", "madvise", "mmap", "mlock", "fork"] {
        let expected = format!("{call}: bad line 0, enough 1, locked at the end 0 kB more\n");
        same("storm", &[call], &expected);
        // On an alternate stack, which cannot be changed while in use.
        if call != "sigaltstack" {
            same("storm", &[call, "onstack"], &expected);
        }
    }
}

#[test]
fn a_fault_handler_may_call() {
    same("segv_handler", &[], "faults 1000 bad line 0 locked 0 kB more\n");
}

#[test]
fn any_call_may_be_jumped_out_of() {
    same("jumps", &[], "jumps 2000 swaps 500 bad line 0 locked 0 kB more\n");
}

#[test]
fn threads_may_be_cancelled_in_a_call() {
    for how in ["deferred", "async"] {
        same("cancelled", &[how], "cancelled 600 bad line 0 locked 0 kB more\n");
    }
}

/// Each thread's call unlocks its own stack for a moment. Another thread's call must not lock it
/// again meanwhile, or the kernel refuses the call.
#[test]
fn threads_may_discard_their_stacks_at_once() {
    same("advise_threads", &[], "refused with errno 0, kept 0, locked 0 pages\n");
}

/// The same for a stack that its thread sets again and again.
#[test]
fn a_stack_that_is_set_is_not_locked_under_a_call() {
    for args in [&[][..], &["two"]] {
        same("again_beside", args, "refused: 0, locked: 0\n");
    }
}

/// The lines of stderr: which pages of the three stacks are locked, and when.
fn locked(outcome: &Outcome) -> Vec<(&str, [u32; 3])> {
    outcome
        .stderr
        .lines()
        .map(|line| {
            let (when, figures) = line.split_once(": locked ").expect("a line of figures");
            let mut figures = figures.split(' ').map(|figure| figure.parse().unwrap());
            (when, [(); 3].map(|()| figures.next().unwrap()))
        })
        .collect()
}

#[test]
fn a_stack_that_disarms_itself_is_held_while_it_is_disarmed() {
    if !unless_every_stack_is_ours("what of the program's own stacks is locked") {
        return;
    }
    for &libc in libcs() {
        let run = Run::new(build("autodisarm", libc).unwrap()).arg("locked");
        let (plain, with) = (run.output().unwrap(), run.sigward("on").output().unwrap());
        assert!(plain.success(), "{plain:?}");
        assert_eq!((&with.stdout, with.status), (&plain.stdout, plain.status));
        assert!(locked(&plain).iter().all(|(_, pages)| *pages == [0; 3]));
        let stages = locked(&with);
        assert_eq!(stages.len(), 36);
        for (number, (when, [first, second, third])) in stages.into_iter().enumerate() {
            let expected = match when {
                // The kernel has restored the first stack unseen; the stack that the handler
                // left may be held.
                "back" | "back again" | "before a second" | "at the end of the handler" => {
                    [16, second, 0]
                }
                "with a second" | "after a signal on the second" => [16, 16, 0],
                "with a third" => [0, 0, 16],
                "without any" => [0; 3],
                other => panic!("{other}"),
            };
            assert_eq!([first, second, third], expected, "line {number}, {when}, {libc:?}");
        }
    }
}
