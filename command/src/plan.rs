//! The plan in words: what the library would do in a program, and why.

use serde::{Serialize, Serializer};
use serde_json::Value;
use sigward::arch;
use sigward::config::{self, Config};
use sigward::os::errno::Errno;
use sigward::os::trials;
use sigward::plan::{
    self, Bad, Depth, Duty, Environment, Facts, Interrupted, LookUp, Messages, Obstacle, Ordinary,
    Plan, Process, Reason, Remedy,
};
use sigward::residency::frame;
use sigward::standdown;
use sigward::verdict::Verdict;

/// A plan, ready to print. As JSON, an object with a member for each part. The names are
/// an interface: add, do not rename.
pub struct PlanReport {
    rows: Vec<(&'static str, Row)>,
}

/// One part of the plan.
#[derive(Serialize)]
struct Row {
    value: Value,
    #[serde(skip_serializing_if = "Option::is_none")]
    bytes: Option<usize>,
    because: String,
    /// Whether the text has a line for it.
    #[serde(skip)]
    matters: bool,
}

impl Row {
    /// A part without a reason of its own.
    fn implied(value: Value, matters: bool, because: &str) -> Self {
        Row { value, bytes: None, because: because.to_owned(), matters }
    }
}

/// Whether the library would make stacks resident on a kernel with this verdict, in a
/// process about which nothing else is known.
pub fn acts(config: &Config, verdict: impl FnOnce() -> Verdict) -> bool {
    // The size of a frame decides nothing here, and CPUID is slow in a virtual machine.
    let mut facts = Facts::plain(None, 0);
    plan::plan(config, Bad::default(), verdict, &mut facts).duty.value == Duty::Act
}

impl PlanReport {
    /// What the library would do in a program that this process becomes.
    pub fn of_next_program(config: &Config, bad: Bad<'_>, verdict: Verdict) -> Self {
        Self::of(config, &plan::plan(config, bad, || verdict, &mut NextProgram))
    }

    /// What the library would do on another machine.
    pub fn elsewhere(config: &Config, bad: Bad<'_>, verdict: Verdict) -> Self {
        let mut facts = Facts::plain(None, arch::largest_frame());
        Self::of(config, &plan::plan(config, bad, || verdict, &mut facts))
    }

