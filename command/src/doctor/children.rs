//! The processes that a process has started, and whether the library is in them.

use std::collections::BTreeSet;
use std::fs;

use serde::Serialize;
use sigward_reader::Process;

use super::kernel_view::{Status, numbers};

/// The descendants of a process.
#[derive(Default, Serialize)]
pub struct Children {
    pub with_the_library: usize,
    /// Those into which it is not mapped.
    pub without: Vec<Child>,
    /// Those that could not be looked into.
    pub unknown: usize,
}

#[derive(Serialize)]
pub struct Child {
    pub pid: u32,
    pub command: String,
}

/// The parent of a process, by its `stat` file. The name in it may hold any bytes.
fn parent(pid: u32) -> Option<u32> {
    let stat = fs::read(format!("/proc/{pid}/stat")).ok()?;
    let behind = stat.iter().rposition(|byte| *byte == b')')?;
    let text = str::from_utf8(stat.get(behind + 1..)?).ok()?;
    text.split_whitespace().nth(1)?.parse().ok()
}

/// Looks for the descendants of `pid`.
pub fn of(pid: u32) -> Children {
    let pairs: Vec<(u32, u32)> = numbers("/proc")
        .unwrap_or_default()
        .into_iter()
        .filter_map(|child| Some((child, parent(child)?)))
        .collect();
    let mut family = BTreeSet::from([pid]);
    loop {
        let more: Vec<u32> = pairs
            .iter()
            .filter(|(child, parent)| family.contains(parent) && !family.contains(child))
            .map(|(child, _)| *child)
            .collect();
        if more.is_empty() {
            break;
        }
        family.extend(more);
    }
    family.remove(&pid);
    let mut found = Children::default();
    for pid in family {
        // Only what runs can take a signal.
        let Ok(status) = Status::read(&format!("/proc/{pid}")) else { continue };
        if status.field("State").is_some_and(|state| state.starts_with('Z')) {
            continue;
        }
        match Process::open(pid).and_then(|process| process.blocks()) {
            Ok(blocks) if blocks.is_empty() => {
                found.without.push(Child { pid, command: status.name() });
            }
            Ok(_) => found.with_the_library += 1,
            Err(sigward_reader::Unreadable::Gone) => {}
            Err(_) => found.unknown += 1,
        }
    }
    found
}
