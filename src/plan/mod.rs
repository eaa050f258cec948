//! What to do in a process, and why: one value, made by one pure function.
//!
//! [`plan`] takes the user's settings, the kernel's verdict, and answers about
//! the process. The library obeys the plan, the command prints it, and the
//! tests are tables of plans; nothing else decides. The mechanisms report what
//! they find out later, such as a refused lock or an `int 0x80` that does not
//! work.
//!
//! Some questions cost system calls, a child, or a walk over all loaded
//! objects. So they come as a trait, [`Process`]: each is asked only where its
//! answer matters, and at most once. [`Facts`] has the answers as plain values,
//! to make a plan for another process.

pub mod freebsd;
pub mod names;
mod parts;
mod process;
mod reason;
mod room;

use crate::arch;
use crate::config::{self, BadValue, Config, Mode};
use crate::verdict::{Standing, Verdict};
pub use parts::{
    Depth, Duty, Interrupted, LookUp, Messages, Ordinary, Part, Remedy, Rung, Seen, Strategy,
};
pub use process::{Environment, Facts, Obstacle, Process};
pub use reason::Reason;
pub use room::needed;

/// What to do in one process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Plan<'a> {
    /// What the kernel is; `None` if nothing depends on it, so it was not asked
    /// for.
    pub kernel: Option<Standing>,
    /// What the hooks do about signal stacks.
    pub duty: Part<Duty>,
    /// Why less is done than was asked for, if that is so.
    pub obstacle: Option<Obstacle>,
    /// The rung to start from for alternate stacks.
    pub start: Part<Rung>,
    /// Bytes of the largest signal frame; 0 if it does not matter.
    pub frame: Part<usize>,
    /// Bytes that frames need at the top of a stack; 0 if it does not matter.
    pub headroom: usize,
    /// Whether a fork also copies other threads' alternate stacks.
    pub fork_copies: Part<bool>,
    /// What is done about threads' own stacks.
    pub ordinary: Part<Ordinary>,
    /// What is done about alternate stacks that are too small.
    pub small_stacks: Part<Remedy>,
    /// Bytes that handlers need beside their frames.
    pub room: usize,
    /// Whether memory of ours gets a name, by a call that no filter forbids.
    pub names_memory: bool,
    /// Whether every thread gets an alternate stack.
    pub altstack_all: Part<bool>,
    /// Whose handlers get `SA_ONSTACK`.
    pub onstack: Part<config::Signals>,
    /// The least size of a new thread's stack, in bytes; 0 for any.
    pub thread_stack_min: Part<usize>,
    /// Whose alternate stacks are measured.
    pub depth: Part<Depth>,
    /// How waits are carried out, if the mechanism works.
    pub wait: Part<Strategy>,
    /// What an interrupted wait does.
    pub interrupted: Part<Interrupted>,
    /// What may be written to standard error.
    pub messages: Part<Messages>,
    /// The most detailed level of messages.
    pub level: config::Log,
    /// Whether the line of counts is written at exit.
    pub stats: bool,
    /// The setting that is ignored, if that deserves a message.
    pub complaint: Option<BadValue<'a>>,
    /// What is checked in syscall(2).
    pub seen: Seen,
    /// Whether fork handlers are registered.
    pub fork_handlers: bool,
    /// When the functions behind the hooks are looked up.
    pub look_up: Part<LookUp>,
}

/// The first ignored setting of each kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bad<'a> {
    /// A value that is not accepted.
    pub value: Option<BadValue<'a>>,
    /// A name that no variable has. It may be meant for something else, so it
    /// only deserves a message if we act.
    pub name: Option<BadValue<'a>>,
}

impl<'a> Bad<'a> {
    /// Adds one more.
    pub fn note(&mut self, found: BadValue<'a>) {
        let kind = if found.accepted.is_some() { &mut self.value } else { &mut self.name };
        kind.get_or_insert(found);
    }
}

