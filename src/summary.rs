//! What `SIGWARD_STATS=1` prints at exit: one line of counts.

use core::fmt::Write;
use core::sync::atomic::{AtomicBool, Ordering};

use crate::os::line::Line;
use crate::os::{call, page, stderr};
use crate::plan::Rung;
use crate::residency;
use crate::state::published_block::{self, names};
use crate::state::stats;

static WANTED: AtomicBool = AtomicBool::new(false);

/// Sets whether [`at_exit`] prints.
pub fn wanted(wanted: bool) {
    WANTED.store(wanted, Ordering::Relaxed);
}

/// Prints the line if it is wanted and has not been printed yet.
pub extern "C" fn at_exit() {
    if stderr::is_open() && WANTED.swap(false, Ordering::Relaxed) {
        print();
    }
}

fn print() {
    let mut line = Line::default();
    let kib = |pages: usize| pages.wrapping_mul(page::size() / 1024);
    let (pinned, most_pinned) = stats::PINNED.read();
    // Writing to a `Line` cannot fail.
    let _ = write!(
        line,
        "sigward[{}]: duty={} stacks={}",
        call::getpid(),
        names::DUTY.own(published_block::planned_duty()),
        stats::STACKS.read()
    );
    for each in Rung::ALL {
        let _ = write!(line, " {}={}", each.name(), stats::rung(each).read());
    }
    let _ = write!(
        line,
        " live={} locked_kib={} most_locked_kib={} refused={} too_small={} windows={}",
        residency::stacks_on_record(),
        kib(pinned),
        kib(most_pinned),
        stats::REFUSED.read(),
        stats::SMALL.read(),
        stats::WINDOWS.read(),
    );
    line.emit();
}
