//! What the library in a process publishes, in words.

use serde::Serialize;
use sigward::state::published_block::{FORK_COPIES, names};
use sigward_reader::block::{self, Counters, Signal};
use sigward_reader::process::Block;

use super::super::inspect::escaped;
use super::process::name;

/// A library in a process, by its own word.
#[derive(Serialize)]
pub struct LibraryRow {
    pub path: String,
    /// Whether that path no longer refers to the file that is mapped.
    pub deleted: bool,
    /// Why the block cannot be used.
    pub error: Option<String>,
    /// The block's version, if it is newer than this program knows.
    pub newer: Option<u16>,
    pub plan: Option<PlanRow>,
    pub in_force: Option<ForceRow>,
    /// Whether the memory is a copy that a fork made past the library.
    pub copied: Option<bool>,
    pub counters: Option<CounterRow>,
    /// Entries that could not be read because they changed, or are damaged.
    pub torn: usize,
}

/// The plan that was made when the program started.
#[derive(Serialize)]
pub struct PlanRow {
    pub duty: String,
    pub reason: String,
    pub rung: String,
    pub small_stacks: String,
    pub wait: String,
    pub ordinary_stacks: String,
    pub forks_copy: bool,
    pub frame: u32,
    pub window: u32,
}

/// What is in force now.
#[derive(Serialize)]
pub struct ForceRow {
    pub duty: String,
    pub small_stacks: String,
    pub wait: String,
    /// The owner's pid, in its own pid namespace.
    pub owner: Option<i32>,
}

#[derive(Serialize)]
pub struct CounterRow {
    pub stacks: Option<u64>,
    pub small: Option<u64>,
    pub refused_locks: Option<u64>,
    pub windows: Option<u64>,
    pub pinned_pages: Option<u64>,
    pub most_pinned_pages: Option<u64>,
    pub by_lock: Option<u64>,
    pub by_frame: Option<u64>,
    pub by_touch: Option<u64>,
    pub only_reported: Option<u64>,
    pub deepest: Option<DeepestRow>,
}

/// The alternate stack that was used most, of those that were measured.
#[derive(Serialize)]
pub struct DeepestRow {
    pub used: u64,
    pub bytes: u64,
    pub thread: u64,
    /// The signal whose handler ran there last.
    pub signal: Option<u8>,
    /// Whether no other signal's can have run there.
    pub only_signal: bool,
}

impl From<Counters> for CounterRow {
    fn from(counters: Counters) -> Self {
        let [by_lock, by_frame, by_touch, only_reported] = counters.rungs;
        CounterRow {
            stacks: counters.stacks,
            small: counters.small,
            refused_locks: counters.refused,
            windows: counters.windows,
            pinned_pages: counters.pinned,
            most_pinned_pages: counters.most_pinned,
            by_lock,
            by_frame,
            by_touch,
            only_reported,
            deepest: counters.deepest.filter(|deepest| deepest.used > 0).map(|deepest| {
                DeepestRow {
                    used: deepest.used,
                    bytes: deepest.size,
                    thread: deepest.thread,
                    signal: deepest.signal.and_then(Signal::last),
                    only_signal: deepest.signal.is_some_and(Signal::is_only),
                }
            }),
        }
    }
}

impl LibraryRow {
    pub fn of(block: &Block) -> Self {
        let mut row = LibraryRow {
            path: escaped(&block.found.path),
            deleted: block.found.deleted,
            error: None,
            newer: None,
            plan: None,
            in_force: None,
            copied: None,
            counters: None,
            torn: 0,
        };
        match &block.read {
            Err(error) => row.error = Some(error.to_string()),
            Ok(snapshot) => {
                row.newer = snapshot.newer();
                row.copied = snapshot.copied;
                row.torn = snapshot.torn;
                row.fill(&snapshot.block);
            }
        }
        row
    }

    fn fill(&mut self, block: &block::Block) {
        self.plan = block.plan.map(|plan| PlanRow {
            duty: name(names::DUTY, plan.duty),
            reason: name(names::REASON, plan.reason),
            rung: name(names::RUNG, plan.rung),
            small_stacks: name(names::REMEDY, plan.remedy),
            wait: name(names::WAIT, plan.wait),
            ordinary_stacks: name(names::ORDINARY, plan.ordinary),
            forks_copy: plan.flags & FORK_COPIES != 0,
            frame: plan.frame,
            window: plan.headroom,
        });
        self.in_force = block.force.map(|force| ForceRow {
            duty: name(names::DUTY, force.duty),
            small_stacks: name(names::REMEDY, force.remedy),
            wait: name(names::WAIT, force.wait),
            owner: block.owner.map(|owner| owner.pid),
        });
        self.counters = Some(block.counters.into());
    }

    /// What the hooks do now; empty if that is not known.
    pub fn duty(&self) -> &str {
        self.in_force.as_ref().map_or("", |force| &force.duty)
    }
}
