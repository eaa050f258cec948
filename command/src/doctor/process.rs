//! One live process: what its library publishes, and the kernel's word on it.

use std::fs;
use std::path::Path;
use std::thread;
use std::time::Duration;

use serde::Serialize;
use sigward::config::preload;
use sigward::state::published_block::names::Names;
use sigward_reader::{Process, Unreadable, process::Block, stack::Stack};

use super::super::exit::Exit;
use super::super::inspect::{Coverage, Depth, Inspection, inspect, words};
use super::super::library;
use super::children::{self, Children};
use super::kernel_view::{self, Area, Pagemap, Status};
use super::kernel_word::KernelWord;
use super::library_row::LibraryRow;
use super::machine::REMEDIES;
use super::stacks::{Memory, StackRow, Suspects};
use super::standing::Standing;
use super::threads::{self, Thread};
use super::{depth, larger};

/// Looks at a process before what does not fit together counts: it does not stop for us.
const LOOKS: usize = 4;

/// What `--format json` prints of a process. The names are an interface: add, do not
/// rename.
#[derive(Serialize)]
pub struct ProcessReport {
    pub pid: u32,
    pub command: String,
    pub standing: Standing,
    pub because: Vec<String>,
    pub notes: Vec<String>,
    /// What could not be seen, and why.
    pub not_seen: Vec<String>,
    pub libraries: Vec<LibraryRow>,
    pub kernel: KernelWord,
    pub threads: Vec<Thread>,
    pub stacks: Vec<StackRow>,
    pub children: Option<Children>,
    /// Its program; only for a process without the library.
    pub program: Option<Inspection>,
}

/// The name of a small number in the block.
pub fn name(names: Names, value: u8) -> String {
    names.of(value).map_or_else(|| value.to_string(), str::to_owned)
}

/// Why there is nothing to report about a number.
pub enum Absent {
    NoProcess,
    Failed(String),
}

/// Looks at process `pid`. `affected`: whether the kernel has a defect that the library is
/// for; `frame`: the size of this machine's frames.
///
/// # Errors
/// If there is no such process.
pub fn look(pid: u32, affected: Option<bool>, frame: u64) -> Result<ProcessReport, Absent> {
    let status = Status::read(&format!("/proc/{pid}")).map_err(|error| absent(&error))?;
    let mut report = ProcessReport::new(pid, &status);
    let is_ended = status.field("State").is_some_and(|state| state.starts_with('Z'));
    // The files of a process whose first thread has ended are empty, those of its other
    // threads are not.
    let eyes = if is_ended { living_thread(pid) } else { Some(pid) };
    let Some(eyes) = eyes else {
        report.nothing("it has ended, and its parent has not waited for it");
        return Ok(report);
    };
    if status.field("VmSize").is_none() && !is_ended {
        report.nothing("it is a thread of the kernel");
        return Ok(report);
    }
    report.note_status(pid, &status);
    let mut suspects = Suspects::default();
    for attempt in 0..LOOKS {
        if attempt > 0 {
            thread::sleep(Duration::from_millis(20 << attempt));
        }
        report.look_inside(eyes, &status, &mut suspects, affected, frame)?;
        if report.because_is_final() {
            break;
        }
    }
    let torn: usize = report.libraries.iter().map(|row| row.torn).sum();
    if torn > 0 {
        report.not_seen.push(format!("{torn} entries of its table: they changed"));
    }
    if !report.libraries.is_empty() {
        report.children = Some(children::of(pid));
        report.note_children();
        report.note_refusals();
    }
    Ok(report)
}

fn absent(error: &std::io::Error) -> Absent {
    match error.kind() {
        std::io::ErrorKind::NotFound => Absent::NoProcess,
        _ if error.raw_os_error() == Some(libc::ESRCH) => Absent::NoProcess,
        _ => Absent::Failed(words(error)),
    }
}

/// A thread that has not ended.
fn living_thread(pid: u32) -> Option<u32> {
    let all = kernel_view::numbers(&format!("/proc/{pid}/task")).ok()?;
    all.into_iter().find(|thread| {
        let status = Status::read(&format!("/proc/{pid}/task/{thread}"));
        status.is_ok_and(|status| status.field("VmSize").is_some())
    })
}

impl ProcessReport {
    fn new(pid: u32, status: &Status) -> Self {
        ProcessReport {
            pid,
            command: status.name(),
            standing: Standing::Unknown,
            because: Vec::new(),
            notes: Vec::new(),
            not_seen: Vec::new(),
            libraries: Vec::new(),
            kernel: KernelWord::default(),
            threads: Vec::new(),
            stacks: Vec::new(),
            children: None,
            program: None,
        }
    }

    fn nothing(&mut self, why: &str) {
        self.standing = Standing::NothingToCover;
        self.because = vec![why.to_owned()];
    }

