//! What the settings add that give handlers and threads room where the program gives none:
//! `SIGWARD_ALTSTACK_ALL`, `SIGWARD_ONSTACK`, `SIGWARD_THREAD_STACK_MIN`, `SIGWARD_DEPTH`. The
//! program sees nothing of it, and without the variables there is nothing.

use std::os::unix::process::ExitStatusExt;

use sigward_harness::every_stack::unless_every_stack_is_ours;
use sigward_harness::programs::{Libc, build, libcs};
use sigward_harness::{Outcome, Run, artifacts, need};

const ALL: (&str, &str) = ("SIGWARD_ALTSTACK_ALL", "1");
const ONSTACK: (&str, &str) = ("SIGWARD_ONSTACK", "SEGV,BUS");

fn run(name: &str, libc: Libc) -> Run {
    Run::new(build(name, libc).unwrap())
}

fn with(run: &Run, mode: &str, settings: &[(&str, &str)]) -> Run {
    settings.iter().fold(run.clone().sigward(mode), |run, (name, value)| run.env(name, value))
}

/// The signal that killed the program.
fn killed(outcome: &Outcome) -> Option<i32> {
    outcome.status.signal()
}

/// The handler has no SA_ONSTACK, and its thread no alternate stack: it runs only with both.
#[test]
fn a_stack_overflow_reaches_the_handler() {
    for &each in libcs() {
        let run = run("thread_overflow", each);
        for place in ["main", "thread"] {
            for (how, code, text) in
                [("run", 3, "the handler ran\n"), ("jump", 0, "recovered 3 times\n")]
            {
                let run = run.clone().args([place, how]);
                for mode in ["auto", "on"] {
                    for settings in [&[][..], &[ALL], &[ONSTACK]] {
                        let dead = with(&run, mode, settings).output().unwrap();
                        assert_eq!(
                            killed(&dead),
                            Some(libc::SIGSEGV),
                            "{each:?} {settings:?}: {dead:?}"
                        );
                    }
                    let alive = with(&run, mode, &[ALL, ONSTACK]).output().unwrap();
                    assert_eq!((&*alive.stdout, alive.code()), (text, code), "{each:?} {mode}");
                }
                assert_eq!(killed(&run.output().unwrap()), Some(libc::SIGSEGV), "{each:?}");
            }
        }
    }
}

#[test]
fn the_program_sees_no_stack_but_its_own() {
    let all: &[&[(&str, &str)]] = &[
        &[ALL],
        &[ALL, ("SIGWARD_SIZE", "fix"), ("SIGWARD_FRAME", "80000")],
        &[ALL, ("SIGWARD_WAIT", "two-phase")],
        &[ALL, ("SIGWARD_STACK", "off")],
        &[ALL, ("SIGWARD_STACK", "full")],
        &[("SIGWARD_ONSTACK", "USR1")],
    ];
    for &each in libcs() {
        let run = run("every_thread", each);
        let plain = run.output().unwrap();
        assert_eq!(plain.code(), 0, "{plain:?}");
        for settings in all {
            for mode in ["auto", "on", "observe"] {
                let seen = with(&run, mode, settings).output().unwrap();
                assert_eq!(seen, plain, "{each:?} {mode} {settings:?}");
            }
        }
    }
}

/// The control: it is there, above a guard, and comes back when the program has disabled its
/// own.
#[test]
fn the_kernel_has_a_guarded_stack_for_every_thread() {
    for &each in libcs() {
        let run = run("every_thread", each).arg("kernel");
        for (mode, settings, has) in [
            ("auto", &[ALL][..], 1),
            ("on", &[ALL], 1),
            ("on", &[ALL, ("SIGWARD_STACK", "off")], 1),
            ("auto", &[], 0),
            ("on", &[], 0),
            ("off", &[ALL], 0),
            ("observe", &[ALL], 0),
            ("on", &[ALL, ("SIGWARD_EXCEPT", "every_*")], 0),
        ] {
            let outcome = with(&run, mode, settings).output().unwrap();
            let wanted =
                format!("the kernel has: main {has} thread {has} child {has} again {has}\n");
            assert_eq!(outcome.stdout, wanted, "{each:?} {mode} {settings:?}");
        }
    }
}

