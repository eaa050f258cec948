//! `altstack-size`, judged by what counts: handlers that need more room than their alternate stack
//! has run on a stack of ours, which stands in for one stack of the program's and no other.
//!
//! Each program dies, or fails, or is shown to be otherwise worse off, without the library.

use std::os::unix::process::ExitStatusExt;
use std::time::Duration;

use sigward_harness::counter::Counter;
use sigward_harness::every_stack::{KNOW_PLACE, unless_every_stack_is_ours};
use sigward_harness::programs::{Libc, build, libcs};
use sigward_harness::{Run, artifacts, need};

/// The size of a frame with AMX state, whatever this processor has.
const LARGE_FRAME: &str = "11952";
/// Where the program's handlers run.
const THREADS: [&str; 2] = ["main", "thread"];

fn program(name: &str, libc: Libc) -> Run {
    // A profile of malloc's that does not depend on the number of processors.
    Run::new(build(name, libc).unwrap()).env("GLIBC_TUNABLES", "glibc.malloc.arena_max=1")
}

/// A handler that uses `uses` bytes of a stack of `size` bytes, the lowest `guard` of which are
/// not accessible; `how` is `plain`, `nested` for a second signal in it, `number` for syscall(2), or
/// `errno` for a line about that.
fn room(libc: Libc, [size, guard, uses]: [usize; 3], how: &str, thread: &str) -> Run {
    let numbers = [size, guard, uses].map(|number| number.to_string());
    program("handler_room", libc).args(numbers).arg(how).arg(thread)
}

fn assert_dies(run: &Run, what: &str) {
    let outcome = run.output().unwrap();
    assert_eq!(outcome.status.signal(), Some(libc::SIGSEGV), "{what}: {outcome:?}");
}

fn assert_lives(run: &Run, what: &str) {
    let outcome = run.output().unwrap();
    assert_eq!(outcome.stdout, "through 1, wrong 0\n", "{what}: {outcome:?}");
}

/// A guard inside the registered range, as .NET's: by its size the stack is large enough.
#[test]
fn a_guard_inside_does_not_count() {
    let frame = sigward::arch::usual_frame(sigward::arch::largest_frame);
    let stack = [16_384, 4096, 16_384 - 4096 - frame + 600];
    for &libc in libcs() {
        for thread in THREADS {
            let what = format!("{libc:?}, {thread}");
            assert_dies(&room(libc, stack, "plain", thread), &what);
            for mode in ["auto", "on"] {
                let with = |how| room(libc, stack, how, thread).sigward(mode);
                assert_dies(&with("plain").env("SIGWARD_SIZE", "off"), &what);
                for how in ["plain", "nested"] {
                    assert_lives(&with(how).env("SIGWARD_SIZE", "fix"), &what);
                }
            }
        }
    }
}

/// A profiler's signal nests in a handler that fits by itself.
#[test]
fn two_frames_are_needed() {
    let frame = sigward::arch::usual_frame(sigward::arch::largest_frame);
    // More than what is rounded up in two frames.
    let stack = [16_384, 0, 16_384 - 2 * frame + 1200];
    for &libc in libcs() {
        for thread in THREADS {
            let what = format!("{libc:?}, {thread}");
            assert_lives(&room(libc, stack, "plain", thread), &what);
            assert_dies(&room(libc, stack, "nested", thread), &what);
            let with = room(libc, stack, "nested", thread).sigward("auto");
            assert_lives(&with.env("SIGWARD_SIZE", "fix"), &what);
        }
    }
}

