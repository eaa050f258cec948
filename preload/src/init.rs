//! The constructor: environment -> config -> verdict -> policy.

use core::fmt::Write;

use log::LevelFilter;
use sigward_core::altstack::ladder::Rung;
use sigward_core::altstack::size::{self, Remedy};
use sigward_core::altstack::{self, Duty, Policy, frame, ordinary};
use sigward_core::config::{self, BadValue, Config, Mode};
use sigward_core::standdown::{self, Reason};
use sigward_core::sys::line::Line;
use sigward_core::sys::startup::Startup;
use sigward_core::sys::{call, kernel};
use sigward_core::verdict::Verdict;
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
        _ => {}
    }
    wait::ready();
    let (acts, waits) = (altstack::on_duty(), core_wait::acts());
    let seen = |numbers, wanted: bool| if wanted { numbers } else { &[][..] };
    syscall::ready(
        seen(syscall::ALTSTACK, acts)
            .iter()
            .chain(seen(syscall::HANDLERS, acts || waits))
            .chain(seen(wait::NUMBERS, waits))
            .chain(seen(confine::NUMBERS, acts || waits)),
    );
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
    let mut first_bad = None;
    let config = config::parse(startup.environment(config::PREFIX), startup.executed(), |bad| {
        first_bad.get_or_insert(bad);
    });
    if config.mode == Mode::Off {
        return;
    }
    if let Some(bad) = first_bad {
        complain(&bad);
    }
    // What stays as it is, is not written: a page of memory each.
    sink::listen(level(config.log));
    if config.stats == config::Stats::On {
        stats::wanted(true);
    }
    let verdict = kernel::judge();
    let asked = asked(&config, &verdict);
    let obstacle = obstacle(asked, &verdict);
    let duty = obstacle.map_or(asked, |reason| asked.min(reason.leaves()));
    if duty != Duty::Inert {
        stats::on_duty(duty);
    }
    if duty != Duty::Inert {
        take_charge(&config, duty, startup);
    }
    if let Some(reason) = obstacle {
        tell(reason, duty);
    }
    if duty != Duty::Inert || asked == duty {
        choose_wait(&config);
    }
    if duty == Duty::Act || size::fixing() || core_wait::strategy() != Strategy::Off {
        process::register();
    }
    announce(&config, &verdict, duty);
}

/// How the program waits for its children. Linux kernels do not have that
/// defect: `auto` is `off`, a strategy is in force only if it was asked for.
fn choose_wait(config: &Config) {
    let wanted = match config.wait {
        config::Wait::Auto | config::Wait::Off => Strategy::Off,
        config::Wait::Int80 => Strategy::Int80,
        config::Wait::TwoPhase => Strategy::TwoPhase,
    };
    let interrupted = match config.wait_eintr {
        config::WaitEintr::Keep => Interrupted::Keep,
        config::WaitEintr::Retry => Interrupted::Retry,
    };
    if (wanted, interrupted) == (Strategy::Off, Interrupted::Keep) {
        return;
    }
    let chosen = core_wait::choose(wanted, interrupted);
    if chosen != wanted {
        log::warn!("SIGWARD_WAIT={}: not usable here, {} instead", wanted.name(), chosen.name());
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

/// Tells why less is done than was asked for.
fn tell(reason: Reason, duty: Duty) {
    if !reason.silences() {
        log::warn!("standing down: {reason}; duty: {}", duty.name());
        return;
    }
    if log::log_enabled!(log::Level::Warn) {
        let mut line = Line::default();
        // Writing to a `Line` cannot fail.
        let _ = write!(line, "sigward WARN: standing down: {reason}; duty: {}", duty.name());
        line.emit();
    }
    log::set_max_level(LevelFilter::Off);
    stats::wanted(false);
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
fn obstacle(asked: Duty, verdict: &Verdict) -> Option<Reason> {
    if asked == Duty::Inert {
        return None;
    }
    if let Some(name) = originals::first_defined(&standdown::SANITIZERS, true) {
        return Some(Reason::Sanitizer(name));
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
    standdown::filter()
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
    let start = match config.altstack {
        config::Altstack::Auto | config::Altstack::Lock => Rung::Lock,
        config::Altstack::Frame => Rung::Frame,
        config::Altstack::Touch => Rung::Touch,
        config::Altstack::Off => Rung::Report,
    };
    frame::learn(startup, config.frame);
    thread::make_key();
    let main = ordinary::main_stack(startup.stack_end());
    altstack::take_charge(duty, Policy { start, window: frame::window(), main }, &EXIT_NOTICE);
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
