//! What `SIGWARD_STATS=1` prints at exit. The counters are in the published
//! [`block`].

use core::fmt::Write;
use core::sync::atomic::{AtomicBool, Ordering};

use crate::altstack;
use crate::altstack::ladder::Rung;
use crate::block::{self, BLOCK, Counter, Gauge, names};
use crate::sys::line::Line;
use crate::sys::{call, page, stderr};

/// Alternate stacks that were set or found.
pub const STACKS: &Counter = &BLOCK.counters.stacks;
/// Alternate stacks that were too small for a frame.
pub const SMALL: &Counter = &BLOCK.counters.small;
/// Locks that were refused.
pub const REFUSED: &Counter = &BLOCK.counters.refused;
/// Pages pinned for stacks.
pub const PINNED: &Gauge = &BLOCK.counters.pinned;
/// Moments at which a stack of another thread was not resident: see
/// `docs/limits.md`.
pub const WINDOWS: &Counter = &BLOCK.counters.windows;

/// The number of stacks that were held by `rung`.
#[must_use]
pub fn rung(rung: Rung) -> &'static Counter {
    let [lock, frame, touch, report] = &BLOCK.counters.rungs;
    match rung {
        Rung::Lock => lock,
        Rung::Frame => frame,
        Rung::Touch => touch,
        Rung::Report => report,
    }
}

static WANTED: AtomicBool = AtomicBool::new(false);

/// Whether [`at_exit`] is to print.
pub fn wanted(wanted: bool) {
    WANTED.store(wanted, Ordering::Relaxed);
}

/// Prints the one line, if it is wanted and was not printed yet.
pub extern "C" fn at_exit() {
    if stderr::is_open() && WANTED.swap(false, Ordering::Relaxed) {
        print();
    }
}

fn print() {
    let mut line = Line::default();
    let kib = |pages: usize| pages.wrapping_mul(page::SIZE / 1024);
    let (pinned, most_pinned) = PINNED.read();
    // Writing to a `Line` cannot fail.
    let _ = write!(
        line,
        "sigward[{}]: duty={} stacks={}",
        call::getpid(),
        names::DUTY.own(block::planned_duty()),
        STACKS.read()
    );
    for each in Rung::ALL {
        let _ = write!(line, " {}={}", each.name(), rung(each).read());
    }
    let _ = write!(
        line,
        " live={} locked_kib={} most_locked_kib={} refused={} too_small={} windows={}",
        altstack::stacks_on_record(),
        kib(pinned),
        kib(most_pinned),
        REFUSED.read(),
        SMALL.read(),
        WINDOWS.read(),
    );
    line.emit();
}