/// Nobody asked for anything but the library: stacks on which no frame fits.
#[test]
fn by_default_what_certainly_fails_is_mended() {
    for &libc in libcs() {
        for thread in THREADS {
            for stack in [[2048, 0, 1500], [8192, 0, 7000]] {
                let what = format!("{libc:?}, {thread}, {stack:?}");
                let plain = room(libc, stack, "plain", thread);
                assert_dies(&plain, &what);
                for (mode, how) in [("auto", "plain"), ("on", "plain"), ("auto", "number")] {
                    let with = room(libc, stack, how, thread).sigward(mode);
                    let with = with.env("SIGWARD_FRAME", LARGE_FRAME);
                    assert_lives(&with, &what);
                    assert_dies(&with.clone().env("SIGWARD_SIZE", "off"), &what);
                }
                if !unless_every_stack_is_ours("these settings mend more than the default") {
                    continue;
                }
                for mode in ["off", "observe"] {
                    let with = plain.clone().sigward(mode).env("SIGWARD_FRAME", LARGE_FRAME);
                    assert_dies(&with, &format!("{what}, {mode}"));
                }
                // Where a frame fits, the stack stays as it is, however deep a handler goes.
                let fits = plain.clone().sigward("auto").env("SIGWARD_FRAME", "2000");
                assert_dies(&fits, &what);
            }
        }
    }
}

/// musl refuses sizes below a frame and 1024 bytes, the kernel where AMX is permitted.
#[test]
fn a_refused_registration_succeeds() {
    for &libc in libcs() {
        let refuses = build("librefuses", libc).unwrap();
        for thread in THREADS {
            let what = format!("{libc:?}, {thread}");
            let bare = room(libc, [8192, 0, 100], "plain", thread);
            let plain = bare.clone().preload(&refuses).env("LEAST", "12976");
            let refused = plain.output().unwrap();
            assert!(refused.stdout.starts_with("refused: "), "{what}: {refused:?}");
            for mode in ["auto", "on"] {
                for remedy in ["auto", "fix"] {
                    let with = bare.clone().sigward(mode).preload(&refuses).env("LEAST", "12976");
                    let with = with.env("SIGWARD_SIZE", remedy).env("SIGWARD_FRAME", "4096");
                    assert_lives(&with, &what);
                    // The size of a call that disables the stack.
                    let with = with.env("CHECKS_DISABLE", "1");
                    assert_lives(&with, &what);
                    if (mode, remedy) == ("auto", "auto") {
                        continue;
                    }
                    // Where libc's call is the first, nobody knows what errno was.
                    let kept = room(libc, [8192, 0, 100], "errno", thread).sigward(mode);
                    let kept =
                        kept.preload(&refuses).env("LEAST", "12976").env("SIGWARD_SIZE", remedy);
                    let kept = kept.env("SIGWARD_FRAME", "4096").env("CHECKS_DISABLE", "1");
                    let kept = kept.output().unwrap();
                    assert!(kept.stdout.ends_with("\nerrno as before 1\n"), "{what}: {kept:?}");
                }
            }
        }
        // What was refused for another reason stays refused.
        let tiny = room(libc, [1024, 0, 10], "plain", "main");
        let refused = tiny.output().unwrap();
        let with = tiny.sigward("auto").env("SIGWARD_FRAME", LARGE_FRAME).output().unwrap();
        assert!(refused.stdout.starts_with("refused: "), "{refused:?}");
        assert_eq!(with.stdout, refused.stdout);
    }
}

/// Contexts that live on alternate stacks of the program's: each has a stack of ours of its own.
#[test]
fn coroutines_keep_their_contexts() {
    for &libc in libcs() {
        for size in ["8192", "16384"] {
            let plain = program("coroutines", libc).arg(size);
            for mode in ["auto", "on"] {
                for remedy in ["auto", "fix"] {
                    let with = plain.clone().sigward(mode).env("SIGWARD_SIZE", remedy);
                    let outcome = with.env("SIGWARD_FRAME", LARGE_FRAME).output().unwrap();
                    let what = format!("{libc:?}, {size}, {mode}, {remedy}: {outcome:?}");
                    assert_eq!(outcome.stdout, "intact 4 of 4\nintact 4 of 4\n", "{what}");
                }
            }
        }
    }
}

/// More stacks than any program keeps contexts on: the first 1,024 have one of ours each, and the
/// further ones are passed on. It is told once.
#[test]
fn one_thread_holds_no_more_than_a_bound() {
    for &libc in libcs() {
        for (mode, remedy) in [("auto", "auto"), ("auto", "fix"), ("on", "fix")] {
            let with = program("many_stacks", libc).sigward(mode).env("SIGWARD_SIZE", remedy);
            let with = with.env("SIGWARD_FRAME", LARGE_FRAME).env("SIGWARD_LOG", "warn");
            let outcome = with.output().unwrap();
            let all = "elsewhere 1024, the first ones 1, wrong 0, handlers 1100\n";
            assert_eq!(outcome.stdout, all, "{libc:?}, {mode}, {remedy}: {outcome:?}");
            assert_eq!(outcome.stderr.matches("has 1,024 stacks").count(), 1, "{outcome:?}");
        }
    }
}