    fn note_status(&mut self, pid: u32, status: &Status) {
        let caught = status.caught().unwrap_or_default();
        self.kernel = KernelWord::of(pid, status);
        if let Some(process) = status.number("Tgid").filter(|tgid| *tgid != u64::from(pid)) {
            self.notes.push(format!("{pid} is a thread of process {process}"));
        }
        match threads::of(pid, &caught) {
            Ok((all, ended)) => {
                self.threads = all;
                if ended > 0 {
                    self.notes.push(format!("{ended} threads ended while they were looked at"));
                }
            }
            Err(error) => self.not_seen.push(format!("its threads: {}", words(&error))),
        }
    }

    /// Whether another look would not change the answer.
    fn because_is_final(&self) -> bool {
        self.standing != Standing::PartlyCovered
    }

    /// Reads the block and the kernel's files, and judges. Forgets an earlier look.
    fn look_inside(
        &mut self,
        pid: u32,
        status: &Status,
        suspects: &mut Suspects,
        affected: Option<bool>,
        frame: u64,
    ) -> Result<(), Absent> {
        self.because.clear();
        self.libraries.clear();
        self.stacks.clear();
        let process = match Process::open(pid) {
            Err(Unreadable::Gone) => return Err(Absent::NoProcess),
            other => other,
        };
        let blocks = process.and_then(|process| Ok((process.blocks()?, process)));
        let (blocks, process) = match blocks {
            Ok(found) => found,
            Err(Unreadable::Gone) => return Err(Absent::NoProcess),
            Err(why) => {
                self.standing = Standing::Unknown;
                self.because.push(why.to_string());
                self.not_seen = vec!["its memory".to_owned()];
                return Ok(());
            }
        };
        self.libraries = blocks.iter().map(LibraryRow::of).collect();
        if blocks.is_empty() {
            self.judge_without(pid, affected);
            return Ok(());
        }
        let acts = self.libraries.iter().any(|row| row.duty() == "act");
        let is_copy = acts && blocks.iter().any(|block| is_copy(block, status.own_process()));
        if acts && !is_copy {
            if let Ok((threads, _)) = threads::of(pid, &status.caught().unwrap_or_default()) {
                self.threads = threads;
            }
            self.look_at_stacks(pid, &process, &blocks, frame);
            suspects.sift(&mut self.stacks);
            suspects.sift_threads(&mut self.threads);
        }
        larger::add(&mut self.stacks, &process, &blocks);
        depth::add(&mut self.stacks, &process, &blocks);
        self.judge_with(acts, is_copy, affected);
        Ok(())
    }

    /// Asks the library, the kernel, and the library again.
    fn look_at_stacks(&mut self, pid: u32, process: &Process, blocks: &[Block], frame: u64) {
        let mut told = Vec::new();
        for snapshot in blocks.iter().filter_map(|block| block.read.as_ref().ok()) {
            // The process may have been told a larger size (SIGWARD_FRAME).
            let planned = snapshot.block.plan.map_or(0, |plan| u64::from(plan.frame));
            let frame = self.kernel.frame.unwrap_or(frame).max(planned);
            let memory = self.memory(pid, u64::from(snapshot.block.head.page), frame);
            told.extend(snapshot.stacks.iter().map(|stack| (*stack, StackRow::of(stack, &memory))));
        }
        let again = process.blocks().unwrap_or_default();
        let again: Vec<Stack> = again
            .iter()
            .filter_map(|block| block.read.as_ref().ok())
            .flat_map(|snapshot| snapshot.stacks.iter().copied())
            .collect();
        self.stacks = told
            .into_iter()
            .map(|(stack, row)| if again.contains(&stack) { row } else { row.unsettled() })
            .collect();
        for thread in &mut self.threads {
            let mine = || self.stacks.iter().filter(|row| row.thread == thread.own);
            thread.alternate_stacks = mine().filter(|row| !row.is_ordinary()).count();
            thread.ordinary_held = mine().any(|row| row.is_ordinary() && row.held > 0);
        }
    }

    /// A process into which the library is not mapped.
    fn judge_without(&mut self, pid: u32, affected: Option<bool>) {
        self.because.push(format!("{} is not mapped in it", library::NAME));
        if self.kernel.secure_execution == Some(true) {
            self.because.push(
                "it was started with other credentials (AT_SECURE), so the loader ignored \
                 LD_PRELOAD"
                    .to_owned(),
            );
        }
        if environment_names_the_library(pid) {
            self.because.push("its LD_PRELOAD names it all the same".to_owned());
        }
        match inspect(Path::new(&format!("/proc/{pid}/exe")), Depth::File) {
            Ok(program) => {
                match program.coverage {
                    Coverage::NotCovered => self.because.extend(program.because.iter().cloned()),
                    _ => self
                        .because
                        .push("it was started without it; `sigward run` starts it with it".into()),
                }
                self.program = Some(program);
            }
            Err(why) => self.not_seen.push(why),
        }
        self.stand_without(affected);
    }

    /// The standing of a process in which no library acts.
    fn stand_without(&mut self, affected: Option<bool>) {
        self.standing = Standing::without(affected);
        let caught = self.kernel.caught_signals.as_ref();
        if self.standing.exit() != Exit::Success && caught.is_some_and(Vec::is_empty) {
            self.standing = Standing::NothingToCover;
            self.because.push("it catches no signal now, so no signal frame is written".into());
        }
    }

