//! The constructor: environment -> config -> verdict -> policy.

use core::fmt::Write;

use log::LevelFilter;
use sigward_core::altstack::ladder::Rung;
use sigward_core::altstack::size::{self, Remedy};
use sigward_core::altstack::{self, Duty, Policy, frame, ordinary};
use sigward_core::block::names::Reason as Why;
use sigward_core::block::{self, Published};
use sigward_core::config::{self, BadValue, Config, Mode};
use sigward_core::standdown::{self, Reason};
use sigward_core::sys::line::Line;
use sigward_core::sys::startup::{Startup, is_under_valgrind};
use sigward_core::sys::{call, kernel, probe, stderr};
use sigward_core::verdict::{Standing, Verdict};
use sigward_core::wait::{Interrupted, Strategy};
use sigward_core::{log as sink, stats, wait as core_wait};

use crate::hooks::{confine, process, syscall, thread, wait};
use crate::{originals, weak};

#[used]
#[unsafe(link_section = ".init_array")]
static ON_LOAD: extern "C" fn() = on_load;

#[used]
#[unsafe(link_section = ".fini_array")]
static ON_EXIT: extern "C" fn() = stats::at_exit;

static EXIT_NOTICE: fn() = thread::ask_for_notice;

extern "C" fn on_load() {
    originals::record();
    match startup() {
        // A setuid program must not be steered by its caller's environment.
        Some(startup) if startup.auxiliary(libc::AT_SECURE).unwrap_or(0) == 0 => decide(startup),
        Some(_) => nothing(Why::SecureExecution),
        None => nothing(Why::NoEnvironment),
    }
    wait::ready();
    let (acts, waits) = (altstack::on_duty(), core_wait::acts());
    let confined = acts || waits || stderr::is_open();
    let seen = |numbers, wanted: bool| if wanted { numbers } else { &[][..] };
    syscall::ready(
        seen(syscall::ALTSTACK, acts)
            .iter()
            .chain(seen(syscall::HANDLERS, acts || waits))
            .chain(seen(process::NUMBERS, acts || waits))
            .chain(seen(wait::NUMBERS, waits))
            .chain(seen(confine::NUMBERS, confined)),
    );
    // To a tool that looks for races, what is found at its first use is one.
    if is_under_valgrind() && startup().is_some_and(keeps_books) {
        originals::find_all();
        wait::find_all();
    }
}

/// Whether the tool of valgrind that runs us is one of [`standdown::VALGRIND`]:
/// those have a library of their own preloaded, beside valgrind's. What it
/// defines is dearer to look for, and we are measured under another tool.
fn keeps_books(startup: Startup) -> bool {
    const NAME: &[u8] = b"/vgpreload_";
    startup
        .environment(b"LD_PRELOAD=")
        .any(|list| list.windows(NAME.len()).filter(|part| *part == NAME).count() > 1)
}

/// What the kernel gave this process, where libc tells us.
fn startup() -> Option<Startup> {
    if let Some(argc) = weak::libc_stack_end() {
        // SAFETY: glibc's variable points at the kernel's block.
        return Some(unsafe { Startup::from_stack(*(argc as *const *const usize)) });
    }
    // SAFETY: while constructors run, musl's `environ` points into it.
    weak::environ().map(|environ| unsafe { Startup::from_environ(environ) })
}

fn decide(startup: Startup) {
    let mut bad = Bad::default();
    let config = config::parse(startup.environment(config::PREFIX), startup.executed(), |found| {
        let kind = if found.accepted.is_some() { &mut bad.value } else { &mut bad.name };
        kind.get_or_insert(found);
    });
    if config.mode == Mode::Off {
        return nothing(Why::Set);
    }
    let verdict = kernel::judge();
    let asked = asked(&config, &verdict);
    let waits = wanted(&config) != Strategy::Off;
    // A name may be meant for somebody else: it is worth a word where we act.
    let complaint = bad.value.or(bad.name.filter(|_| waits || asked != Duty::Inert));
    let speaks =
        config.log != config::Log::Off || config.stats == config::Stats::On || complaint.is_some();
    let filtered = (speaks || asked != Duty::Inert) && !probe::unfiltered();
    let words = if speaks { find_words(filtered) } else { Words::None };
    // What stays as it is, is not written: a page of memory each.
    sink::listen(level(config.log));
    if config.stats == config::Stats::On {
        stats::wanted(true);
    }
    let obstacle = obstacle(asked, &verdict, filtered);
    let duty = obstacle.map_or(asked, |reason| asked.min(reason.leaves()));
    let why = obstacle.map_or_else(|| why(&config, &verdict), Reason::published);
    publish(&config, duty, why, startup);
    if duty != Duty::Inert {
        take_charge(&config, duty, startup);
    }
    if let Some(reason) = obstacle {
        log::warn!("standing down: {reason}; duty: {}", duty.name());
    }
    if words == Words::Last {
        stderr::close();
    }
    if let (Some(bad), true) = (complaint, stderr::is_open()) {
        complain(&bad);
    }
    if duty != Duty::Inert || asked == duty {
        choose_wait(&config);
    }
    if duty == Duty::Act || size::fixing() || core_wait::strategy() != Strategy::Off {
        process::register();
    }
    announce(&config, &verdict, duty);
}