    fn of(config: &Config, plan: &Plan<'_>) -> Self {
        let mut report = PlanReport { rows: Vec::new() };
        let part = |value: Value, reason, variable| {
            let because = because(reason, variable, config, plan);
            Row { value, bytes: None, because, matters: reason != Reason::Duty }
        };
        let mut add = |name, row| report.rows.push((name, row));
        add("duty", part(plan.duty.value.name().into(), plan.duty.reason, "SIGWARD"));
        let rung = plan.start.value.name().into();
        add("rung", part(rung, plan.start.reason, "SIGWARD_ALTSTACK"));
        add("frame", part(plan.frame.value.into(), plan.frame.reason, "SIGWARD_FRAME"));
        let why = "two frames, and the stack that the first frame's handler may use";
        add("window", Row::implied(plan.headroom.into(), plan.headroom > 0, why));
        let fork = if plan.fork_copies.value { "copy" } else { "wipe" };
        add("fork", part(fork.into(), plan.fork_copies.reason, "SIGWARD_FORK"));
        let (stacks, bytes) = match plan.ordinary.value {
            Ordinary::Off => ("off", None),
            Ordinary::Armed(bytes) => ("armed", Some(bytes)),
            Ordinary::Locked(bytes) => ("locked", Some(bytes)),
        };
        let stacks = part(stacks.into(), plan.ordinary.reason, "SIGWARD_STACK");
        add("ordinary_stacks", Row { bytes, ..stacks });
        let remedy = match plan.small_stacks.value {
            Remedy::None => "off",
            Remedy::Report => "report",
            Remedy::Fix => "fix",
            Remedy::Certain => "certain",
        };
        add("small_stacks", part(remedy.into(), plan.small_stacks.reason, "SIGWARD_SIZE"));
        // Only told where they were asked for.
        let wish = |value, reason, variable| Row {
            matters: reason == Reason::Set,
            ..part(value, reason, variable)
        };
        let all = plan.altstack_all;
        add("altstack_all", wish(all.value.into(), all.reason, "SIGWARD_ALTSTACK_ALL"));
        let signals = plan.onstack.value.to_string();
        add("onstack", wish(signals.into(), plan.onstack.reason, "SIGWARD_ONSTACK"));
        let least = plan.thread_stack_min;
        add("thread_stack_min", wish(least.value.into(), least.reason, "SIGWARD_THREAD_STACK_MIN"));
        let depth = match plan.depth.value {
            Depth::Off => "off",
            Depth::Ours => "of sigward's stacks",
            Depth::All => "of all stacks",
        };
        add("depth", wish(depth.into(), plan.depth.reason, "SIGWARD_DEPTH"));
        add("wait", part(plan.wait.value.name().into(), plan.wait.reason, "SIGWARD_WAIT"));
        let interrupted = match plan.interrupted.value {
            Interrupted::Keep => "keep",
            Interrupted::Retry => "retry",
        };
        let reason = plan.interrupted.reason;
        add("interrupted_wait", part(interrupted.into(), reason, "SIGWARD_WAIT_EINTR"));
        let words = match plan.messages.value {
            Messages::None => "none",
            Messages::Last => "last",
            Messages::All => "all",
        };
        add("messages", part(words.into(), plan.messages.reason, ""));
        let has_messages = plan.messages.value != Messages::None;
        add("log", Row::implied(plan.level.as_str().into(), has_messages, "SIGWARD_LOG"));
        add("stats", Row::implied(plan.stats.into(), has_messages, "SIGWARD_STATS"));
        let complaint = plan.complaint.map(|bad| bad.to_string());
        let (is_shown, why) = (complaint.is_some(), "the default is used");
        add("complaint", Row::implied(complaint.into(), is_shown, why));
        let seen = [
            ("stacks", plan.seen.stacks),
            ("handlers", plan.seen.handlers),
            ("forks", plan.seen.forks),
            ("waits", plan.seen.waits),
            ("filters", plan.seen.filters),
        ];
        let seen: Vec<&str> = seen.iter().filter(|(_, is)| *is).map(|(name, _)| *name).collect();
        let (sees, why) = (!seen.is_empty(), "the calls that the parts above need to see");
        add("syscalls_seen", Row::implied(seen.into(), sees, why));
        let why = "a forked child keeps what is held or hooked";
        add("fork_handlers", Row::implied(plan.fork_handlers.into(), plan.fork_handlers, why));
        let look_up = match plan.look_up.value {
            LookUp::Lazy => "lazy",
            LookUp::AtLoad => "at load",
        };
        add("look_up", part(look_up.into(), plan.look_up.reason, ""));
        report
    }

    /// One line for each part that matters.
    pub fn text(&self) -> String {
        let line = |(name, row): &(&str, Row)| {
            let value = match &row.value {
                Value::String(word) => word.clone(),
                Value::Bool(true) => "yes".to_owned(),
                Value::Bool(false) => "no".to_owned(),
                Value::Array(words) => {
                    words.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(", ")
                }
                other => format!("{other} bytes"),
            };
            let bytes = row.bytes.map_or(String::new(), |bytes| format!(", {bytes} bytes"));
            format!("  {}: {value}{bytes} ({})\n", name.replace('_', " "), row.because)
        };
        self.rows.iter().filter(|(_, row)| row.matters).map(line).collect()
    }
}

impl Serialize for PlanReport {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.rows.iter().map(|(name, row)| (name, row)))
    }
}