#[test]
fn threads_that_end_in_any_way_give_it_back() {
    for &each in libcs() {
        let run = run("every_thread", each).arg("churn");
        for mode in ["auto", "on"] {
            for more in [("SIGWARD_STACK", "auto"), ("SIGWARD_DEPTH", "1")] {
                let outcome = with(&run, mode, &[ALL, more]).output().unwrap();
                assert_eq!((&*outcome.stdout, outcome.code()), ("flat\n", 0), "{each:?} {mode}");
            }
        }
    }
}

#[test]
fn a_program_reads_back_the_flags_that_it_set() {
    for &each in libcs() {
        let run = run("onstack_flags", each);
        let plain = run.output().unwrap();
        let places = |handlers: [u8; 7]| {
            let names =
                ["without", "with", "once", "once with", "signal", "by syscall", "not wanted"];
            let lines = names.iter().zip(handlers);
            let lines: Vec<_> =
                lines.map(|(name, on)| format!("{name}: on the stack {on}\n")).collect();
            lines.concat()
        };
        assert_eq!(plain.stderr, places([0, 1, 0, 1, 0, 0, 0]), "{each:?}");
        for mode in ["auto", "on"] {
            for more in [("SIGWARD_WAIT", "off"), ("SIGWARD_WAIT", "two-phase")] {
                let seen = with(&run, mode, &[ONSTACK, more]).output().unwrap();
                assert_eq!(seen.stdout, plain.stdout, "{each:?} {mode} {more:?}");
                assert_eq!(seen.stderr, places([1, 1, 1, 1, 1, 1, 0]), "{each:?} {mode} {more:?}");
                let other = with(&run, mode, &[("SIGWARD_ONSTACK", "ILL"), more]).output().unwrap();
                assert_eq!(other, plain, "{each:?} {mode} {more:?}");
            }
        }
    }
}

#[test]
fn a_bad_name_of_a_signal_gets_one_line() {
    let run = Run::new("/bin/true").sigward("auto").env("SIGWARD_ONSTACK", "SEGV,FOO");
    let outcome = run.output().unwrap();
    let lines: Vec<&str> = outcome.stderr.lines().collect();
    assert!(lines.len() == 1 && lines[0].contains("SIGWARD_ONSTACK=SEGV,FOO"), "{outcome:?}");
    assert!(lines[0].contains("such as SEGV,BUS,35"), "{outcome:?}");
}

#[test]
fn threads_get_the_least_stack_and_keep_their_attributes() {
    for &each in libcs() {
        let run = run("stack_min", each);
        let lines = |small| {
            [("64 KiB", 0, small), ("1 MiB", 0, 1), ("a stack of its own", 1, 0)].map(
                |(what, given, large)| {
                    format!(
                        "{what}: the attributes are the same 1, on the given stack {given}, at \
                         least 300 KiB {large}\n"
                    )
                },
            )
        };
        assert_eq!(run.output().unwrap().stdout, lines(0).concat(), "{each:?}");
        for mode in ["auto", "on"] {
            let roomy = [("SIGWARD_THREAD_STACK_MIN", "300K")];
            for settings in [&roomy[..], &[roomy[0], ALL]] {
                let with = with(&run, mode, settings).output().unwrap();
                assert_eq!(with.stdout, lines(1).concat(), "{each:?} {mode}");
            }
            // More than there can be: the program's own size is used then.
            let most = [("SIGWARD_THREAD_STACK_MIN", "900000G")];
            let with = with(&run, mode, &most).output().unwrap();
            assert_eq!(with.stdout, lines(0).concat(), "{each:?} {mode}");
        }
    }
}

/// What the program says that it used: `thread N used B of S`, in bytes. Only one signal has a
/// handler there.
fn used(stdout: &str) -> Vec<String> {
    let words = |line: &str| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let [thread, used, of] = [words[1], words[3], words[5]];
        format!("thread {thread} used {used} of {of} bytes by signal {}", libc::SIGUSR1)
    };
    stdout.lines().map(words).collect()
}

