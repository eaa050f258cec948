//! Forks: afterwards no delivery faults in parent or child, and not one byte is lost.

use sigward_harness::artifacts;
use sigward_harness::every_stack::unless_every_stack_is_ours;
use sigward_harness::programs::{self, Libc, build};
use sigward_harness::scenarios::FORKS;
use sigward_harness::{Outcome, Run, need};

#[test]
fn the_next_delivery_does_not_fault() {
    let broken = FORKS.broken();
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

/// Programs whose memory a child must find unchanged: scenarios of `fork_bytes`.
fn bytes(scenario: &str, libc: Libc) -> Run {
    Run::new(build("fork_bytes", libc).unwrap()).arg(scenario)
}

fn scenarios(program: &str, libc: Libc) -> Vec<String> {
    let all = Run::new(build(program, libc).unwrap()).output().unwrap().stdout;
    all.lines().map(str::to_owned).collect()
}

#[test]
fn no_byte_is_lost() {
    for &libc in programs::libcs() {
        for scenario in scenarios("fork_bytes", libc) {
            let run = bytes(&scenario, libc);
            let (without, with) = (run.output().unwrap(), run.sigward("on").output().unwrap());
            assert!(without.success(), "{scenario}: {without:?}");
            assert_eq!(with, without, "{scenario} under {libc:?}");
            assert!(!with.stdout.contains("incomplete"), "{scenario}: {with:?}");
        }
    }
}

fn complete(outcome: &Outcome) -> bool {
    outcome.success() && !outcome.stdout.contains("incomplete")
}

/// The checks above can fail: libraries that exclude more stacks from copying lose bytes.
#[test]
fn a_wrong_choice_loses_bytes() {
    if !unless_every_stack_is_ours("handlers leave nothing in the program's memory") {
        return;
    }
    for (plant, losing) in [
        ("wipe_heap", &["heap", "heap-neighbours", "freed-and-reused", "unmapped-and-mapped"][..]),
        ("wipe_ordinary", &["ordinary"]),
        ("wipe_own", &["own", "own-half-used", "in-a-handler"]),
    ] {
        let library = artifacts::planted(plant).unwrap();
        for scenario in losing {
            let run = bytes(scenario, Libc::Glibc).preload(&library).env("SIGWARD", "on");
            let outcome = run.output().unwrap();
            assert!(!complete(&outcome), "{plant}: {scenario} is complete: {outcome:?}");
        }
    }
}

/// Three things cost the forking thread no page copy: the unused part of its own stack, other
/// threads' stacks, and the records of them.
#[test]
fn no_page_is_copied_needlessly() {
    if !unless_every_stack_is_ours("to replace a stack takes pages") {
        return;
    }
    let program = build("fork_faults", Libc::Glibc).unwrap();
    for (kib, threads) in [("0", "0"), ("64", "0"), ("0", "300")] {
        let once = |run: &Run| run.output().unwrap().stdout.trim().parse::<i64>().unwrap();
        // With unlucky addresses one mapping replaces another in the records, and a stack is
        // copied.
        let faults = |run: Run| (0..6).map(|_| once(&run)).min().unwrap();
        let run = Run::new(&program).args([kib, threads]).env("SIGWARD_STACK", "off");
        let (without, with) = (faults(run.clone()), faults(run.sigward("on")));
        let more = with - without;
        assert!(more <= 6, "{kib} KiB, {threads} threads: {with} faults, without {without}");
    }
}

#[test]
fn a_stack_that_is_copied_is_counted() {
    for &libc in programs::libcs() {
        let windows = |run: Run| {
            let run = run.sigward("on").env("SIGWARD_STATS", "1").env("SIGWARD_STACK", "off");
            run.output().unwrap().figure("windows").to_owned()
        };
        let forked = |scenario| Run::new(build("forked", libc).unwrap()).arg(scenario);
        // Four threads with mappings of their own: none is copied.
        assert_eq!(windows(forked("other-threads")), "0");
        assert_eq!(windows(forked("threads-in-a-storm")), "0");
        // Unless the setting asks for it.
        assert_eq!(windows(forked("other-threads").env("SIGWARD_FORK", "copy")), "4");
        // Four threads with stacks from malloc, two forks.
        assert_eq!(windows(bytes("heap", libc)), "8");
    }
}

/// A handler's siginfo and context lie on its alternate stack. If another thread forks a child
/// to report them, the child needs the copy.
#[test]
fn a_reporting_child_finds_the_stacks_that_are_copied() {
    for &libc in programs::libcs() {
        let run = Run::new(build("crash_report", libc).unwrap());
        let without = run.output().unwrap();
        assert_eq!(
            without.stdout,
            "signal 11 at 0x1234, registers set
",
            "{without:?}"
        );
        let run = run.sigward("on");
        assert_eq!(run.clone().env("SIGWARD_FORK", "copy").output().unwrap(), without);
        let wiped = run.env("SIGWARD_FORK", "auto").output().unwrap();
        assert!(wiped.stdout.starts_with("signal 0 "), "the limit no longer exists: {wiped:?}");
    }
}

/// Another library's fork handlers may wait for its own threads, which may be waiting for
/// us: on a lock, or because they are being joined. Nothing may hang, and no call may fail.
#[test]
fn handlers_that_wait_for_threads_do_not_deadlock() {
    for &libc in programs::libcs() {
        for scenario in ["lock", "join", "round"] {
            let run = Run::new(build("pausing", libc).unwrap()).arg(scenario);
            let without = run.output().unwrap();
            assert!(without.success(), "{without:?}");
            assert_eq!(run.clone().sigward("on").output().unwrap(), without, "{scenario}");
            let run = run.preloaded_late().env("SIGWARD", "on");
            assert_eq!(run.output().unwrap(), without, "{scenario}, initialised late");
        }
    }
}

/// A call that began while the library stood aside, in a fork that took too long, and that
/// reaches the kernel after the fork, when the library holds its locks again.
#[test]
fn a_call_across_the_end_of_a_slow_fork_does_not_fail() {
    let run = Run::new(build("pausing", Libc::Glibc).unwrap()).arg("round");
    let late = run.preloaded_late().preload(artifacts::chaos());
    let run = late.env("SIGWARD", "on").env("CHAOS", "madvise@DONTNEED:late");
    let outcome = run.output().unwrap();
    assert!(outcome.success(), "{outcome:?}");
}

/// The child of a fork beside a slow fork copies the state that the slow one left.
#[test]
fn a_fork_beside_a_slow_one_keeps_the_signal_mask() {
    for &libc in programs::libcs() {
        let run = Run::new(build("second_fork", libc).unwrap());
        let without = run.output().unwrap();
        // musl gives the new thread a stack of its own.
        let same = i32::from(!libc.is_musl());
        assert!(without.stdout.starts_with(&format!("the other's thread: {same}\n")));
        assert_eq!(without.stdout.matches("SIGUSR1 1, SIGUSR2 0").count(), 3, "{without:?}");
        assert_eq!(run.preloaded_late().env("SIGWARD", "on").output().unwrap(), without);
    }
}

/// The child of a second fork runs on a stack that the first fork excludes from copying; also
/// if the first takes so long that the second stops waiting for it.
#[test]
fn a_fork_beside_another_loses_no_stack() {
    for &libc in programs::libcs() {
        for args in [&["400"][..], &["1500", "fork"]] {
            let run = Run::new(build("fork_beside", libc).unwrap()).args(args);
            let without = run.output().unwrap();
            assert!(without.success() && !without.stdout.contains("0x"), "{without:?}");
            assert!(without.stdout.contains(": 0\n"), "{without:?}");
            let run = run.preloaded_late().env("SIGWARD", "on");
            assert_eq!(run.output().unwrap(), without, "{libc:?} {args:?}");
        }
    }
}

/// A thread stops waiting for a fork and replaces its stack, or ends. The registry does not learn
/// of that, and must not exclude the old stack from later forks' copies either.
#[test]
fn data_in_a_stack_that_was_given_up_is_copied() {
    for &libc in programs::libcs() {
        for does in ["set", "end"] {
            let run = Run::new(build("given_up", libc).unwrap()).arg(does);
            let without = run.output().unwrap();
            assert_eq!(without.stdout, "its child: 0\na later child: 0\n", "{without:?}");
            let run = run.preloaded_late().env("SIGWARD", "on");
            assert_eq!(run.output().unwrap(), without, "{libc:?} {does}");
        }
    }
}

/// As in a container, whose first process is pid 1 and creates another container's.
#[test]
fn a_copy_with_our_pid_is_recognized() {
    if !need::namespaces() {
        return;
    }
    for &libc in programs::libcs() {
        let run = Run::new("unshare").args(["--pid", "--fork"]);
        let run = run.arg(build("same_pid", libc).unwrap()).sigward("on");
        let outcome = run.output().unwrap();
        assert_eq!(outcome.stdout, "hung: 0\n", "{libc:?}: {outcome:?}");
    }
}
