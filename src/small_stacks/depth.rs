//! `SIGWARD_DEPTH`: how many bytes of an alternate stack were used at most.
//!
//! A stack that was all zeroes when it was set is used down to its lowest byte
//! that is not zero now. Ours are fresh memory. The program's own are painted
//! with zeroes when they are set, if that is asked for: it is wrong for
//! programs that keep something there.
//!
//! A stack is measured when it is replaced, when its thread ends, and when the
//! program does. Until then other processes can: the published block has where
//! the stacks are.

use core::ffi::c_int;
use core::fmt::Write;
use core::mem::offset_of;
use core::ptr;
use core::sync::atomic::{AtomicBool, AtomicI32, AtomicU8, AtomicU16, AtomicUsize, Ordering};

use super::last_signal::{self, Signal};
use super::{arena, onstack};
use crate::arch;
use crate::os::line::Line;
use crate::os::{call, page, stderr};
use crate::plan::Depth;
use crate::residency::charge::OWNER;
use crate::residency::ladder::Stack;
use crate::state::published_block::BLOCK;

static WANTED: AtomicU8 = AtomicU8::new(0);

/// Measures stacks from now on. Call this once, at load.
pub(super) fn take_charge(depth: Depth) {
    WANTED.store(depth as u8, Ordering::Relaxed);
    if depth != Depth::Off {
        SETS.count.store(MOST, Ordering::Relaxed);
        let sets = ptr::from_ref(&SETS).cast_mut().cast();
        BLOCK.counters.measured.sets.store(sets, Ordering::Release);
    }
}

fn wanted(depth: Depth) -> bool {
    WANTED.load(Ordering::Relaxed) >= depth as u8
}

/// The program sets a handler of `signal`, with the flags that `flags` looks up.
#[inline]
pub(super) fn handler(signal: c_int, flags: impl FnOnce() -> Option<c_int>) {
    if wanted(Depth::Ours)
        && let Some(flags) = flags()
        && (flags & libc::SA_ONSTACK != 0 || onstack::concerns(signal))
    {
        last_signal::handled(signal, flags);
    }
}

/// The most stacks of the program's, or in their place, that are measured at
/// one time.
const MOST: usize = 256;

/// The stack that a thread has set. Other processes may read it:
/// `docs/published-block.md` has the layout.
#[repr(C)]
struct Set {
    /// Its thread, 0 for none.
    thread: AtomicI32,
    /// Whether it is one of ours, above a guard.
    guarded: AtomicBool,
    /// Written last, and 0 until then.
    base: AtomicUsize,
    size: AtomicUsize,
}

#[repr(C)]
struct Sets {
    /// [`MOST`], once stacks are measured.
    count: AtomicUsize,
    each: [Set; MOST],
}

const _: () = {
    assert!(offset_of!(Sets, each) == size_of::<usize>());
    assert!(offset_of!(Set, guarded) == 4 && offset_of!(Set, base) == 8);
};

static SETS: Sets = Sets {
    count: AtomicUsize::new(0),
    each: [const {
        Set {
            thread: AtomicI32::new(0),
            guarded: AtomicBool::new(false),
            base: AtomicUsize::new(0),
            size: AtomicUsize::new(0),
        }
    }; MOST],
};

impl Set {
    fn of(thread: c_int) -> Option<&'static Self> {
        SETS.each.iter().find(|set| set.thread.load(Ordering::Relaxed) == thread)
    }

    fn stack(&self) -> Stack {
        Stack { base: self.base.load(Ordering::Relaxed), size: self.size.load(Ordering::Relaxed) }
    }

    fn forget(&self) {
        self.base.store(0, Ordering::Relaxed);
        self.thread.store(0, Ordering::Relaxed);
    }
}

/// The deepest threads, and how many stacks were measured.
struct Deepest {
    thread: AtomicI32,
    used: AtomicUsize,
    of: AtomicUsize,
    signal: AtomicU16,
}