/// Publishes that nothing is done.
fn nothing(why: Why) {
    block::publish(&Published { reason: why as u8, ..Published::default() });
}

/// Publishes what is done.
fn publish(config: &Config, duty: Duty, why: Why, startup: Startup) {
    let mut plan = Published {
        duty: duty as u8,
        reason: why as u8,
        remedy: remedy(config, duty) as u8,
        wait: wanted(config) as u8,
        interrupted: u8::from(config.wait_eintr == config::WaitEintr::Retry),
        ..Published::default()
    };
    if duty != Duty::Inert {
        frame::learn(startup, config.frame);
        plan.rung = start(config) as u8;
        (plan.frame, plan.window) = (frame::size() as u32, frame::window() as u32);
        plan.flags = if config.fork == config::Fork::Copy { block::FORK_COPIES } else { 0 };
    }
    if duty == Duty::Act {
        let (from, bytes) = match config.stack {
            config::Stack::Off => (0, 0),
            config::Stack::Auto => (1, ordinary::usual_extent()),
            config::Stack::Bytes(bytes) => (2, bytes.min(ordinary::MOST)),
            config::Stack::Full => (2, ordinary::MOST),
        };
        (plan.ordinary, plan.extent) = (from, bytes as u32);
    }
    block::publish(&plan);
}

/// Why what is asked for is asked for.
fn why(config: &Config, verdict: &Verdict) -> Why {
    match config.mode {
        Mode::Off | Mode::On | Mode::Observe => Why::Set,
        Mode::Auto if verdict.standing == Standing::Affected => Why::KernelAffected,
        Mode::Auto if verdict.acts() => Why::KernelInRange,
        Mode::Auto if remedy(config, Duty::Inert) != Remedy::None => Why::SmallStacks,
        Mode::Auto if verdict.standing == Standing::Unknown => Why::KernelUnknown,
        Mode::Auto => Why::KernelNotAffected,
    }
}

/// The rung that alternate stacks are to be held by.
fn start(config: &Config) -> Rung {
    match config.altstack {
        config::Altstack::Auto | config::Altstack::Lock => Rung::Lock,
        config::Altstack::Frame => Rung::Frame,
        config::Altstack::Touch => Rung::Touch,
        config::Altstack::Off => Rung::Report,
    }
}

/// The first of each kind that is not obeyed.
#[derive(Default)]
struct Bad {
    value: Option<BadValue<'static>>,
    name: Option<BadValue<'static>>,
}

/// What may be said.
#[derive(PartialEq, Eq)]
enum Words {
    /// Nothing.
    None,
    /// Why nothing is done, and no more.
    Last,
    /// Anything.
    All,
}

/// Opens standard error for our lines, as far as a filter lets us write them.
fn find_words(filtered: bool) -> Words {
    let words = match filtered.then(standdown::words) {
        None | Some(Ok(true)) => Words::All,
        Some(Ok(false)) => Words::None,
        // It did not kill for clone(2), so it may not kill for a write, either;
        // and nobody else will tell.
        Some(Err(_)) => Words::Last,
    };
    if words != Words::None {
        stderr::open();
    }
    words
}

/// The strategy that was asked for. Linux kernels do not have that defect:
/// `auto` is `off`.
fn wanted(config: &Config) -> Strategy {
    match config.wait {
        config::Wait::Auto | config::Wait::Off => Strategy::Off,
        config::Wait::Int80 => Strategy::Int80,
        config::Wait::TwoPhase => Strategy::TwoPhase,
    }
}