/// The same for all threads together: 10,240. With that many, each registration takes a millisecond.
/// The child of a fork, whose other threads are gone, gives up some of theirs.
#[test]
fn a_process_holds_no_more_than_a_bound() {
    let with = program("many_stacks", Libc::Glibc).arg("threads").sigward("auto");
    let with = with.env("SIGWARD_SIZE", "fix").env("SIGWARD_FRAME", LARGE_FRAME);
    let with = with.env("SIGWARD_LOG", "warn").deadline(Duration::from_secs(120));
    let outcome = with.output().unwrap();
    let all = "the child's: elsewhere\nelsewhere 10240, the first ones 1, wrong 0, handlers 0\n";
    assert_eq!(outcome.stdout, all, "{outcome:?}");
    assert_eq!(outcome.stderr.matches("or all have 10,240").count(), 1, "{outcome:?}");
}

/// A handler that leaves by swapcontext, and coroutines: with one stack of ours for each thread,
/// instead of one for each of the program's, their contexts are lost.
#[test]
fn contexts_need_a_stack_of_their_own() {
    let careless = artifacts::planted("careless_stacks").unwrap();
    let fix = |run: Run| run.env("SIGWARD", "on").env("SIGWARD_SIZE", "fix");
    for name in ["swapped_out", "coroutines"] {
        let run = || {
            let run = program(name, Libc::Glibc).env("SIGWARD_FRAME", LARGE_FRAME);
            if name == "coroutines" { run.arg("16384") } else { run }
        };
        let mended = fix(run().sigward("on")).output().unwrap();
        assert!(mended.success() && !mended.stdout.contains("intact 0"), "{name}: {mended:?}");
        if name == "swapped_out" {
            assert_eq!(mended.stdout, run().output().unwrap().stdout);
        }
        let lost = fix(run().preload(&careless)).output().unwrap();
        assert_ne!((lost.stdout, lost.status), (mended.stdout, mended.status), "{name}");
    }
}

/// Forks, vforks, jumps out, stacks that handlers set and the kernel puts back, `SS_AUTODISARM`,
/// threads: the program sees its own stacks as it does without the library.
#[test]
fn the_program_sees_what_it_would_see() {
    for &libc in libcs() {
        let plain = program("small_stack_lives", libc).output().unwrap();
        assert!(plain.stdout.ends_with("at last: - 0 disabled\n"), "{plain:?}");
        for mode in ["auto", "on"] {
            for remedy in ["auto", "fix"] {
                let with = program("small_stack_lives", libc).sigward(mode);
                let with = with.env("SIGWARD_SIZE", remedy).env("SIGWARD_FRAME", LARGE_FRAME);
                let outcome = with.output().unwrap();
                assert_eq!(outcome.stdout, plain.stdout, "{libc:?}, {mode}, {remedy}");
                assert_eq!(outcome.status, plain.status, "{libc:?}, {mode}, {remedy}");
            }
        }
    }
}

/// With so much room for handlers that every stack is ours, programs print what they print without.
#[test]
fn every_stack_ours_makes_no_difference() {
    let programs = sigward_harness::programs::comparable(libcs()).unwrap();
    for (name, libc) in programs.into_iter().filter(|(name, _)| !KNOW_PLACE.contains(&&**name)) {
        let run = Run::new(build(&name, libc).unwrap()).deadline(Duration::from_secs(60));
        let without = run.output().unwrap();
        for mode in ["on", "auto"] {
            let with = run.clone().sigward(mode).env("SIGWARD_SIZE", "fix");
            let with = with.env("SIGWARD_SIZE_ROOM", "64K").output().unwrap();
            assert_eq!(with, without, "{name}, {libc:?}, {mode}");
        }
    }
}

