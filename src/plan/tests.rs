//! The plan as tables: one row for each combination of settings, kernel and
//! process.

use super::*;
use crate::config::{Altstack, Fork, Log, SmallStacks, Stack, Stats, Wait, WaitEintr};
use crate::os::errno::Errno;
use crate::verdict::{CpuTraits, KernelTexts, judge};

const GCC9: &[u8] = b"Linux version 5.3.5 (a@b) (gcc version 9.2.1 20190827 (Red Hat 9.2.1-1)) #1";

fn kernel(release: &str, proc_version: Option<&[u8]>) -> Verdict {
    judge(&KernelTexts {
        sysname: b"Linux",
        release: release.as_bytes(),
        version: b"#1 SMP",
        machine: b"x86_64",
        proc_version: proc_version.map(|text| text as _),
        version_signature: None,
        cpu: CpuTraits::MODERN,
    })
}

fn healthy() -> Verdict {
    kernel("6.1.0", None)
}

fn affected() -> Verdict {
    kernel("5.3.5", Some(GCC9))
}

/// In an affected range, with an unknown compiler.
fn doubtful() -> Verdict {
    kernel("5.3.5", None)
}

fn unreadable() -> Verdict {
    kernel("mystery", None)
}

fn gvisor() -> Verdict {
    kernel("4.4.0-gvisor", None)
}

const FACTS: Facts = Facts::plain(Some(3376), 2000);

fn set(change: impl FnOnce(&mut Config)) -> Config {
    let mut config = Config::DEFAULT;
    change(&mut config);
    config
}

fn mode(mode: Mode) -> Config {
    set(|config| config.mode = mode)
}

fn make(config: &Config, verdict: Verdict, mut facts: Facts) -> Plan<'static> {
    plan(config, Bad::default(), || verdict, &mut facts)
}

/// A process that records each question.
struct Watched {
    facts: Facts,
    asked: Vec<&'static str>,
}

macro_rules! watched {
    ($($question:ident: $answer:ty),*) => {
        impl Process for Watched {
            $(fn $question(&mut self) -> $answer {
                assert!(!self.asked.contains(&stringify!($question)), "asked twice");
                self.asked.push(stringify!($question));
                self.facts.$question()
            })*
        }
    };
}

watched! {
    environment: Environment,
    runs_under_valgrind_tool: bool,
    kernel_frame: Option<usize>,
    cpu_frame: usize,
    is_filtered: bool,
    sanitizer: Option<&'static str>,
    has_valgrind_tool: bool,
    overridden: Option<&'static str>,
    is_libc_known: bool,
    relies_on_place: bool,
    filter: Option<Obstacle>,
    may_write: Result<bool, Errno>
}

/// The questions asked about such a process, except for the two that cost
/// nothing and are always asked.
fn questions(config: &Config, verdict: Verdict, facts: Facts) -> Vec<&'static str> {
    let mut watched = Watched { facts, asked: Vec::new() };
    plan(config, Bad::default(), || verdict, &mut watched);
    let always = ["environment", "runs_under_valgrind_tool"];
    assert!(always.iter().all(|question| watched.asked.contains(question)));
    watched.asked.retain(|question| !always.contains(question));
    watched.asked
}

#[test]
fn duty_by_mode_and_kernel() {
    use Duty::{Act, Inert, Observe};
    type Row = (Mode, fn() -> Verdict, Duty, Reason);
    let rows: [Row; 14] = [
        (Mode::Auto, healthy, Inert, Reason::KernelNotAffected),
        (Mode::Auto, affected, Act, Reason::KernelAffected),
        (Mode::Auto, doubtful, Act, Reason::KernelInRange),
        (Mode::Auto, unreadable, Inert, Reason::KernelUnknown),
        (Mode::Auto, gvisor, Inert, Reason::KernelNotAffected),
        (Mode::On, healthy, Act, Reason::Set),
        (Mode::On, affected, Act, Reason::Set),
        (Mode::On, unreadable, Act, Reason::Set),
        (Mode::On, gvisor, Observe, Reason::Gvisor),
        (Mode::Observe, healthy, Observe, Reason::Set),
        (Mode::Observe, affected, Observe, Reason::Set),
        (Mode::Observe, gvisor, Observe, Reason::Gvisor),
        (Mode::Off, healthy, Inert, Reason::Set),
        (Mode::Off, affected, Inert, Reason::Set),
    ];
    for (setting, verdict, duty, reason) in rows {
        let plan = make(&mode(setting), verdict(), FACTS);
        assert_eq!(plan.duty, Part { value: duty, reason }, "{setting:?} {:?}", verdict().standing);
        assert_eq!(plan.kernel, (setting != Mode::Off).then_some(verdict().standing));
    }
}