#[test]
fn the_depth_of_each_thread_is_told_to_the_byte() {
    for &each in libcs() {
        let run = run("depth", each);
        for mode in ["auto", "on"] {
            let outcome = with(&run, mode, &[ALL, ("SIGWARD_DEPTH", "1")]).output().unwrap();
            let [first, second, main] = &used(&outcome.stdout)[..] else { panic!("{outcome:?}") };
            let lines: Vec<&str> = outcome.stderr.lines().collect();
            // The child's, and the parent's, the deepest first.
            assert_eq!(lines.len(), 2, "{outcome:?}");
            let wanted = format!("measured: 3; at most: {second}, {main}, {first}");
            assert!(lines[1].ends_with(&wanted), "{wanted}: {outcome:?}");
            assert!(lines[0].ends_with("alternate stacks measured: 1"), "{outcome:?}");
        }
    }
}

/// A stack of ours is not told as used by a thread that came later.
#[test]
fn a_thread_is_not_blamed_for_the_one_before() {
    for &each in libcs() {
        for mode in ["auto", "on"] {
            let run = with(&run("depth", each).arg("next"), mode, &[("SIGWARD_SIZE", "fix")]);
            let run = run.env("SIGWARD_FRAME", "20000").env("SIGWARD_DEPTH", "1");
            let outcome = run.output().unwrap();
            assert!(outcome.success(), "{outcome:?}");
            assert_eq!(outcome.stderr.matches(" used 30001 of ").count(), 1, "{outcome:?}");
            assert_eq!(outcome.stderr.matches(" used ").count(), 1, "{outcome:?}");
        }
    }
}

#[test]
fn the_programs_own_stacks_are_measured_where_they_may_be_painted() {
    const FIX: [(&str, &str); 2] = [("SIGWARD_SIZE", "fix"), ("SIGWARD_FRAME", "80000")];
    for &each in libcs() {
        let run = run("depth", each).arg("own");
        for (mode, depth, fix, told) in [
            ("auto", "paint", false, true),
            ("on", "paint", false, true),
            // A stack of ours in its place needs no paint.
            ("auto", "1", true, true),
            ("on", "1", true, true),
            ("auto", "1", false, false),
            ("on", "0", true, false),
        ] {
            if !fix && !unless_every_stack_is_ours("ours are measured without paint") {
                continue;
            }
            let run = with(&run, mode, if fix { &FIX } else { &[] });
            let outcome = run.clone().env("SIGWARD_DEPTH", depth).output().unwrap();
            let main = &used(&outcome.stdout)[0];
            assert_eq!(outcome.stderr.contains(main), told, "{each:?} {depth} {fix}: {outcome:?}");
            // Another signal was the last one there, so it may have been either.
            let end = |how: &str, by: &str| {
                let run = run.clone().arg(how).env("SIGWARD_DEPTH", depth);
                let outcome = run.output().unwrap();
                let ends = outcome.stderr.ends_with(by);
                assert_eq!(ends, told, "{each:?} {depth} {fix} {how}: {outcome:?}");
            };
            end("info", &format!("bytes last by signal {}\n", libc::SIGUSR2));
            end("plain", "bytes\n");
        }
    }
}

/// The line with which a program dies on a stack of 128 KiB, with the numbers of its process and
/// thread as in `told`, where they are not known.
fn overflow(told: &str, place: &str, who: &str) -> String {
    let number = |after: &str| {
        let (_, rest) = told.split_once(after).unwrap_or_else(|| panic!("{told}"));
        rest.split(|digit: char| !digit.is_ascii_digit()).next().unwrap().parse::<u32>().unwrap()
    };
    let pid = number("sigward[");
    let tid = if place == "thread" { number(": thread ") } else { pid };
    assert_eq!(tid == pid, place != "thread", "{told}");
    format!(
        "sigward[{pid}]: dies: thread {tid}: {who} overflowed its alternate stack: 131072 bytes are \
         usable, more are needed, 12288 of them for the frame. Remedy: register a larger stack\n"
    )
}

