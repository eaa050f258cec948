//! The constructor: gather, plan, publish, obey.

use core::fmt::Write;

use log::LevelFilter;
use sigward_core::config::{self, BadValue, Config, Inherit};
use sigward_core::os::line::Line;
use sigward_core::os::startup::Startup;
use sigward_core::os::{call, kernel_texts, stderr};
use sigward_core::plan::{
    self, Depth, Duty, Interrupted, LookUp, Messages, Ordinary, Plan, Reason, Remedy, Strategy,
};
use sigward_core::residency::{self, Policy, frame, ordinary_stacks};
use sigward_core::small_stacks::{self, depth, every_thread, onstack};
use sigward_core::state::published_block::{self, Published};
use sigward_core::{log as sink, summary, wait as core_wait};

use crate::hooks::{fork, seccomp, signal, syscall, thread, wait};
use crate::originals;
use crate::process_facts::ThisProcess;

#[used]
#[unsafe(link_section = ".init_array")]
static ON_LOAD: extern "C" fn() = on_load;

#[used]
#[unsafe(link_section = ".fini_array")]
static ON_EXIT: extern "C" fn() = on_exit;

static EXIT_NOTICE: fn() = thread::request_exit_notice;

extern "C" fn on_exit() {
    depth::at_exit();
    summary::at_exit();
}

extern "C" fn on_load() {
    originals::record();
    let mut process = ThisProcess::read();
    let (config, bad) = process.settings();
    let plan = plan::plan(&config, bad, kernel_texts::judge, &mut process);
    if config.inherit == Inherit::Off {
        leave_preload(process.startup);
    }
    published_block::publish(&Published::from(&plan));
    obey(&plan, process.startup);
    log_plan(&config, &plan);
}

/// Programs that this one starts shall not get the library. The entry stays, for
/// who counts entries.
fn leave_preload(startup: Option<Startup>) {
    // SAFETY: the loader has read it, and the program does not run yet.
    if let Some(value) = startup.and_then(|it| unsafe { it.value_mut(b"LD_PRELOAD=") }) {
        config::preload::take_out_ours(value);
    }
}

fn obey(plan: &Plan<'_>, startup: Option<Startup>) {
    enable_messages(plan);
    if plan.frame.reason == Reason::Set {
        frame::pretend(plan.frame.value);
    }
    frame::learn(plan.frame.value);
    if let (Some(startup), true) = (startup, plan.duty.value != Duty::Inert) {
        hold_stacks(plan, startup);
    } else if plan.small_stacks.value != Remedy::None {
        small_stacks::take_charge(plan.small_stacks.value, plan.room, false);
    }
    if let Some(obstacle) = plan.obstacle {
        log::warn!("standing down: {obstacle}; duty: {}", plan.duty.value.name());
    }
    if plan.messages.value == Messages::Last {
        stderr::close();
    }
    if let (Some(bad), true) = (&plan.complaint, stderr::is_open()) {
        report_bad_setting(bad);
    }
    choose_wait(plan.wait.value, plan.interrupted.value);
    if plan.fork_handlers {
        fork::register();
    }
    wait::ready();
    watch_calls(plan);
    if plan.look_up.value == LookUp::AtLoad {
        originals::find_all();
        wait::find_all();
    }
}

/// Enables the messages that the plan allows. Does not write a variable that
/// keeps its value: each write may cost a page of memory.
fn enable_messages(plan: &Plan<'_>) {
    if plan.messages.value == Messages::None {
        return;
    }
    stderr::open();
    sink::listen(match plan.level {
        config::Log::Off => LevelFilter::Off,
        config::Log::Warn => LevelFilter::Warn,
        config::Log::Info => LevelFilter::Info,
        config::Log::Debug => LevelFilter::Debug,
    });
    if plan.stats {
        summary::wanted(true);
    }
}

/// Holds signal stacks from now on.
fn hold_stacks(plan: &Plan<'_>, startup: Startup) {
    thread::make_key();
    let main = ordinary_stacks::main_stack(startup.stack_end());
    let policy = Policy {
        start: plan.start.value,
        headroom: plan.headroom,
        main,
        fork_copies: plan.fork_copies.value,
    };
    residency::take_charge(plan.duty.value, policy, &EXIT_NOTICE);
    small_stacks::take_charge(plan.small_stacks.value, plan.room, plan.names_memory);
    if plan.small_stacks.value == Remedy::Fix {
        small_stacks::objects_are_known(&(originals::is_static as fn(_) -> _));
    }
    ordinary_stacks::take_charge(plan.ordinary.value);
    if plan.ordinary.value != Ordinary::Off {
        ordinary_stacks::adopt_main(main);
    }
    // Another constructor may have installed a stack before us.
    residency::adopt_current();
    onstack::take_charge(plan.onstack.value);
    thread::make_room(plan.thread_stack_min.value);
    every_thread::take_charge(plan.altstack_all.value, plan.depth.value, warns(plan));
    if plan.depth.value != Depth::Off {
        signal::watch_overflows(startup.executed());
    }
}

/// Chooses how the program waits for its children.
fn choose_wait(wanted: Strategy, interrupted: Interrupted) {
    if (wanted, interrupted) == (Strategy::Off, Interrupted::Keep) {
        return;
    }
    let (chosen, unusable) = core_wait::take_charge(wanted, interrupted);
    if let Some(why) = unusable {
        let (wanted, chosen) = (wanted.name(), chosen.name());
        log::warn!("SIGWARD_WAIT={wanted} is not usable: {why}; using {chosen}");
    }
}

/// Whether what an operator should know is told.
fn warns(plan: &Plan<'_>) -> bool {
    plan.messages.value == Messages::All && plan.level != config::Log::Off
}

/// Selects the calls that are watched in syscall(2).
fn watch_calls(plan: &Plan<'_>) {
    let seen = plan.seen;
    let numbers = |numbers, wanted: bool| if wanted { numbers } else { &[][..] };
    syscall::ready(
        numbers(syscall::ALTSTACK, seen.stacks)
            .iter()
            .chain(numbers(syscall::HANDLERS, seen.handlers))
            .chain(numbers(fork::NUMBERS, seen.forks))
            .chain(numbers(wait::NUMBERS, seen.waits))
            .chain(numbers(syscall::FEATURES, seen.stacks && warns(plan)))
            .chain(numbers(seccomp::NUMBERS, seen.filters)),
    );
}

/// Writes the only line that is on by default: the user set a variable that is
/// not obeyed.
fn report_bad_setting(bad: &BadValue<'_>) {
    let mut line = Line::default();
    // Writing to a `Line` cannot fail.
    let _ = write!(line, "sigward[{}]: ignored: {bad}", call::getpid());
    line.emit();
}

fn log_plan(config: &Config, plan: &Plan<'_>) {
    let Some(standing) = plan.kernel.filter(|_| log::log_enabled!(log::Level::Info)) else {
        return;
    };
    for (name, value) in config.describe() {
        log::info!("{name}={value}");
    }
    log::info!(
        "kernel {standing} (`sigward check` says why); duty: {}; signal frame: {} bytes",
        plan.duty.value.name(),
        frame::size()
    );
}
