//! What `SIGWARD_STATS=1` prints at exit.

use core::fmt::Write;
use core::sync::atomic::{AtomicBool, AtomicU8, AtomicUsize, Ordering};

use crate::altstack::ladder::Rung;
use crate::altstack::{self, Duty};
use crate::sys::line::Line;
use crate::sys::{call, page, stderr};

/// A number that any thread may count up. Async-signal-safe.
pub struct Counter(AtomicUsize);

impl Counter {
    const fn new() -> Self {
        Counter(AtomicUsize::new(0))
    }

    /// Adds one, and says how many there were before.
    pub fn count(&self) -> usize {
        self.0.fetch_add(1, Ordering::Relaxed)
    }

    /// Adds `more`.
    pub fn add(&self, more: usize) {
        self.0.fetch_add(more, Ordering::Relaxed);
    }

    /// How many there are.
    #[must_use]
    pub fn read(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

/// A number with its highest value.
pub struct Gauge {
    now: AtomicUsize,
    most: AtomicUsize,
}

impl Gauge {
    const fn new() -> Self {
        Gauge { now: AtomicUsize::new(0), most: AtomicUsize::new(0) }
    }

    /// Sets the present value. Async-signal-safe.
    pub fn set(&self, value: usize) {
        self.now.store(value, Ordering::Relaxed);
        self.most.fetch_max(value, Ordering::Relaxed);
    }
}

/// Alternate stacks that were set or found.
pub static STACKS: Counter = Counter::new();
/// Alternate stacks that were too small for a frame.
pub static SMALL: Counter = Counter::new();
/// Locks that were refused.
pub static REFUSED: Counter = Counter::new();
/// Pages pinned for stacks.
pub static PINNED: Gauge = Gauge::new();
/// Moments at which a stack of another thread was not resident: see
/// `docs/limits.md`.
pub static WINDOWS: Counter = Counter::new();

static RUNGS: [Counter; 4] = [const { Counter::new() }; 4];

/// The number of stacks that were held by `rung`.
#[must_use]
pub fn rung(rung: Rung) -> &'static Counter {
    let [lock, frame, touch, report] = &RUNGS;
    match rung {
        Rung::Lock => lock,
        Rung::Frame => frame,
        Rung::Touch => touch,
        Rung::Report => report,
    }
}

static WANTED: AtomicBool = AtomicBool::new(false);
static DUTY: AtomicU8 = AtomicU8::new(Duty::Inert as u8);

/// Whether [`at_exit`] is to print.
pub fn wanted(wanted: bool) {
    WANTED.store(wanted, Ordering::Relaxed);
}

/// What the line says of this process.
pub fn on_duty(duty: Duty) {
    DUTY.store(duty as u8, Ordering::Relaxed);
}

/// Prints the one line, if it is wanted and was not printed yet.
pub extern "C" fn at_exit() {
    if stderr::is_open() && WANTED.swap(false, Ordering::Relaxed) {
        print();
    }
}

fn print() {
    let mut line = Line::default();
    let kib = |pages: &AtomicUsize| pages.load(Ordering::Relaxed) * (page::SIZE / 1024);
    // Writing to a `Line` cannot fail.
    let _ = write!(
        line,
        "sigward[{}]: duty={} stacks={}",
        call::getpid(),
        Duty::from(DUTY.load(Ordering::Relaxed)).name(),
        STACKS.read()
    );
    for each in Rung::ALL {
        let _ = write!(line, " {}={}", each.name(), rung(each).read());
    }
    let _ = write!(
        line,
        " live={} locked_kib={} most_locked_kib={} refused={} too_small={} windows={}",
        altstack::stacks_on_record(),
        kib(&PINNED.now),
        kib(&PINNED.most),
        REFUSED.read(),
        SMALL.read(),
        WINDOWS.read(),
    );
    line.emit();
}
