//! Larger stacks that stand in for the program's, in the report.

use serde::Serialize;
use sigward_reader::Process;
use sigward_reader::process::Block;
use sigward_reader::substitute::Substitute;

use super::stacks::StackRow;

/// The most stacks that are measured: each is read whole.
pub const MEASURED: usize = 1000;

/// The program's own stack, which it sees.
#[derive(Serialize)]
pub struct Asked {
    pub base: u64,
    pub bytes: u64,
}

/// Adds to `rows` what is known of larger stacks, and those that are not among them: where
/// nothing is held, there is no other record of them.
pub fn add(rows: &mut Vec<StackRow>, process: &Process, blocks: &[Block]) {
    let snapshots = blocks.iter().filter_map(|block| block.read.as_ref().ok());
    let all = snapshots.flat_map(|snapshot| &snapshot.substitutes);
    for (at, larger) in all.enumerate() {
        let deepest = if at < MEASURED { larger.deepest(process).ok() } else { None };
        let known = rows.iter_mut().find(|row| row.base == larger.base && !row.is_ordinary());
        if let Some(row) = known {
            fill(row, larger, deepest);
        } else {
            let role = if larger.in_force { "current" } else { "kept" };
            let thread = larger.thread.unwrap_or(0);
            let mut row = StackRow::only_known(thread, role, larger.base, larger.size);
            fill(&mut row, larger, deepest);
            rows.push(row);
        }
    }
}

fn fill(row: &mut StackRow, larger: &Substitute, deepest: Option<u64>) {
    row.usable = Some(larger.usable.into());
    row.needed = Some(larger.needed.into());
    row.deepest = deepest;
    row.substitute = Some(larger.size);
    row.asked = Some(Asked { base: larger.asked, bytes: larger.asked_size });
}