/// The reason for a part that `variable` may set.
fn because(reason: Reason, variable: &str, config: &Config, plan: &Plan<'_>) -> String {
    let words = match reason {
        Reason::Undecided => "not decided yet",
        Reason::Default => "by default",
        Reason::Set => {
            let shown = config.describe().find(|(name, _)| *name == variable);
            return shown.map_or(String::new(), |(name, value)| format!("{name}={value}"));
        }
        Reason::Excluded => "SIGWARD_ONLY or SIGWARD_EXCEPT leaves the program out",
        Reason::SecureExecution => "a setuid program ignores its caller's environment",
        Reason::NoEnvironment => "the environment was not found",
        Reason::KernelAffected => "the kernel is affected",
        Reason::KernelInRange => "the kernel may be affected",
        Reason::KernelNotAffected => "the kernel is not affected",
        Reason::KernelUnknown => "nothing is known about this kernel",
        Reason::WaitsAreRight => "Linux restarts waits correctly",
        Reason::SmallStacks => return format!("{} asks for it, on every kernel", asking(config)),
        Reason::Sanitizer
        | Reason::Valgrind
        | Reason::Overridden
        | Reason::Gvisor
        | Reason::UnknownLibc
        | Reason::FilterKills
        | Reason::FilterRefuses
        | Reason::FilterNotTried => match plan.obstacle {
            Some(obstacle) => return format!("standing down: {obstacle}"),
            None => "standing down",
        },
        Reason::Duty => return format!("the duty is {}", plan.duty.value.name()),
        Reason::NoInt80 => "int 0x80 is not usable",
        Reason::Messages => "SIGWARD_LOG, SIGWARD_STATS or a bad setting needs them",
        Reason::NoMessages => "nothing needs any",
        Reason::WriteForbidden => "a seccomp filter forbids writing a line",
        Reason::WriteNotTried => "a seccomp filter could not be tried",
        Reason::AuxiliaryVector => "the kernel's AT_MINSIGSTKSZ",
        Reason::Cpuid => {
            let asked = arch::FRAME_SOURCE;
            return format!(
                "this processor's {asked}, because the kernel gives no size that holds"
            );
        }
        Reason::PlaceMatters => "the program relies on the place of the stack that it sets",
        Reason::RaceDetector => "valgrind tracks memory",
    };
    words.to_owned()
}

/// The variable that makes the library act on every kernel.
fn asking(config: &Config) -> &'static str {
    let asks = [
        ("SIGWARD_ALTSTACK_ALL", config.altstack_all != config::AltstackAll::Off),
        ("SIGWARD_ONSTACK", !config.onstack.is_empty()),
        ("SIGWARD_THREAD_STACK_MIN", config.thread_stack_min.is_some()),
        ("SIGWARD_DEPTH", config.depth != config::Depth::Off),
    ];
    let set = asks.iter().find(|(_, asks)| *asks).map(|(name, _)| *name);
    match config.small_stacks {
        config::SmallStacks::Report | config::SmallStacks::Fix => "SIGWARD_SIZE",
        _ => set.unwrap_or("SIGWARD_SIZE"),
    }
}

/// A program that this process becomes: it inherits the kernel and the seccomp filter.
/// What it brings itself (a sanitizer, a libc) is not known.
struct NextProgram;

impl Process for NextProgram {
    fn environment(&mut self) -> Environment {
        Environment::Trusted
    }

    fn runs_under_valgrind_tool(&mut self) -> bool {
        false
    }

    fn kernel_frame(&mut self) -> Option<usize> {
        // SAFETY: a plain query; it returns 0 if the kernel does not provide the size.
        frame::told(unsafe { libc::getauxval(libc::AT_MINSIGSTKSZ) })
    }

    fn cpu_frame(&mut self) -> usize {
        arch::largest_frame()
    }

    fn is_filtered(&mut self) -> bool {
        !trials::unfiltered()
    }

    fn sanitizer(&mut self) -> Option<&'static str> {
        None
    }

    fn has_valgrind_tool(&mut self) -> bool {
        false
    }

    fn overridden(&mut self) -> Option<&'static str> {
        None
    }

    fn is_libc_known(&mut self) -> bool {
        true
    }

    fn relies_on_place(&mut self) -> bool {
        false
    }

    fn filter(&mut self) -> Option<Obstacle> {
        standdown::filter()
    }

    fn may_write(&mut self) -> Result<bool, Errno> {
        standdown::may_write()
    }
}

/// The settings in this process's environment, for any program: `SIGWARD_ONLY` and
/// `SIGWARD_EXCEPT` are ignored.
pub fn settings<'a>(environ: impl Iterator<Item = &'a [u8]>) -> (Config, Bad<'a>) {
    const LISTS: [&[u8]; 2] = [b"SIGWARD_ONLY=", b"SIGWARD_EXCEPT="];
    let mut bad = Bad::default();
    let environ = environ.filter(|entry| !LISTS.iter().any(|list| entry.starts_with(list)));
    let config = config::parse(environ, b"", |found| bad.note(found));
    (config, bad)
}