/// Which signal's handler it was follows from those that have one on alternate stacks and are blocked.
#[test]
fn an_overflow_names_the_signal_or_those_that_it_may_be() {
    let (first, second) = (libc::SIGUSR1, libc::SIGUSR2);
    let certain = format!("the handler of signal {first}");
    let one = format!("probably {certain}");
    let other = format!("probably the handler of signal {second}");
    let either = format!("probably the handler of one of the signals {first}, {second}");
    for &each in libcs() {
        for place in ["main", "thread"] {
            for (signals, who) in [
                ("two", &*one),
                ("ordinary", &certain),
                ("blocked", &either),
                ("nested", &either),
                ("nodefer", &one),
                ("nodefer blocked", &either),
                ("unblocks", "a signal handler"),
                // Not so: hence the word.
                ("unblocks blocked", &other),
            ] {
                let run = run("dies", each).args([place, "overflow", signals]);
                let settings = [ALL, ("SIGWARD_DEPTH", "1"), ("SIGWARD_FRAME", "12288")];
                let told = with(&run, "auto", &settings).output().unwrap();
                let context = format!("{each:?} {place} {signals}: {told:?}");
                assert_eq!(killed(&told), Some(libc::SIGSEGV), "{context}");
                assert_eq!(told.stderr, overflow(&told.stderr, place, who), "{context}");
            }
        }
    }
}

/// It dies as it would have: the same output, the same signal.
#[test]
fn an_overflow_into_our_guard_is_told_before_the_program_dies() {
    for &each in libcs() {
        let run = run("dies", each);
        for place in ["main", "thread"] {
            for how in ["overflow", "handler", "plain", "raise", "kill", "restored"] {
                let run = run.clone().args([place, how]);
                let plain = run.output().unwrap();
                assert_eq!(killed(&plain), Some(libc::SIGSEGV), "{each:?} {plain:?}");
                for mode in ["auto", "on"] {
                    let settings = [ALL, ("SIGWARD_DEPTH", "1"), ("SIGWARD_FRAME", "12288")];
                    let told = with(&run, mode, &settings).output().unwrap();
                    let context = format!("{each:?} {mode} {place} {how}: {told:?}");
                    assert_eq!(
                        (&told.stdout, told.status),
                        (&plain.stdout, plain.status),
                        "{context}"
                    );
                    let lines: Vec<&str> = told.stderr.lines().collect();
                    if how == "overflow" {
                        let who = format!("the handler of signal {}", libc::SIGUSR1);
                        assert_eq!(told.stderr, overflow(&told.stderr, place, &who), "{context}");
                    } else {
                        assert!(lines.is_empty(), "{context}");
                    }
                    let quiet = with(&run, mode, &[ALL]).output().unwrap();
                    assert_eq!(quiet, plain, "{context}");
                }
            }
        }
    }
}

/// The line says what to set if a larger stack of ours stands in for the program's.
#[test]
fn an_overflow_of_a_larger_stack_names_the_setting() {
    // Two frames, and the room.
    const USABLE: usize = 2 * 12288 + 64 * 1024;
    for &each in libcs() {
        let run = run("dies", each).args(["own", "overflow"]);
        let settings =
            [("SIGWARD_SIZE", "fix"), ("SIGWARD_SIZE_ROOM", "64K"), ("SIGWARD_FRAME", "12288")];
        for mode in ["auto", "on"] {
            let told = with(&run, mode, &settings).env("SIGWARD_DEPTH", "1").output().unwrap();
            assert_eq!(killed(&told), Some(libc::SIGSEGV), "{each:?} {mode}: {told:?}");
            let usable = format!(": {USABLE} bytes are usable, more are needed, 12288 of them");
            let room = format!("Remedy: SIGWARD_SIZE_ROOM={}K, or", USABLE / 512);
            let line = &told.stderr;
            let is_right = line.contains(&usable) && line.contains(&room);
            assert!(is_right && line.lines().count() == 1, "{each:?} {mode}: {told:?}");
        }
    }
}