/// Programs that rely on the place of the stack that they set: a collector of garbage, by a name
/// that it defines, and Wine, by its own.
#[test]
fn who_relies_on_the_place_keeps_it() {
    let folder = tempfile::tempdir().unwrap();
    for &libc in libcs() {
        let wine = folder.path().join(format!("wine64-{}", libc.name()));
        std::fs::copy(build("show_mapping", libc).unwrap(), &wine).unwrap();
        for (mode, remedy) in [("auto", "auto"), ("auto", "fix"), ("on", "auto"), ("on", "fix")] {
            let run = |run: Run| {
                let run = run.sigward(mode).env("SIGWARD_SIZE", remedy);
                run.env("SIGWARD_FRAME", LARGE_FRAME).output().unwrap()
            };
            let what = format!("{libc:?}, {mode}, {remedy}");
            let collector = run(program("collects", libc));
            assert_eq!(collector.stdout, "on its own stack 1\n", "{what}: {collector:?}");
            let wine = run(Run::new(&wine));
            assert!(wine.stdout.starts_with("outside 0"), "{what}: {wine:?}");
            let other = run(program("show_mapping", libc));
            assert!(other.stdout.starts_with("outside 1"), "{what}: {other:?}");
        }
    }
}

/// A thread unmaps its stack while it is set. The next signal kills it; with the library the handler
/// runs on the ordinary stack until memory is mapped there again.
#[test]
fn an_unmapped_stack_is_not_used() {
    if !unless_every_stack_is_ours("no handler is on the stack that is unmapped") {
        return;
    }
    for &libc in libcs() {
        let plain = program("unmapped_while_set", libc);
        assert_dies(&plain, "without");
        assert_dies(&plain.clone().sigward("auto"), "nothing is on record");
        let outcome = plain.sigward("on").env("SIGWARD_LOG", "warn").output().unwrap();
        let once = "set: on the stack 1, sees its own 1, flags 0\n\
                    a call that failed: on the stack 1, sees its own 1, flags 0\n\
                    unmapped: on the stack 0, sees its own 1, flags 0\n\
                    mapped again: on the stack 1, sees its own 1, flags 0\n\
                    disabled: its own before 1\n\
                    now: flags 2\n";
        assert_eq!(outcome.stdout, once.repeat(2), "{libc:?}: {outcome:?}");
        let told = outcome.stderr.matches("was unmapped while it was set").count();
        assert_eq!(told, 1, "{outcome:?}");
    }
}

/// Whatever becomes of the program's stack, ours do not pile up.
#[test]
fn a_thousand_threads_leave_nothing_behind() {
    for &libc in libcs() {
        for end in ["left", "freed", "unmapped"] {
            for (mode, remedy) in [("auto", "auto"), ("auto", "fix"), ("on", "fix")] {
                let with = program("small_stack_churn", libc).arg(end).sigward(mode);
                let with = with.env("SIGWARD_SIZE", remedy).env("SIGWARD_FRAME", LARGE_FRAME);
                let outcome = with.output().unwrap();
                let flat = "flat: mappings 1, locked 1, size 1\n";
                let what = format!("{libc:?}, {end}, {mode}, {remedy}: {outcome:?}");
                assert_eq!(outcome.stdout, flat, "{what}");
            }
        }
    }
}

/// Ours cost addresses, and memory only where a handler used them: as the program's own.
#[test]
fn threads_cost_no_memory_that_they_do_not_use() {
    const THREADS: &str = "2000";
    /// Less than a page for each thread; a record takes 64 bytes.
    const MOST_KIB: i64 = 2000;
    for &libc in libcs() {
        let used = |run: Run| -> i64 {
            let outcome = run.arg(THREADS).deadline(Duration::from_secs(120)).output().unwrap();
            outcome.stdout.trim().parse().unwrap_or_else(|_| panic!("{libc:?}: {outcome:?}"))
        };
        let plain = used(program("many_small", libc));
        for remedy in ["auto", "fix"] {
            let with = program("many_small", libc).sigward("auto").env("SIGWARD_SIZE", remedy);
            let with = used(with.env("SIGWARD_FRAME", LARGE_FRAME));
            assert!(
                with <= plain + MOST_KIB,
                "{libc:?}, {remedy}: {plain} KiB without, {with} with"
            );
        }
    }
}