    /// A process with the library, whose stacks are known.
    fn judge_with(&mut self, acts: bool, is_copy: bool, affected: Option<bool>) {
        let mut problems = Vec::new();
        if self.libraries.len() > 1 {
            problems.push(format!("{} copies of the library are loaded", self.libraries.len()));
        }
        for row in &self.libraries {
            problems.extend(row.error.clone());
            if let (Some(plan), Some(force)) = (&row.plan, &row.in_force)
                && plan.duty != force.duty
            {
                let (plan, force) = (&plan.duty, &force.duty);
                problems.push(format!("its plan was to {plan}, in force is {force}"));
            }
        }
        for row in &self.stacks {
            let what = if row.is_ordinary() { "ordinary stack" } else { "alternate stack" };
            problems.extend(row.problems.iter().map(|problem| {
                format!("{what} {:#x} of thread {}: {}", row.base, row.thread, problem.words)
            }));
        }
        let bare = self.threads.iter().filter(|thread| thread.uncovered);
        let bare: Vec<String> =
            bare.map(|thread| format!("{} ({})", thread.thread, thread.name)).collect();
        if !bare.is_empty() {
            let bare = bare.join(", ");
            problems.push(format!("threads that take signals and have no stack on record: {bare}"));
        }
        if is_copy {
            problems.push(
                "its memory is a copy that a fork made past the library, so nothing is done in it"
                    .to_owned(),
            );
        }
        let unreadable = self.libraries.iter().all(|row| row.error.is_some());
        let is_fine = problems.is_empty();
        if is_fine {
            problems.extend(self.libraries.iter().filter_map(in_words));
        }
        self.because = problems;
        self.standing = match (is_copy, acts, unreadable) {
            (true, ..) => Standing::NotCovered,
            (_, true, _) if is_fine => Standing::Covered,
            (_, true, _) => Standing::PartlyCovered,
            (.., true) => Standing::Unknown,
            _ => return self.stand_without(affected),
        };
    }

    fn memory(&mut self, pid: u32, page: u64, frame: u64) -> Memory {
        let areas = fs::read(format!("/proc/{pid}/smaps"));
        let mut miss = |what: &str| {
            if !self.not_seen.iter().any(|known| known == what) {
                self.not_seen.push(what.to_owned());
            }
        };
        let areas = areas.map(|text| kernel_view::areas(&String::from_utf8_lossy(&text)));
        let has_flags = |areas: &Vec<Area>| areas.iter().any(|area| area.locked.is_some());
        if !areas.as_ref().is_ok_and(has_flags) {
            miss("which memory the kernel has locked (smaps)");
        }
        let pagemap = Pagemap::open(pid, page);
        if pagemap.is_none() {
            miss("which pages are present (pagemap)");
        }
        Memory { areas: areas.ok(), pagemap, page, frame }
    }

    fn note_refusals(&mut self) {
        let counters = self.libraries.iter().filter_map(|row| row.counters.as_ref());
        let refused: u64 = counters.filter_map(|counters| counters.refused_locks).sum();
        if refused == 0 {
            return;
        }
        let limit = self
            .kernel
            .memlock_soft
            .map_or("unlimited".to_owned(), |bytes| format!("{bytes} bytes"));
        let remedies = REMEDIES.join("; ");
        self.notes.push(format!("{refused} locks were refused; memlock is {limit}. {remedies}"));
    }

    fn note_children(&mut self) {
        let Some(children) = &self.children else { return };
        if !children.without.is_empty() {
            let all: Vec<String> = children
                .without
                .iter()
                .map(|child| format!("{} ({})", child.pid, child.command))
                .collect();
            self.notes.push(format!("children without the library: {}", all.join(", ")));
        }
        if children.unknown > 0 {
            self.not_seen.push(format!("{} of its children", children.unknown));
        }
    }
}

/// Whether a block came with a fork's copy of another process's memory. `own`: the number
/// of this process in its own namespace.
fn is_copy(block: &Block, own: Option<i32>) -> bool {
    let Ok(snapshot) = &block.read else { return false };
    let owner = snapshot.block.owner.map(|owner| owner.pid).filter(|pid| *pid != 0);
    let strange = owner.is_some_and(|owner| own.is_some_and(|own| own != owner));
    snapshot.copied == Some(true) || strange
}

/// The duty and its reason.
fn in_words(row: &LibraryRow) -> Option<String> {
    let plan = row.plan.as_ref()?;
    Some(format!("its duty is to {} ({})", verb(row.duty()), plan.reason))
}

fn verb(duty: &str) -> &str {
    if duty == "inert" { "do nothing" } else { duty }
}

fn environment_names_the_library(pid: u32) -> bool {
    let Ok(bytes) = fs::read(format!("/proc/{pid}/environ")) else { return false };
    let value = bytes.split(|byte| *byte == 0).find_map(|it| it.strip_prefix(b"LD_PRELOAD="));
    let mut entries = value.unwrap_or_default().split(|byte| matches!(byte, b' ' | b':'));
    entries.any(preload::is_ours)
}
