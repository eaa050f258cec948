//! The stacks that a process has on record, beside what the kernel says about them.

use std::collections::BTreeSet;

use serde::Serialize;
use sigward::state::published_block::names;
use sigward_reader::stack::{Range, Stack};

use super::kernel_view::{self, Area, Pagemap};
use super::larger::Asked;
use super::process::name;
use super::threads::Thread;

/// One stack. What the kernel says is `None` where it could not be asked.
#[derive(Serialize)]
pub struct StackRow {
    /// The thread, by its number in its own pid namespace; 0 if that is not known.
    pub thread: i32,
    pub role: String,
    pub base: u64,
    pub bytes: u64,
    pub rung: String,
    /// By the process's word.
    pub held: u64,
    pub locked: u64,
    /// By the kernel's word, of what the process says that it holds and locks.
    pub kernel_locked: Option<u64>,
    pub kernel_present: Option<u64>,
    pub kernel_swapped: Option<u64>,
    /// Present, but shared with a forked copy: the next write faults.
    pub kernel_shared: Option<u64>,
    /// Bytes of an alternate stack that can be used, and bytes that are needed. Where this is
    /// a larger one that stands in for the program's: those of the program's own.
    pub usable: Option<u64>,
    pub needed: Option<u64>,
    /// The most bytes of it that were ever used, where that can be seen.
    pub deepest: Option<u64>,
    /// The size of a larger one that stands in for the program's.
    pub substitute: Option<u64>,
    /// The program's own, in that case.
    pub asked: Option<Asked>,
    /// What is wrong with it, in words.
    pub problems: Vec<Problem>,
}

/// Something that is wrong with a stack.
#[derive(Serialize)]
#[serde(transparent)]
pub struct Problem {
    #[serde(skip)]
    kind: Kind,
    pub words: String,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    NotLocked,
    NotPresent,
    Shared,
    NotHeld,
    TooSmall,
}

/// Problems, by thread and stack, and threads without a stack. A process goes on while it
/// is looked at, so a problem counts only if it is there at every look.
#[derive(Default)]
pub struct Suspects {
    stacks: Option<BTreeSet<(i32, u64, Kind)>>,
    threads: Option<BTreeSet<u32>>,
}

impl Suspects {
    /// Takes another look into account: leaves in `rows` what was there at every look.
    pub fn sift(&mut self, rows: &mut [StackRow]) {
        for row in &mut *rows {
            let (thread, base) = (row.thread, row.base);
            row.problems.retain(|problem| {
                let known = self.stacks.as_ref();
                known.is_none_or(|known| known.contains(&(thread, base, problem.kind)))
            });
        }
        let all = rows.iter().flat_map(|row| {
            row.problems.iter().map(|problem| (row.thread, row.base, problem.kind))
        });
        self.stacks = Some(all.collect());
    }

    /// The same for threads: marks those that are uncovered.
    pub fn sift_threads(&mut self, threads: &mut [Thread]) {
        for thread in &mut *threads {
            let known = self.threads.as_ref();
            thread.uncovered = thread.takes > 0
                && thread.alternate_stacks == 0
                && !thread.ordinary_held
                && known.is_none_or(|known| known.contains(&thread.thread));
        }
        let uncovered = threads.iter().filter(|thread| thread.uncovered);
        self.threads = Some(uncovered.map(|thread| thread.thread).collect());
    }
}

/// What the kernel says about the memory of a process.
pub struct Memory {
    /// `None` if smaps could not be read.
    pub areas: Option<Vec<Area>>,
    pub pagemap: Option<Pagemap>,
    pub page: u64,
    /// Bytes of the largest frame.
    pub frame: u64,
}

const ORDINARY: &str = "ordinary";

impl StackRow {
    pub fn is_ordinary(&self) -> bool {
        self.role == ORDINARY
    }

    /// One of which nothing is held, and nothing was asked of the kernel.
    pub fn only_known(thread: i32, role: &str, base: u64, bytes: u64) -> Self {
        StackRow {
            thread,
            role: role.to_owned(),
            base,
            bytes,
            rung: "report".to_owned(),
            held: 0,
            locked: 0,
            kernel_locked: None,
            kernel_present: None,
            kernel_swapped: None,
            kernel_shared: None,
            usable: None,
            needed: None,
            deepest: None,
            substitute: None,
            asked: None,
            problems: Vec::new(),
        }
    }

    /// The same where the stack changed while the kernel was asked.
    pub fn unsettled(mut self) -> Self {
        self.problems.clear();
        self
    }

    /// Compares a stack on record with the kernel's word.
    pub fn of(stack: &Stack, memory: &Memory) -> Self {
        let Range { start, end } = stack.held;
        let areas = memory.areas.as_deref();
        let kernel_locked = areas
            .and_then(|areas| kernel_view::locked(areas, stack.locked.start, stack.locked.end));
        let pages = memory.pagemap.as_ref().and_then(|map| map.pages(start, end));
        let is_private = areas.is_none_or(|areas| kernel_view::private(areas, start, end));
        let shared = |pages: kernel_view::Pages| {
            if is_private { pages.shared } else { 0 }
        };
        let bytes = |pages: u64| pages * memory.page;
        let role = name(names::ROLE, stack.role);
        let mut row = StackRow {
            rung: name(names::RUNG, stack.rung),
            held: stack.held.bytes(),
            locked: stack.locked.bytes(),
            kernel_locked,
            kernel_present: pages.map(|pages| bytes(pages.present)),
            kernel_swapped: pages.map(|pages| bytes(pages.swapped)),
            kernel_shared: pages.map(|pages| bytes(shared(pages))),
            ..StackRow::only_known(stack.thread, &role, stack.base, stack.size)
        };
        // While a memory call is in progress, a stack may be without its lock.
        if stack.suspended == 0 {
            row.problems = row.judge(memory);
        }
        row
    }

    fn judge(&self, memory: &Memory) -> Vec<Problem> {
        let mut all = Vec::new();
        let mut add = |kind, words| all.push(Problem { kind, words });
        if let Some(kernel) = self.kernel_locked
            && kernel < self.locked
        {
            add(
                Kind::NotLocked,
                format!(
                    "it says that {} bytes are locked, the kernel has {kernel} of them locked",
                    self.locked
                ),
            );
        }
        if let Some(present) = self.kernel_present
            && present < self.held
        {
            let swapped = match self.kernel_swapped {
                Some(swapped @ 1..) => format!(" ({swapped} are swapped out)"),
                _ => String::new(),
            };
            add(
                Kind::NotPresent,
                format!(
                    "it says that {} bytes are held, the kernel has {present} of them present{swapped}",
                    self.held
                ),
            );
        }
        if let Some(shared @ 1..) = self.kernel_shared {
            add(
                Kind::Shared,
                format!(
                    "{shared} bytes of it are shared with a forked copy: the next write to them faults"
                ),
            );
        }
        if self.is_ordinary() {
            return all;
        }
        if self.held == 0 {
            add(Kind::NotHeld, "nothing of it is held".to_owned());
        }
        let room = self.bytes;
        if room < memory.frame {
            add(
                Kind::TooSmall,
                format!("a frame of {} bytes does not fit into its {room} bytes", memory.frame),
            );
        }
        all
    }
}