/// The setting that the line names is enough for a handler that does not go on for ever.
#[test]
fn the_named_setting_saves_the_program() {
    for &each in libcs() {
        // It uses 60,000 bytes of a stack of 16 KiB.
        let run = run("handler_room", each).args(["16384", "0", "60000", "plain", "main"]);
        for mode in ["auto", "on"] {
            let run = with(&run, mode, &[("SIGWARD_SIZE", "fix"), ("SIGWARD_FRAME", "12288")]);
            let told = run.clone().env("SIGWARD_DEPTH", "1").output().unwrap();
            assert_eq!(killed(&told), Some(libc::SIGSEGV), "{each:?} {mode}: {told:?}");
            let setting = told.stderr.split_once("Remedy: SIGWARD_SIZE_ROOM=");
            let (_, rest) = setting.unwrap_or_else(|| panic!("{told:?}"));
            let room = rest.split_once(',').unwrap().0;
            let saved = run.clone().env("SIGWARD_SIZE_ROOM", room).output().unwrap();
            assert_eq!(saved.stdout, "through 1, wrong 0\n", "{each:?} {mode} {room}: {saved:?}");
            // The control: without a measurement there is no line, and less is not enough.
            let quiet = run.clone().env("SIGWARD_SIZE_ROOM", "25K").output().unwrap();
            assert_eq!((killed(&quiet), &*quiet.stderr), (Some(libc::SIGSEGV), ""), "{each:?}");
        }
    }
}

/// A stack that is unmapped while it is set is measured at the end all the same, as the threads that
/// have it may unmap it at that moment: nothing of it is read.
#[test]
fn a_stack_that_is_gone_is_measured_without_harm() {
    let careless = artifacts::planted("careless_stacks").unwrap();
    for &each in libcs() {
        let run = run("depth", each).arg("gone").env("SIGWARD_DEPTH", "paint");
        for mode in ["auto", "on"] {
            let outcome = run.clone().sigward(mode).output().unwrap();
            assert_eq!(outcome.code(), 0, "{each:?} {mode}: {outcome:?}");
            assert!(outcome.stderr.ends_with("measured: 1\n"), "{each:?} {mode}: {outcome:?}");
            // The careless library is a 64-bit one.
            if each.is_32_bit()
                || !unless_every_stack_is_ours("the program's own stack is not measured")
            {
                continue;
            }
            let dead = run.clone().preload(&careless).env("SIGWARD", mode).output().unwrap();
            assert_eq!(killed(&dead), Some(libc::SIGSEGV), "{each:?} {mode}: {dead:?}");
        }
    }
}

/// Needs a processor with AMX, and a kernel that offers it.
#[test]
fn who_keeps_the_program_from_a_processor_feature_is_told() {
    for &each in libcs() {
        let run = run("feature", each);
        let plain = run.output().unwrap();
        let has = !plain.stdout.starts_with("no such feature");
        if !need::optional(has, "AMX", "use another machine") {
            return;
        }
        let refused = |outcome: &Outcome| {
            let (first, rest) = outcome.stdout.split_once('\n').unwrap();
            assert_eq!(rest, "without: errno 0\n", "{each:?}: {outcome:?}");
            first.ends_with(&format!(": errno {}", libc::ENOSPC))
        };
        assert!(refused(&plain), "{each:?}: {plain:?}");
        for (mode, remedy) in [("on", "off"), ("auto", "report"), ("on", "fix"), ("auto", "fix")] {
            let run = with(&run, mode, &[("SIGWARD_SIZE", remedy)]);
            let told = run.clone().env("SIGWARD_LOG", "warn").output().unwrap();
            assert_eq!(refused(&told), remedy != "fix", "{each:?} {mode}: {told:?}");
            let lines = told.stderr.lines().filter(|line| line.contains("processor feature"));
            let lines: Vec<&str> = lines.collect();
            assert_eq!(lines.len(), usize::from(remedy != "fix"), "{each:?} {mode}: {told:?}");
            if let [line] = lines[..] {
                let words: Vec<&str> = told.stdout.split([' ', ':']).collect();
                let who = format!("thread {} has 8192 bytes;", words[6]);
                assert!(line.contains(&who), "{who}: {told:?}");
            }
            let quiet = run.output().unwrap();
            assert_eq!(quiet.stderr, "", "{each:?} {mode}");
        }
    }
}