/// How the program waits for its children.
fn choose_wait(config: &Config) {
    let wanted = wanted(config);
    let interrupted = match config.wait_eintr {
        config::WaitEintr::Keep => Interrupted::Keep,
        config::WaitEintr::Retry => Interrupted::Retry,
    };
    if (wanted, interrupted) == (Strategy::Off, Interrupted::Keep) {
        return;
    }
    let (chosen, unusable) = core_wait::choose(wanted, interrupted);
    if let Some(why) = unusable {
        let (wanted, chosen) = (wanted.name(), chosen.name());
        log::warn!("SIGWARD_WAIT={wanted}: not usable here ({why}), {chosen} instead");
    }
}

fn level(level: config::Log) -> LevelFilter {
    match level {
        config::Log::Off => LevelFilter::Off,
        config::Log::Error => LevelFilter::Error,
        config::Log::Warn => LevelFilter::Warn,
        config::Log::Info => LevelFilter::Info,
        config::Log::Debug => LevelFilter::Debug,
        config::Log::Trace => LevelFilter::Trace,
    }
}

/// What the environment and the kernel ask for.
fn asked(config: &Config, verdict: &Verdict) -> Duty {
    match config.mode {
        Mode::On => Duty::Act,
        Mode::Auto if verdict.acts() => Duty::Act,
        Mode::Observe => Duty::Observe,
        // Too small is too small on every kernel.
        Mode::Auto if remedy(config, Duty::Inert) != Remedy::None => Duty::Observe,
        Mode::Off | Mode::Auto => Duty::Inert,
    }
}

/// Why less than `asked` is to be done in this process, if so. Costs nothing
/// where nothing is asked for.
fn obstacle(asked: Duty, verdict: &Verdict, filtered: bool) -> Option<Reason> {
    if asked == Duty::Inert {
        return None;
    }
    if let Some(name) = originals::first_defined(&standdown::SANITIZERS, true) {
        return Some(Reason::Sanitizer(name));
    }
    if originals::first_defined(&standdown::VALGRIND, true).is_some() {
        return Some(Reason::Valgrind);
    }
    if let Some(name) = originals::first_defined(&standdown::OVERRIDES, false) {
        return Some(Reason::Overridden(name));
    }
    if verdict.gvisor {
        return Some(Reason::Gvisor);
    }
    // Without a place for errno this is no libc that we know.
    if originals::get(originals::Id::__errno_location).is_none() {
        return Some(Reason::UnknownLibc);
    }
    if filtered { standdown::filter() } else { None }
}

/// What to do about stacks that are too small: where nothing was said, they
/// are told of if we are at work anyway.
fn remedy(config: &Config, duty: Duty) -> Remedy {
    match config.small_stacks {
        config::SmallStacks::Auto if duty == Duty::Act => Remedy::Report,
        config::SmallStacks::Auto | config::SmallStacks::Off => Remedy::None,
        config::SmallStacks::Report => Remedy::Report,
        config::SmallStacks::Fix => Remedy::Fix,
    }
}

fn take_charge(config: &Config, duty: Duty, startup: Startup) {
    thread::make_key();
    let main = ordinary::main_stack(startup.stack_end());
    let fork_copies = config.fork == config::Fork::Copy;
    let policy = Policy { start: start(config), window: frame::window(), main, fork_copies };
    altstack::take_charge(duty, policy, &EXIT_NOTICE);
    size::take_charge(remedy(config, duty));
    if duty == Duty::Act {
        match config.stack {
            config::Stack::Off => {}
            config::Stack::Auto => ordinary::take_charge(None),
            config::Stack::Bytes(bytes) => ordinary::take_charge(Some(bytes)),
            config::Stack::Full => ordinary::take_charge(Some(ordinary::MOST)),
        }
        if ordinary::wanted() {
            ordinary::adopt_main(main);
        }
    }
    // Somebody's constructor may have been faster.
    altstack::adopt_current();
}

/// The one line that is written without being asked for: the user set a
/// variable and it is not obeyed.
fn complain(bad: &BadValue<'_>) {
    let mut line = Line::default();
    // Writing to a `Line` cannot fail.
    let _ = write!(line, "sigward[{}]: ignored: {bad}", call::getpid());
    line.emit();
}

fn announce(config: &Config, verdict: &Verdict, duty: Duty) {
    if !log::log_enabled!(log::Level::Info) {
        return;
    }
    for (name, value) in config.describe() {
        log::info!("{name}={value}");
    }
    log::info!(
        "kernel {} (`sigward check` says why); duty: {}; signal frame: {} bytes",
        verdict.standing,
        duty.name(),
        frame::size()
    );
}