/// Room for a handler's own variables between its frame and one nested in it.
const HANDLER: usize = 2048;
/// Bytes that handlers need on an alternate stack beside two frames, if nobody
/// says otherwise. The .NET run-time's handlers use 15.4 KiB with a frame of
/// 3.4 KiB (dotnet/runtime#127320), libunwind needs more than 20 KiB for a
/// backtrace (libunwind#935).
pub const ROOM: usize = 24 << 10;
/// How deep in its stack a thread may be, in bytes, for a signal's frame to
/// land in the part that is held by default.
const DEPTH: usize = 32 << 10;
/// The most of one ordinary stack that is held, in bytes. Holding a whole stack
/// uses its memory, and a stack may be as large as the machine.
const MOST: usize = 64 << 20;

/// Bytes at the top of a stack that must not fault: a frame of `frame` bytes,
/// what its handler uses, and one frame nested in it.
#[must_use]
pub const fn headroom(frame: usize) -> usize {
    frame.saturating_mul(2).saturating_add(HANDLER + arch::RED_ZONE)
}

/// Bytes to hold below a thread's start by default: for its depth and two
/// frames.
#[must_use]
pub const fn usual_extent(frame: usize) -> usize {
    headroom(frame).saturating_add(DEPTH)
}

/// Makes the plan for a process with these settings. Asks for the verdict only
/// if it matters. Async-signal-safe if its arguments are.
pub fn plan<'a>(
    config: &Config,
    bad: Bad<'a>,
    verdict: impl FnOnce() -> Verdict,
    process: &mut impl Process,
) -> Plan<'a> {
    let mut plan = match left_alone(config, process.environment()) {
        Some(reason) => Plan::idle(reason),
        None => plan_work(config, bad, verdict(), process),
    };
    if process.runs_under_valgrind_tool() {
        plan.look_up = Part::new(LookUp::AtLoad, Reason::RaceDetector);
        if plan.duty.value == Duty::Inert {
            plan.small_stacks = Part::new(Remedy::None, Reason::Valgrind);
        }
    }
    plan
}

/// Why to leave the process alone, if that is so.
fn left_alone(config: &Config, environment: Environment) -> Option<Reason> {
    match environment {
        Environment::Missing => Some(Reason::NoEnvironment),
        Environment::Secure => Some(Reason::SecureExecution),
        Environment::Trusted if config.excluded => Some(Reason::Excluded),
        Environment::Trusted if config.mode == Mode::Off => Some(Reason::Set),
        Environment::Trusted => None,
    }
}

fn plan_work<'a>(
    config: &Config,
    bad: Bad<'a>,
    verdict: Verdict,
    process: &mut impl Process,
) -> Plan<'a> {
    let mut plan = Plan::idle(Reason::Undecided);
    plan.kernel = Some(verdict.standing);
    plan.duty = asked(config, &verdict);
    (plan.wait, plan.interrupted) = waits(config);
    plan.room = config.room.unwrap_or(ROOM);
    let asked = plan.duty.value;

    plan.complaint =
        bad.value.or(bad.name.filter(|_| asked != Duty::Inert || plan.wait.value != Strategy::Off));
    plan.level = config.log;
    plan.stats = config.stats == config::Stats::On;
    let measures = config.depth != config::Depth::Off && asked != Duty::Inert;
    let speaks =
        plan.level != config::Log::Off || plan.stats || measures || plan.complaint.is_some();
    let filtered = (speaks || asked != Duty::Inert) && process.is_filtered();
    plan.messages = messages(speaks, filtered, process);

    if asked != Duty::Inert {
        plan.obstacle = obstacle(&verdict, filtered, process);
        if let Some(obstacle) = plan.obstacle {
            plan.duty = Part::new(asked.min(obstacle.leaves()), obstacle.reason());
        }
        if plan.duty.value == Duty::Inert {
            plan.wait = Part::new(Strategy::Off, plan.duty.reason);
            plan.interrupted = Part::new(Interrupted::Keep, plan.duty.reason);
        } else {
            plan.names_memory = !filtered;
            plan.hold(config, process);
        }
    } else if config.mode == Mode::Auto {
        plan.mend_certain(config);
    }
    plan.watch();
    plan
}