static DEEPEST: [Deepest; 8] = [const {
    Deepest {
        thread: AtomicI32::new(0),
        used: AtomicUsize::new(0),
        of: AtomicUsize::new(0),
        signal: AtomicU16::new(0),
    }
}; 8];
static MEASURED: AtomicUsize = AtomicUsize::new(0);

/// Measures a stack of `thread`. Only threads that end at the same moment can
/// disturb each other here, and one of them is then missing.
fn record(thread: c_int, stack: Stack) {
    MEASURED.fetch_add(1, Ordering::Relaxed);
    let (used, of) = (used(stack), stack.size);
    let signal = if used > 0 { last_signal::of(stack) } else { Signal::UNKNOWN };
    BLOCK.counters.deepest.note(thread, used, of, signal);
    let known = DEEPEST.iter().find(|one| one.thread.load(Ordering::Relaxed) == thread);
    let least = || DEEPEST.iter().min_by_key(|one| one.used.load(Ordering::Relaxed));
    let Some(place) = known.or_else(least) else { return };
    if used > place.used.load(Ordering::Relaxed) {
        place.thread.store(thread, Ordering::Relaxed);
        place.of.store(of, Ordering::Relaxed);
        place.signal.store(signal.0, Ordering::Relaxed);
        place.used.store(used, Ordering::Relaxed);
    }
}

/// Reads memory that may be gone. False if it is.
fn read(at: usize, part: &mut [u8]) -> bool {
    if cfg!(sigward_plant = "careless_stacks") {
        // For tests that must fail with this.
        // SAFETY: none.
        part.copy_from_slice(unsafe { core::slice::from_raw_parts(at as *const u8, part.len()) });
        return true;
    }
    call::read_own(OWNER.pid(), at, part).is_ok()
}

/// Bytes from the lowest one that is not zero to the top, as far as the stack
/// can be read. It may be another thread's, who may unmap it meanwhile.
fn used(stack: Stack) -> usize {
    let Some(top) = stack.top() else { return 0 };
    let mut buffer = [0; 256];
    let mut at = stack.base;
    while at < top {
        let end = (at / buffer.len() + 1).saturating_mul(buffer.len()).min(top);
        let part = buffer.get_mut(..end.wrapping_sub(at)).unwrap_or_default();
        if read(at, part)
            && let Some(place) = part.iter().position(|&byte| byte != 0)
        {
            return top.wrapping_sub(at).wrapping_sub(place);
        }
        at = end;
    }
    0
}

/// Measures a stack of ours, that `thread` has or had.
pub(crate) fn of_ours(thread: c_int, stack: Stack) {
    if wanted(Depth::Ours) {
        record(thread, stack);
    }
}

/// The calling thread is about to set the stack `next`, `given` if it is one of
/// ours, or none. Returns whether `next` is to be measured.
pub(super) fn before_change(next: Option<Stack>, given: bool) -> bool {
    let Some(next) = next else { return false };
    if given {
        return wanted(Depth::Ours);
    }
    let runs_there = arch::stack_pointer().wrapping_sub(next.base) < next.size;
    if !wanted(Depth::All) || runs_there || next.top().is_none() {
        return false;
    }
    if Set::of(call::gettid()).is_some_and(|set| set.stack() == next) {
        return true;
    }
    // SAFETY: the user asked for it, and the program does not run there.
    unsafe { call::write_zeroes(next.base, next.size) }.is_ok()
}

