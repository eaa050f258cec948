//! How deep alternate stacks were used where that can be seen, and the room on those that no
//! larger one stands in for, in the report.

use sigward_reader::Process;
use sigward_reader::maps::Mapping;
use sigward_reader::process::Block;

use super::larger::MEASURED;
use super::stacks::StackRow;

/// Adds to `rows` what is known of such stacks, and those that are not among them: where
/// nothing is held, there is no other record of them.
pub fn add(rows: &mut Vec<StackRow>, process: &Process, blocks: &[Block]) {
    let snapshots = || blocks.iter().filter_map(|block| block.read.as_ref().ok());
    for (at, stack) in snapshots().flat_map(|snapshot| &snapshot.measured).enumerate() {
        let is_it = |row: &&mut StackRow| {
            row.base == stack.base && row.bytes == stack.size && !row.is_ordinary()
        };
        let row = if let Some(known) = rows.iter_mut().find(is_it) {
            known
        } else {
            let role = if stack.own { "current" } else { "given" };
            rows.push(StackRow::only_known(stack.thread, role, stack.base, stack.size));
            let Some(last) = rows.last_mut() else { continue };
            last
        };
        row.deepest = if at < MEASURED { stack.deepest(process).ok() } else { None };
    }
    let needed = snapshots().filter_map(|snapshot| snapshot.block.plan).map(|plan| plan.needed);
    let needed = needed.max().filter(|needed| *needed > 0);
    let mappings = process.mappings();
    for row in rows.iter_mut().filter(|row| row.substitute.is_none() && !row.is_ordinary()) {
        row.needed = needed.map(u64::from);
        row.usable = mappings.as_ref().ok().map(|mappings| usable(mappings, row.base, row.bytes));
    }
    rows.sort_by_key(|row| (row.thread, row.base));
}

/// Bytes from the top of a stack down to the first that cannot be written to.
fn usable(mappings: &[Mapping], base: u64, bytes: u64) -> u64 {
    let top = base.saturating_add(bytes);
    let mut lowest = top;
    let below = |lowest: u64| {
        // They are in order.
        let last = mappings.partition_point(|it| it.end < lowest);
        mappings.get(last).filter(|it| it.writable && it.start < lowest).map(|it| it.start)
    };
    while let Some(start) = below(lowest).filter(|_| lowest > base) {
        lowest = start;
    }
    top - lowest.max(base)
}

#[cfg(test)]
mod tests {
    use sigward_reader::maps;

    use super::*;

    #[test]
    fn a_guard_or_a_hole_does_not_count() {
        let text = b"1000-3000 rw-p 0 0:0 0\n3000-4000 ---p 0 0:0 0\n4000-6000 rw-p 0 0:0 0\n\
                     6000-8000 rw-p 0 0:0 0\n9000-a000 r--p 0 0:0 0\n";
        let mappings = maps::parse(text);
        let usable = |base, bytes| usable(&mappings, base, bytes);
        assert_eq!(usable(0x1000, 0x2000), 0x2000);
        assert_eq!(usable(0x1800, 0x1000), 0x1000);
        assert_eq!(usable(0x2000, 0x6000), 0x4000);
        assert_eq!(usable(0x5000, 0x2800), 0x2800);
        assert_eq!(usable(0x7000, 0x2000), 0);
        assert_eq!(usable(0x9000, 0x1000), 0);
        assert_eq!(usable(u64::MAX, 5), 0);
    }
}