/// The duty that the environment and the kernel ask for.
fn asked(config: &Config, verdict: &Verdict) -> Part<Duty> {
    match config.mode {
        Mode::On => Part::new(Duty::Act, Reason::Set),
        Mode::Observe => Part::new(Duty::Observe, Reason::Set),
        Mode::Off => Part::new(Duty::Inert, Reason::Set),
        Mode::Auto if verdict.acts() => match verdict.standing {
            Standing::Affected => Part::new(Duty::Act, Reason::KernelAffected),
            _ => Part::new(Duty::Act, Reason::KernelInRange),
        },
        Mode::Auto if asks_for_remedy(config) || room::asked(config) => {
            Part::new(Duty::Observe, Reason::SmallStacks)
        }
        Mode::Auto => match verdict.standing {
            Standing::Unknown => Part::new(Duty::Inert, Reason::KernelUnknown),
            _ => Part::new(Duty::Inert, Reason::KernelNotAffected),
        },
    }
}

/// Whether small stacks alone are a reason to act: a stack that is too small is
/// too small on every kernel.
fn asks_for_remedy(config: &Config) -> bool {
    matches!(config.small_stacks, config::SmallStacks::Report | config::SmallStacks::Fix)
}

/// The wait strategy that was asked for. Linux kernels do not have that defect,
/// so `auto` is `off`.
fn waits(config: &Config) -> (Part<Strategy>, Part<Interrupted>) {
    let strategy = match config.wait {
        config::Wait::Auto => Part::new(Strategy::Off, Reason::WaitsAreRight),
        config::Wait::Off => Part::new(Strategy::Off, Reason::Set),
        config::Wait::Int80 => Part::new(Strategy::Int80, Reason::Set),
        config::Wait::TwoPhase => Part::new(Strategy::TwoPhase, Reason::Set),
    };
    let interrupted = match config.wait_eintr {
        config::WaitEintr::Keep => Part::new(Interrupted::Keep, Reason::Default),
        config::WaitEintr::Retry => Part::new(Interrupted::Retry, Reason::Set),
    };
    (strategy, interrupted)
}

fn messages(speaks: bool, filtered: bool, process: &mut impl Process) -> Part<Messages> {
    if !speaks {
        return Part::new(Messages::None, Reason::NoMessages);
    }
    match filtered.then(|| process.may_write()) {
        None | Some(Ok(true)) => Part::new(Messages::All, Reason::Messages),
        Some(Ok(false)) => Part::new(Messages::None, Reason::WriteForbidden),
        // The filter did not kill the process for clone(2), so it may not kill
        // it for a write either; and nothing else would report this.
        Some(Err(_)) => Part::new(Messages::Last, Reason::WriteNotTried),
    }
}

/// Why to do less than was asked for, if that is so.
fn obstacle(verdict: &Verdict, filtered: bool, process: &mut impl Process) -> Option<Obstacle> {
    if let Some(name) = process.sanitizer() {
        return Some(Obstacle::Sanitizer(name));
    }
    if process.has_valgrind_tool() {
        return Some(Obstacle::Valgrind);
    }
    if let Some(name) = process.overridden() {
        return Some(Obstacle::Overridden(name));
    }
    if verdict.gvisor {
        return Some(Obstacle::Gvisor);
    }
    if !process.is_libc_known() {
        return Some(Obstacle::UnknownLibc);
    }
    if filtered { process.filter() } else { None }
}