/// The calling thread has set `next`, or none.
pub(super) fn after_change(next: Option<Stack>, given: bool, measured: bool) {
    if !wanted(Depth::Ours) {
        return;
    }
    let thread = call::gettid();
    let set = Set::of(thread);
    if let Some(set) = set {
        if next == Some(set.stack()) {
            return;
        }
        record(thread, set.stack());
        set.forget();
    }
    let Some(next) = next.filter(|_| measured) else { return };
    let take = |set: &&Set| {
        set.thread.compare_exchange(0, thread, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    };
    if let Some(set) = SETS.each.iter().find(take) {
        set.size.store(next.size, Ordering::Relaxed);
        set.guarded.store(given, Ordering::Relaxed);
        set.base.store(next.base, Ordering::Release);
    }
}

/// The size of the stack of ours whose guard has `address`, and whether the
/// program has set one in its place.
pub(super) fn overflowed(address: usize) -> Option<(usize, bool)> {
    let in_guard =
        |stack: &Stack| address < stack.base && address >= stack.base.wrapping_sub(page::size());
    let guarded =
        |set: &&Set| set.thread.load(Ordering::Relaxed) != 0 && set.guarded.load(Ordering::Relaxed);
    let given = SETS.each.iter().filter(guarded).map(Set::stack).find(in_guard);
    let own = || arena::around(address).filter(in_guard);
    given.map(|stack| (stack.size, true)).or_else(|| own().map(|stack| (stack.size, false)))
}

/// The calling thread ends.
pub(super) fn thread_end() {
    if !wanted(Depth::Ours) {
        return;
    }
    let thread = call::gettid();
    let Some(set) = Set::of(thread) else { return };
    // What is not registered any more may hold something else.
    if call::current_altstack().is_ok_and(|now| Stack::of(&now) == set.stack()) {
        record(thread, set.stack());
    }
    set.forget();
}

/// `thread` has ended without a notice, and the stack in place of its own is
/// about to be unmapped.
pub(super) fn before_unmapping(thread: c_int) {
    if wanted(Depth::Ours)
        && let Some(set) = Set::of(thread)
    {
        record(thread, set.stack());
        set.forget();
    }
}

/// In a forked child, whose only thread is now `thread`: what its parent's
/// threads used is its parent's to tell.
pub(super) fn in_child(thread: c_int) {
    let now = call::current_altstack().map(|now| Stack::of(&now));
    for set in &SETS.each {
        let own = set.thread.load(Ordering::Relaxed) != 0 && now == Ok(set.stack());
        set.thread.store(if own { thread } else { 0 }, Ordering::Relaxed);
    }
    for one in &DEEPEST {
        one.thread.store(0, Ordering::Relaxed);
        one.used.store(0, Ordering::Relaxed);
    }
    MEASURED.store(0, Ordering::Relaxed);
    BLOCK.counters.deepest.forget();
}

/// The program ends: measures the stacks that are still in use, and writes the
/// line.
pub fn at_exit() {
    if !wanted(Depth::Ours) || !crate::residency::on_duty() || !stderr::is_open() {
        return;
    }
    for slot in arena::slots() {
        if let Some(thread) = slot.thread() {
            of_ours(thread, slot.stack());
        }
    }
    for set in &SETS.each {
        let thread = set.thread.load(Ordering::Relaxed);
        if thread != 0 {
            record(thread, set.stack());
        }
    }
    WANTED.store(0, Ordering::Relaxed);
    print();
}

fn print() {
    let mut line = Line::default();
    let count = MEASURED.load(Ordering::Relaxed);
    // Writing to a `Line` cannot fail.
    let _ = write!(line, "sigward[{}]: alternate stacks measured: {count}", call::getpid());
    let mut bound = usize::MAX;
    let mut before = None;
    for _ in &DEEPEST {
        // The deepest of those that were not told yet.
        let used = |one: &&Deepest| one.used.load(Ordering::Relaxed);
        let rest = DEEPEST.iter().enumerate().filter(|(at, one)| {
            let used = used(one);
            used > 0 && (used < bound || used == bound && before.is_some_and(|last| *at > last))
        });
        let Some((at, one)) = rest.max_by_key(|(at, one)| (used(one), usize::MAX - at)) else {
            break;
        };
        let _ = write!(
            line,
            "{} thread {} used {} of {} bytes",
            if before.is_none() { "; at most:" } else { "," },
            one.thread.load(Ordering::Relaxed),
            used(&one),
            one.of.load(Ordering::Relaxed),
        );
        let signal = Signal(one.signal.load(Ordering::Relaxed));
        if let Some(last) = signal.last() {
            let how = if signal.is_only() { "by" } else { "last by" };
            let _ = write!(line, " {how} signal {last}");
        }
        (bound, before) = (used(&one), Some(at));
    }
    line.emit();
}