/// Each only by its variable, on every kernel, and not where only counting was
/// asked for.
#[test]
fn room_on_request_by_variable_mode_and_kernel() {
    type Change = fn(&mut Config);
    type Seen = fn(&Plan<'_>) -> bool;
    let rows: [(Change, Seen, bool); 4] = [
        (|set| set.altstack_all = config::AltstackAll::On, |plan| plan.altstack_all.value, true),
        (
            |set| set.onstack = config::Signals::of(&[libc::SIGSEGV as u32]),
            |plan| !plan.onstack.value.is_empty(),
            false,
        ),
        (
            |set| set.thread_stack_min = Some(4096),
            |plan| plan.thread_stack_min.value == 4096,
            false,
        ),
        (|set| set.depth = config::Depth::Ours, |plan| plan.depth.value == Depth::Ours, true),
    ];
    for (change, is_planned, forks) in rows {
        let with = |mode, verdict, facts| {
            let mut config = set(change);
            config.mode = mode;
            make(&config, verdict, facts)
        };
        let plan = with(Mode::Auto, healthy(), FACTS);
        assert_eq!((plan.duty.value, plan.duty.reason), (Duty::Observe, Reason::SmallStacks));
        assert!(is_planned(&plan) && plan.seen.stacks && plan.seen.handlers);
        assert_eq!(plan.fork_handlers, forks);
        assert_eq!(plan.small_stacks.value, Remedy::Certain, "as without the variable");
        assert!(is_planned(&with(Mode::On, healthy(), FACTS)));
        assert!(is_planned(&with(Mode::Auto, affected(), FACTS)));
        assert!(!is_planned(&with(Mode::Observe, affected(), FACTS)));
        assert!(!is_planned(&with(Mode::Off, affected(), FACTS)));
        assert!(!is_planned(&with(Mode::On, gvisor(), FACTS)));
        let unknown = Facts { known_libc: false, ..FACTS };
        assert!(!is_planned(&with(Mode::Auto, healthy(), unknown)));
        assert!(!is_planned(&make(&mode(Mode::On), healthy(), FACTS)));
    }
}

#[test]
fn small_stacks_by_what_was_set_mode_and_kernel() {
    use Duty::{Act, Inert, Observe};
    use SmallStacks::{Auto, Fix, Off, Report};
    type Row = (Mode, SmallStacks, fn() -> Verdict, Duty, Remedy, Reason);
    let rows: [Row; 19] = [
        (Mode::Auto, Auto, healthy, Inert, Remedy::Certain, Reason::Default),
        (Mode::Auto, Auto, unreadable, Inert, Remedy::Certain, Reason::Default),
        (Mode::Auto, Auto, gvisor, Inert, Remedy::Certain, Reason::Default),
        (Mode::Auto, Off, healthy, Inert, Remedy::None, Reason::Set),
        (Mode::Auto, Report, healthy, Observe, Remedy::Report, Reason::Set),
        (Mode::Auto, Fix, healthy, Observe, Remedy::Fix, Reason::Set),
        (Mode::Auto, Fix, unreadable, Observe, Remedy::Fix, Reason::Set),
        (Mode::Auto, Auto, affected, Act, Remedy::Certain, Reason::Default),
        (Mode::Auto, Off, affected, Act, Remedy::None, Reason::Set),
        (Mode::Auto, Fix, affected, Act, Remedy::Fix, Reason::Set),
        (Mode::On, Auto, healthy, Act, Remedy::Certain, Reason::Default),
        (Mode::On, Off, healthy, Act, Remedy::None, Reason::Set),
        (Mode::On, Report, healthy, Act, Remedy::Report, Reason::Set),
        (Mode::Observe, Auto, affected, Observe, Remedy::None, Reason::Duty),
        (Mode::Observe, Auto, healthy, Observe, Remedy::None, Reason::Duty),
        (Mode::Observe, Fix, healthy, Observe, Remedy::Fix, Reason::Set),
        (Mode::Off, Auto, affected, Inert, Remedy::None, Reason::Duty),
        (Mode::Off, Fix, affected, Inert, Remedy::None, Reason::Duty),
        (Mode::On, Fix, gvisor, Observe, Remedy::Fix, Reason::Set),
    ];
    for (mode, small_stacks, verdict, duty, value, reason) in rows {
        let config = Config { mode, small_stacks, ..Config::DEFAULT };
        let plan = make(&config, verdict(), FACTS);
        let row = format!("{mode:?} {small_stacks:?} {:?}", verdict().standing);
        assert_eq!((plan.duty.value, plan.small_stacks), (duty, Part { value, reason }), "{row}");
        let fork_handlers = duty == Act || value == Remedy::Fix;
        assert_eq!(plan.fork_handlers, fork_handlers, "{row}");
    }
    let plan = make(&set(|config| config.small_stacks = Fix), healthy(), FACTS);
    assert_eq!(plan.duty.reason, Reason::SmallStacks);
    let collector = Facts { relies_on_place: true, ..FACTS };
    let reported = Part { value: Remedy::Report, reason: Reason::PlaceMatters };
    for config in [set(|config| config.small_stacks = Fix), mode(Mode::On)] {
        assert_eq!(make(&config, healthy(), collector).small_stacks, reported);
    }
    assert_eq!((plan.room, plan.names_memory), (ROOM, true));
    let filtered = Facts { filtered: true, ..FACTS };
    assert!(!make(&set(|config| config.small_stacks = Fix), healthy(), filtered).names_memory);
    assert_eq!(make(&set(|config| config.room = Some(1)), healthy(), FACTS).room, 1);
    // Nobody asks what a frame takes before there is a small stack.
    assert_eq!(make(&mode(Mode::Auto), healthy(), FACTS).frame.value, 0);
    assert_eq!(make(&set(|config| config.frame = Some(9)), healthy(), FACTS).frame.value, 9);
    // Nothing is replaced under a tool that tracks memory, in a program that is
    // left out, or for a caller who has no say.
    for facts in [
        Facts { valgrind_tool: true, ..FACTS },
        Facts { environment: Environment::Secure, ..FACTS },
        Facts { environment: Environment::Missing, ..FACTS },
    ] {
        let plan = make(&mode(Mode::Auto), healthy(), facts);
        assert_eq!(plan.small_stacks.value, Remedy::None, "{facts:?}");
    }
    let excluded = set(|config| config.excluded = true);
    assert_eq!(make(&excluded, healthy(), FACTS).small_stacks.value, Remedy::None);
}

#[test]
fn obstacles_in_their_order_and_what_they_leave() {
    type Row = (fn(&mut Facts), Obstacle, Duty);
    // Each row's obstacle takes precedence over those of the rows above.
    let rows: [Row; 6] = [
        (
            |facts| facts.filter = Some(Obstacle::Untried(Errno::EPERM)),
            Obstacle::Untried(Errno::EPERM),
            Duty::Inert,
        ),
        (
            |facts| facts.filter = Some(Obstacle::Killed("mlock")),
            Obstacle::Killed("mlock"),
            Duty::Inert,
        ),
        (|facts| facts.known_libc = false, Obstacle::UnknownLibc, Duty::Observe),
        (
            |facts| facts.overridden = Some("sigaltstack"),
            Obstacle::Overridden("sigaltstack"),
            Duty::Inert,
        ),
        (|facts| facts.valgrind_tool = true, Obstacle::Valgrind, Duty::Inert),
        (
            |facts| facts.sanitizer = Some("__asan_init"),
            Obstacle::Sanitizer("__asan_init"),
            Duty::Inert,
        ),
    ];
    let mut facts = Facts { filtered: true, ..FACTS };
    for (change, obstacle, left) in rows {
        change(&mut facts);
        for (config, verdict) in [(mode(Mode::On), healthy()), (Config::DEFAULT, affected())] {
            let plan = make(&config, verdict, facts);
            assert_eq!(plan.obstacle, Some(obstacle));
            assert_eq!(plan.duty, Part { value: left, reason: obstacle.reason() });
            assert_eq!(plan.start.value, Rung::Report);
            assert_eq!(plan.seen.stacks, left == Duty::Observe);
            assert!(!plan.fork_handlers);
        }
        // Without a request there is no obstacle.
        let plan = make(&Config::DEFAULT, healthy(), facts);
        assert_eq!((plan.obstacle, plan.duty.reason), (None, Reason::KernelNotAffected));
    }
    // gVisor comes after what the program brings with it, and before its libc.
    let plain = Facts { known_libc: false, ..FACTS };
    assert_eq!(make(&mode(Mode::On), gvisor(), plain).obstacle, Some(Obstacle::Gvisor));
    let overridden = Facts { overridden: Some("sigaltstack"), ..FACTS };
    let obstacle = make(&mode(Mode::On), gvisor(), overridden).obstacle;
    assert_eq!(obstacle, Some(Obstacle::Overridden("sigaltstack")));
    // A filter that is not in place is no obstacle.
    let unfiltered = Facts { filter: Some(Obstacle::Killed("mlock")), ..FACTS };
    assert_eq!(make(&mode(Mode::On), healthy(), unfiltered).obstacle, None);
}

#[test]
fn without_consent_nothing_is_done() {
    let on = Config { stats: Stats::On, log: Log::Debug, wait: Wait::Int80, ..mode(Mode::On) };
    let excluded = Config { mode: Mode::Off, excluded: true, ..on };
    let off = Config { mode: Mode::Off, ..on };
    let rows = [
        (on, Environment::Secure, Reason::SecureExecution),
        (on, Environment::Missing, Reason::NoEnvironment),
        (excluded, Environment::Secure, Reason::SecureExecution),
        (excluded, Environment::Trusted, Reason::Excluded),
        (off, Environment::Trusted, Reason::Set),
    ];
    for (config, environment, reason) in rows {
        let mut facts = Facts { environment, ..FACTS };
        let never = || unreachable!("the kernel is not asked");
        let plan = plan(&config, Bad::default(), never, &mut facts);
        assert_eq!(plan, Plan::idle(reason));
        assert_eq!(questions(&config, affected(), facts), [""; 0]);
    }
}

#[test]
fn what_costs_is_asked_only_where_it_matters() {
    const OBSTACLES: [&str; 4] = ["sanitizer", "has_valgrind_tool", "overridden", "is_libc_known"];
    let at_work = [&["is_filtered"][..], &OBSTACLES, &["kernel_frame"]].concat();
    let replacing = [&at_work[..], &["relies_on_place"]].concat();
    let auto = Config::DEFAULT;
    assert_eq!(questions(&auto, healthy(), FACTS), [""; 0]);
    assert_eq!(questions(&set(|it| it.wait = Wait::TwoPhase), healthy(), FACTS), [""; 0]);
    assert_eq!(questions(&set(|it| it.log = Log::Warn), healthy(), FACTS), ["is_filtered"]);
    assert_eq!(questions(&auto, affected(), FACTS), replacing);
    assert_eq!(questions(&mode(Mode::Observe), healthy(), FACTS), at_work);

    let filtered = Facts { filtered: true, kernel_frame: None, ..FACTS };
    let stats = set(|it| it.stats = Stats::On);
    assert_eq!(questions(&stats, healthy(), filtered), ["is_filtered", "may_write"]);
    let rest =
        [&OBSTACLES[..], &["filter", "kernel_frame", "cpu_frame", "relies_on_place"]].concat();
    assert_eq!(questions(&auto, affected(), filtered), [&["is_filtered"], &rest[..]].concat());
    let all = [&["is_filtered", "may_write"], &rest[..]].concat();
    assert_eq!(questions(&stats, affected(), filtered), all);
    // The first obstacle ends the search.
    let sanitized = Facts { sanitizer: Some("__tsan_init"), ..filtered };
    assert_eq!(questions(&auto, affected(), sanitized), ["is_filtered", "sanitizer"]);
}

#[test]
fn the_rung_to_start_from() {
    for (altstack, value, reason) in [
        (Altstack::Auto, Rung::Lock, Reason::Default),
        (Altstack::Lock, Rung::Lock, Reason::Set),
        (Altstack::Frame, Rung::Frame, Reason::Set),
        (Altstack::Touch, Rung::Touch, Reason::Set),
        (Altstack::Off, Rung::Report, Reason::Set),
    ] {
        let config = Config { altstack, ..Config::DEFAULT };
        assert_eq!(make(&config, affected(), FACTS).start, Part { value, reason }, "{altstack:?}");
        let idle = make(&config, healthy(), FACTS).start;
        assert_eq!(idle, Part { value: Rung::Report, reason: Reason::Duty });
    }
}

#[test]
fn the_frame_and_what_follows_from_it() {
    let silent = Facts { kernel_frame: None, ..FACTS };
    for (pretended, facts, value, reason) in [
        (None, FACTS, 3376, Reason::AuxiliaryVector),
        (None, silent, 2000, Reason::Cpuid),
        (None, Facts { kernel_frame: Some(0), ..FACTS }, 2000, Reason::Cpuid),
        (Some(11_952), FACTS, 11_952, Reason::Set),
        (Some(0), FACTS, 3376, Reason::AuxiliaryVector),
    ] {
        let config = Config { frame: pretended, ..mode(Mode::On) };
        let plan = make(&config, healthy(), facts);
        assert_eq!(plan.frame, Part { value, reason });
        assert_eq!(plan.headroom, 2 * value + 2048 + arch::RED_ZONE);
        let armed = Ordinary::Armed(plan.headroom + (32 << 10));
        assert_eq!(plan.ordinary, Part { value: armed, reason: Reason::Default });
        // The frame does not matter if nothing is held or counted.
        assert_eq!(make(&Config::DEFAULT, healthy(), facts).frame.value, 0);
    }
    let absurd = Config { frame: Some(usize::MAX), ..mode(Mode::On) };
    let plan = make(&absurd, healthy(), FACTS);
    assert_eq!((plan.headroom, plan.ordinary.value), (usize::MAX, Ordinary::Armed(MOST)));
}

#[test]
fn ordinary_stacks() {
    for (stack, value) in [
        (Stack::Off, Ordinary::Off),
        (Stack::Bytes(0), Ordinary::Off),
        (Stack::Bytes(4096), Ordinary::Locked(4096)),
        (Stack::Bytes(usize::MAX), Ordinary::Locked(MOST)),
        (Stack::Full, Ordinary::Locked(MOST)),
    ] {
        let config = Config { stack, ..mode(Mode::On) };
        let plan = make(&config, healthy(), FACTS);
        assert_eq!(plan.ordinary, Part { value, reason: Reason::Set }, "{stack:?}");
        for config in [Config { mode: Mode::Observe, ..config }, mode(Mode::Auto)] {
            let plan = make(&config, healthy(), FACTS);
            assert_eq!(plan.ordinary, Part { value: Ordinary::Off, reason: Reason::Duty });
        }
    }
}

#[test]
fn forks_copy_if_that_was_asked_for() {
    for (fork, value, reason) in
        [(Fork::Auto, false, Reason::Default), (Fork::Copy, true, Reason::Set)]
    {
        let config = Config { fork, ..mode(Mode::On) };
        assert_eq!(make(&config, healthy(), FACTS).fork_copies, Part { value, reason });
    }
}

#[test]
fn waits_by_what_was_set_and_by_what_stands_in_the_way() {
    for (wait, value, reason) in [
        (Wait::Auto, Strategy::Off, Reason::WaitsAreRight),
        (Wait::Off, Strategy::Off, Reason::Set),
        (Wait::Int80, Strategy::Int80, Reason::Set),
        (Wait::TwoPhase, Strategy::TwoPhase, Reason::Set),
    ] {
        let config = Config { wait, ..Config::DEFAULT };
        let plan = make(&config, healthy(), FACTS);
        assert_eq!(plan.wait, Part { value, reason });
        assert_eq!(
            (plan.seen.waits, plan.fork_handlers),
            (value != Strategy::Off, plan.seen.waits)
        );

        // Standing down from everything includes waits.
        let on = Config { mode: Mode::On, ..config };
        let sanitized = Facts { sanitizer: Some("__asan_init"), ..FACTS };
        let plan = make(&on, healthy(), sanitized);
        assert_eq!(plan.wait, Part { value: Strategy::Off, reason: Reason::Sanitizer });
        // Only observing does not.
        assert_eq!(make(&on, gvisor(), FACTS).wait, Part { value, reason });
    }
    let retry = set(|config| config.wait_eintr = WaitEintr::Retry);
    let plan = make(&retry, healthy(), FACTS);
    assert_eq!(plan.interrupted, Part { value: Interrupted::Retry, reason: Reason::Set });
    assert!(plan.seen.waits && plan.seen.handlers && !plan.fork_handlers);
}

#[test]
fn which_messages_may_be_written() {
    let refused = Facts { filtered: true, may_write: Ok(false), ..FACTS };
    let untried = Facts { filtered: true, may_write: Err(Errno::EPERM), ..FACTS };
    let allowed = Facts { filtered: true, ..FACTS };
    for config in [set(|it| it.log = Log::Warn), set(|it| it.stats = Stats::On)] {
        for (facts, value, reason) in [
            (FACTS, Messages::All, Reason::Messages),
            (allowed, Messages::All, Reason::Messages),
            (refused, Messages::None, Reason::WriteForbidden),
            (untried, Messages::Last, Reason::WriteNotTried),
        ] {
            let plan = make(&config, healthy(), facts);
            assert_eq!(plan.messages, Part { value, reason });
            // A filter installed by the program might prevent writing lines.
            assert_eq!(plan.seen.filters, value == Messages::All);
        }
    }
    let plan = make(&Config::DEFAULT, affected(), refused);
    assert_eq!(plan.messages, Part { value: Messages::None, reason: Reason::NoMessages });
}

#[test]
fn a_bad_value_is_worth_a_line_and_a_bad_name_where_we_act() {
    let value = BadValue {
        name: b"SIGWARD_LOG",
        value: b"loud",
        accepted: Some(config::Accepted::Words("off, warn")),
    };
    let name = BadValue { name: b"SIGWARD_LOUD", value: b"1", accepted: None };
    let mut both = Bad::default();
    for bad in [name, value, name, value] {
        both.note(bad);
    }
    assert_eq!(both, Bad { value: Some(value), name: Some(name) });
    let only_name = Bad { value: None, name: Some(name) };

    let waits = set(|config| config.wait = Wait::TwoPhase);
    for (config, verdict, bad, complaint) in [
        (Config::DEFAULT, healthy(), both, Some(value)),
        (Config::DEFAULT, healthy(), only_name, None),
        (Config::DEFAULT, affected(), only_name, Some(name)),
        (waits, healthy(), only_name, Some(name)),
        (mode(Mode::Observe), healthy(), only_name, Some(name)),
        (mode(Mode::Off), affected(), both, None),
    ] {
        let plan = plan(&config, bad, || verdict, &mut { FACTS });
        assert_eq!(plan.complaint, complaint, "{config:?}");
        assert_eq!(plan.messages.value == Messages::All, complaint.is_some());
    }
}

#[test]
fn what_is_seen_of_the_programs_system_calls() {
    let nothing =
        Seen { stacks: false, handlers: false, forks: false, waits: false, filters: false };
    let stacks = Seen { stacks: true, handlers: true, forks: true, filters: true, ..nothing };
    let waits = Seen { stacks: false, waits: true, ..stacks };
    for (config, seen) in [
        (Config::DEFAULT, nothing),
        (set(|it| it.log = Log::Warn), Seen { filters: true, ..nothing }),
        (mode(Mode::Observe), stacks),
        (mode(Mode::On), stacks),
        (set(|it| it.wait = Wait::TwoPhase), waits),
        (Config { wait: Wait::TwoPhase, ..mode(Mode::On) }, Seen { waits: true, ..stacks }),
    ] {
        assert_eq!(make(&config, healthy(), FACTS).seen, seen, "{config:?}");
    }
}

#[test]
fn functions_are_looked_up_at_load_for_a_race_detector_only() {
    let kept = Facts { valgrind_tool: true, ..FACTS };
    for config in [Config::DEFAULT, mode(Mode::On), mode(Mode::Off)] {
        let lazy = make(&config, healthy(), FACTS).look_up;
        assert_eq!(lazy, Part { value: LookUp::Lazy, reason: Reason::Default });
        let eager = make(&config, healthy(), kept).look_up;
        assert_eq!(eager, Part { value: LookUp::AtLoad, reason: Reason::RaceDetector });
    }
}