impl Plan<'_> {
    /// A plan to do nothing, for this reason.
    const fn idle(reason: Reason) -> Self {
        Plan {
            kernel: None,
            duty: Part::new(Duty::Inert, reason),
            obstacle: None,
            start: Part::new(Rung::Report, Reason::Duty),
            frame: Part::new(0, Reason::Duty),
            headroom: 0,
            fork_copies: Part::new(false, Reason::Duty),
            ordinary: Part::new(Ordinary::Off, Reason::Duty),
            small_stacks: Part::new(Remedy::None, Reason::Duty),
            room: 0,
            names_memory: false,
            altstack_all: Part::new(false, Reason::Duty),
            onstack: Part::new(config::Signals::NONE, Reason::Duty),
            thread_stack_min: Part::new(0, Reason::Duty),
            depth: Part::new(Depth::Off, Reason::Duty),
            wait: Part::new(Strategy::Off, Reason::Duty),
            interrupted: Part::new(Interrupted::Keep, Reason::Duty),
            messages: Part::new(Messages::None, Reason::Duty),
            level: config::Log::Off,
            stats: false,
            complaint: None,
            seen: Seen {
                stacks: false,
                handlers: false,
                forks: false,
                waits: false,
                filters: false,
            },
            fork_handlers: false,
            look_up: Part::new(LookUp::Lazy, Reason::Default),
        }
    }

    /// Fills in the parts that matter if stacks are watched.
    fn hold(&mut self, config: &Config, process: &mut impl Process) {
        let acts = self.duty.value == Duty::Act;
        self.frame = match config.frame.filter(|bytes| *bytes > 0) {
            Some(bytes) => Part::new(bytes, Reason::Set),
            None => match process.kernel_frame().filter(|bytes| *bytes > 0) {
                Some(bytes) => Part::new(bytes, Reason::AuxiliaryVector),
                None => Part::new(process.cpu_frame(), Reason::Cpuid),
            },
        };
        self.headroom = headroom(self.frame.value);
        let may_change = config.mode != Mode::Observe && self.obstacle.is_none();
        self.small_stacks = match config.small_stacks {
            config::SmallStacks::Auto if may_change => Part::new(Remedy::Certain, Reason::Default),
            config::SmallStacks::Auto => Part::new(Remedy::None, Reason::Duty),
            config::SmallStacks::Off => Part::new(Remedy::None, Reason::Set),
            config::SmallStacks::Report => Part::new(Remedy::Report, Reason::Set),
            config::SmallStacks::Fix => Part::new(Remedy::Fix, Reason::Set),
        };
        let replaces = matches!(self.small_stacks.value, Remedy::Fix | Remedy::Certain);
        if replaces && process.relies_on_place() {
            self.small_stacks = Part::new(Remedy::Report, Reason::PlaceMatters);
        }
        if may_change {
            self.make_room(config);
        }
        if !acts {
            return;
        }
        self.start = match config.altstack {
            config::Altstack::Auto => Part::new(Rung::Lock, Reason::Default),
            config::Altstack::Lock => Part::new(Rung::Lock, Reason::Set),
            config::Altstack::Frame => Part::new(Rung::Frame, Reason::Set),
            config::Altstack::Touch => Part::new(Rung::Touch, Reason::Set),
            config::Altstack::Off => Part::new(Rung::Report, Reason::Set),
        };
        self.fork_copies = match config.fork {
            config::Fork::Auto => Part::new(false, Reason::Default),
            config::Fork::Copy => Part::new(true, Reason::Set),
        };
        let usual = usual_extent(self.frame.value);
        self.ordinary = match config.stack {
            config::Stack::Auto => Part::new(Ordinary::Armed(usual.min(MOST)), Reason::Default),
            config::Stack::Off | config::Stack::Bytes(0) => Part::new(Ordinary::Off, Reason::Set),
            config::Stack::Bytes(bytes) => {
                Part::new(Ordinary::Locked(bytes.min(MOST)), Reason::Set)
            }
            config::Stack::Full => Part::new(Ordinary::Locked(MOST), Reason::Set),
        };
    }

    /// Fills in what is done about small stacks where nothing else is done. That
    /// prepares nothing: the first such stack asks for what it needs.
    fn mend_certain(&mut self, config: &Config) {
        self.small_stacks = match config.small_stacks {
            config::SmallStacks::Auto => Part::new(Remedy::Certain, Reason::Default),
            _ => Part::new(Remedy::None, Reason::Set),
        };
        // Otherwise the processor is asked, at the first small stack.
        if let Some(bytes) = config.frame.filter(|bytes| *bytes > 0) {
            self.frame = Part::new(bytes, Reason::Set);
        }
    }

    /// Derives what to hook from the rest.
    fn watch(&mut self) {
        let stacks = self.duty.value != Duty::Inert;
        let reaps = self.wait.value != Strategy::Off;
        let waits = reaps || self.interrupted.value == Interrupted::Retry;
        self.seen = Seen {
            stacks,
            handlers: stacks || waits,
            forks: stacks || waits,
            waits,
            filters: stacks || waits || self.messages.value == Messages::All,
        };
        let fixes = self.small_stacks.value == Remedy::Fix;
        let gives = self.altstack_all.value || self.depth.value != Depth::Off;
        self.fork_handlers = self.duty.value == Duty::Act || fixes || gives || reaps;
    }
}

#[cfg(test)]
mod tests;