/// By default a stack that is large enough costs no system call and few instructions.
#[test]
fn a_healthy_stack_costs_next_to_nothing() {
    /// User instructions for each call beside libc's.
    const MOST: f64 = 16.0;
    if !unless_every_stack_is_ours("to replace a stack takes system calls") {
        return;
    }
    let run = |count: &str| Run::new(build("set_many", Libc::Glibc).unwrap()).arg(count);
    let made = |run: Run| {
        let calls = run.calls().unwrap();
        (calls.len(), calls.iter().filter(|call| **call == libc::SYS_sigaltstack).count())
    };
    let ((none, _), (some, sets)) =
        (made(run("0").sigward("auto")), made(run("100").sigward("auto")));
    assert_eq!((some - none, sets), (100, 100));
    if need::program("valgrind").is_none() {
        return;
    }
    let counted = |count: &str, library: bool| {
        let path = build("set_many", Libc::Glibc).unwrap();
        let command = [path.as_os_str(), count.as_ref()];
        let library = if library { artifacts::preload().as_os_str() } else { "".as_ref() };
        let environment = [("LD_PRELOAD", library), ("SIGWARD", "auto".as_ref())];
        Counter::Callgrind.count(&command, &environment).unwrap()
    };
    let for_each = |library| (counted("2000", library) - counted("1000", library)) / 1000.0;
    let (plain, with) = (for_each(false), for_each(true));
    assert!(with - plain <= MOST, "{plain} instructions without, {with} with");
}

/// Ours have a guard below, whole pages, and a name where the kernel can give one.
#[test]
fn ours_are_guarded_and_named() {
    for &libc in libcs() {
        for (mode, remedy) in [("auto", "auto"), ("auto", "fix"), ("on", "auto")] {
            let run = program("show_mapping", libc).sigward(mode).env("SIGWARD_SIZE", remedy);
            let outcome = run.env("SIGWARD_FRAME", LARGE_FRAME).output().unwrap();
            // Where nothing was prepared, not even that call is made.
            let named = (mode, remedy) != ("auto", "auto");
            let wanted = if named { ["1 of 1", "0 of 0"] } else { ["0 of 1", "0 of 0"] };
            let is_right = wanted.iter().any(|names| {
                let all = format!("outside 1, guard 1, at least 32104 bytes 1, named {names}\n");
                outcome.stdout == all
            });
            assert!(is_right, "{libc:?}, {mode}, {remedy}: {outcome:?}");
        }
    }
}

/// Memory that the program frees, and uses for something else, while it is set. With `fix` a stack of
/// ours stands in for each that it may free; variables of the program's and mappings that it made
/// for a stack stay as they are.
#[test]
fn memory_that_was_freed_is_not_written() {
    for &libc in libcs() {
        let kinds = [("malloc", 0), ("local", 0), ("part", 0), ("static", 1), ("mapping", 1)];
        let run = |kind: &str| program("freed_while_set", libc).arg(kind);
        let fix = |run: Run, mode: &str| run.sigward(mode).env("SIGWARD_SIZE", "fix");
        for (kind, mended) in kinds {
            let line =
                |written| format!("used again 1, written {written}, sees its own 1, handlers 2\n");
            let what = format!("{kind}, {libc:?}");
            assert_eq!(run(kind).output().unwrap().stdout, line(1), "{what}");
            for mode in ["auto", "on"] {
                if unless_every_stack_is_ours("no handler writes to memory that was freed") {
                    let plain = run(kind).sigward(mode).output().unwrap();
                    assert_eq!(plain.stdout, line(1), "{what}, {mode}");
                }
                let with = fix(run(kind), mode).output().unwrap();
                assert_eq!(with.stdout, line(mended), "{what}, {mode}: {with:?}");
            }
        }
        assert_dies(&run("large"), "unmapped by free");
        for mode in ["auto", "on"] {
            let with = fix(run("large"), mode).output().unwrap();
            assert_eq!(with.stdout, "handlers 1\n", "{libc:?}, {mode}: {with:?}");
        }
    }
}
