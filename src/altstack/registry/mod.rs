//! Whose stacks are adopted, and what is held for each.
//!
//! Work per operation is bounded: a stack has at most
//! [`ladder::LARGEST_WHOLE`] or a window of pages, the tables answer in
//! constant time, and each adoption looks at a few records of other threads
//! to find those that ended unseen. Only what concerns all stacks (a fork, a
//! memory call that hits one) walks over them.

use core::ffi::c_int;
use core::mem::offset_of;

use super::known::Steady;
use super::ladder::{self, Rung, Stack};
use super::pins::{Memory, Pins};
use super::table::{Entry, Table};
use super::{disturb, known, origin, reach};
use crate::block::{self, BLOCK};
use crate::stats;
use crate::sys::errno::Errno;
use crate::sys::page::{self, Pages};
use crate::sys::startup;

/// Most pages that are locked in all: 256 MiB. Beyond it stacks are touched.
pub const MOST_PAGES: usize = (256 << 20) / page::SIZE;

/// Most stacks that are locked in all. Locking a part of a mapping splits it
/// in up to three; twice this number is half of the usual `vm.max_map_count`.
pub const MOST_STACKS: usize = 16_384;

/// Records looked at for dead threads, for each stack that is adopted.
const SWEPT_AT_ONCE: usize = 8;

/// What a stack is to its thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Place {
    /// The alternate stack in force.
    Current,
    /// Made ready for a sigaltstack(2) call that is under way.
    Pending,
    /// Disarmed by `SS_AUTODISARM` while its handler runs: the kernel will
    /// put it back.
    Disarmed,
    /// The thread's own stack, of which a window is held.
    Ordinary,
}

impl Place {
    const ALL: [Place; 4] = [Place::Current, Place::Pending, Place::Disarmed, Place::Ordinary];
}

/// A stack to be made resident.
#[derive(Clone, Copy, Debug, PartialEq)]
#[repr(C)]
pub struct Wanted {
    /// Where it is.
    pub stack: Stack,
    /// Bytes at its top that frames need.
    pub window: usize,
    /// The rung to start from.
    pub start: Rung,
    /// Registered with `SS_AUTODISARM`.
    pub disarms: bool,
}

/// One stack of one thread. What comes before `watched` may be read from
/// outside: see [`block`], and `docs/published-block.md` for the rules of its
/// layout and what is to come next.
#[derive(Clone, Copy, Debug, PartialEq)]
#[repr(C)]
struct Record {
    key: usize,
    wanted: Wanted,
    /// The pages that were made resident: from the top down to a hole, or to
    /// the end of what is watched.
    held: Pages,
    /// Those of them that are pinned, down from the top.
    locked: Pages,
    thread: c_int,
    place: Place,
    /// How.
    rung: Rung,
    /// Filled a mapping of the program's own when it was adopted (see
    /// [`origin`]), and has been locked by us ever since.
    proven: bool,
    /// How many memory calls are under way for which it is let go of.
    suspended: u32,
    /// The pages that memory calls are watched on: what would be held if there
    /// were no hole.
    watched: Pages,
    /// Its thread's pointer.
    pointer: usize,
    /// The pages kept from being copied by the fork under way, or the last one:
    /// who resets it after a fork has the kernel copy the table.
    wiped: Pages,
}

// The document has these.
#[cfg(target_pointer_width = "64")]
const _: () = {
    assert!(offset_of!(Record, held) == 40);
    assert!(offset_of!(Record, locked) == 56);
    assert!(offset_of!(Record, thread) == 72);
    assert!(offset_of!(Record, rung) == 77);
    assert!(offset_of!(Record, suspended) == 80);
    assert!(offset_of!(Record, watched) == 88);
};

// SAFETY: zeroes are a record with key 0, which no thread has; `Rung::Lock`
// has discriminant 0.
unsafe impl Entry for Record {
    fn key(&self) -> usize {
        self.key
    }

    fn moved_to(address: usize, capacity: usize) {
        let entry =
            block::Entry { size: size_of::<Record>(), published: offset_of!(Record, watched) };
        BLOCK.table_is_at(address, capacity, entry);
    }

    fn gone_from(address: usize) {
        BLOCK.table_was_at(address);
    }
}

impl Record {
    /// No stack: all zeroes, as the registry is to take no room in the file.
    const NONE: Record = Record {
        key: 0,
        pointer: 0,
        wanted: Wanted {
            stack: Stack { base: 0, size: 0 },
            window: 0,
            start: Rung::Lock,
            disarms: false,
        },
        held: Pages::NONE,
        locked: Pages::NONE,
        thread: 0,
        place: Place::Current,
        rung: Rung::Lock,
        proven: false,
        suspended: 0,
        watched: Pages::NONE,
        wiped: Pages::NONE,
    };

    fn tid(&self) -> c_int {
        self.thread
    }

    fn ordinary(&self) -> bool {
        self.place == Place::Ordinary
    }

    /// Whether the first attempt of the ladder held.
    fn at_its_best(&self) -> bool {
        let best = self.attempts(self.watched).next();
        best.is_none_or(|best| best.rung == self.rung)
    }

    fn attempts(&self, usable: Pages) -> impl Iterator<Item = ladder::Attempt> + use<> {
        let Wanted { stack, window, start, .. } = self.wanted;
        ladder::attempts(stack, window, usable, start)
    }

    fn pinned(&self) -> bool {
        !self.locked.is_empty()
    }

    /// What must not be let go of while other threads run, if that can be
    /// helped: what lies below it no frame needs but one nested deep.
    fn firm(&self) -> Pages {
        if self.pinned() { self.locked } else { self.held }
    }

    fn concerns(&self, pages: Pages) -> bool {
        !self.watched.common(pages).is_empty()
    }
}

fn key(tid: c_int, place: Place) -> usize {
    (tid as usize).wrapping_mul(4).wrapping_add(place as usize)
}

/// What came of an adoption.
#[derive(Clone, Copy, Debug)]
pub struct Adopted {
    /// The rung that held.
    pub rung: Rung,
    /// The pages that it holds.
    pub held: Pages,
    /// The error of the last refused lock, if one was.
    pub refused: Option<Errno>,
    /// Whether the thread had no record before.
    pub first: bool,
}

/// The memory calls that are under way, for which stacks are let go of. What is
/// adopted meanwhile must not make them fail.
struct Calls {
    pages: [Pages; 8],
}

impl Calls {
    const fn new() -> Self {
        Calls { pages: [Pages::NONE; 8] }
    }

    /// One more, which is not told of if there are too many.
    fn begin(&mut self, pages: Pages) {
        self.change(Pages::NONE, pages);
    }

    fn end(&mut self, pages: Pages) {
        self.change(pages, Pages::NONE);
    }

    fn change(&mut self, from: Pages, to: Pages) {
        if let Some(place) = self.pages.iter_mut().find(|pages| **pages == from) {
            *place = to;
        }
    }

    /// How many there are on `pages`; none if not each will end.
    fn on(&self, pages: Pages) -> u32 {
        let on = self.pages.iter().filter(|call| !call.common(pages).is_empty());
        if disturb::all_end() { on.count() as u32 } else { 0 }
    }
}

/// All adopted stacks and the pages pinned for them.
pub struct Registry {
    records: Table<Record>,
    pins: Pins,
    watch: reach::Watch,
    calls: Calls,
    /// Where [`Registry::sweep`] goes on.
    hand: usize,
    /// The forking thread's own stacks, for the child.
    own: [Record; Place::ALL.len()],
    /// What the fork under way, or the last one, does not copy.
    spared: fork::Spared,
}

impl Registry {
    /// Nothing adopted.
    #[must_use]
    pub const fn new() -> Self {
        Registry {
            records: Table::new(),
            pins: Pins::new(),
            watch: reach::Watch::new(),
            calls: Calls::new(),
            hand: 0,
            own: [Record::NONE; Place::ALL.len()],
            spared: fork::Spared::none(),
        }
    }

    /// Pages pinned now.
    #[must_use]
    pub const fn pinned_pages(&self) -> usize {
        self.pins.count()
    }

    /// Stacks on record now.
    #[must_use]
    pub const fn stacks(&self) -> usize {
        self.records.len()
    }

    /// Stacks that are locked now. Looks at all records.
    #[must_use]
    pub fn locked_stacks(&self) -> usize {
        self.records.iter().filter(|record| record.rung < Rung::Touch).count()
    }

    /// Whether thread `tid` has a record.
    #[must_use]
    pub fn has(&self, tid: c_int) -> bool {
        Place::ALL.iter().any(|place| self.records.get(key(tid, *place)).is_some())
    }

    /// The alternate stack of thread `tid` that is in force, if it is locked as
    /// well as can be, and to set it again would change nothing.
    #[must_use]
    pub fn steady(&self, tid: c_int) -> Option<Steady> {
        let record = self.records.get(key(tid, Place::Current))?;
        let best = record.at_its_best() && record.pinned() && record.held == record.watched;
        // The kernel puts a disarmed one back, and takes this one's place.
        let disarmed = self.records.get(key(tid, Place::Disarmed)).is_some();
        let steady = record.suspended == 0 && !record.wanted.disarms && !disarmed;
        let Record { wanted: Wanted { stack, .. }, held, rung, .. } = *record;
        (best && steady).then_some(Steady { stack, held, rung })
    }

    /// Makes `wanted` resident for thread `tid`, which calls, and records it at
    /// `place`, in the stead of what was recorded there.
    pub fn adopt(
        &mut self,
        tid: c_int,
        place: Place,
        wanted: Wanted,
        memory: &mut impl Memory,
    ) -> Adopted {
        let first = !self.has(tid);
        let mut record = Record {
            key: key(tid, place),
            pointer: startup::thread_pointer(),
            wanted,
            held: Pages::NONE,
            locked: Pages::NONE,
            thread: tid,
            place,
            rung: Rung::Report,
            proven: false,
            suspended: 0,
            watched: Pages::NONE,
            wiped: Pages::NONE,
        };
        let mut refused = self.hold(&mut record, memory);
        if refused.is_some() && place != Place::Ordinary && self.yield_ordinary(tid, memory) {
            self.let_go(&mut record, memory);
            refused = self.hold(&mut record, memory);
        }
        // Its thread may meet a page that is not resident meanwhile.
        stats::WINDOWS.add(usize::from(record.suspended > 0));
        record.proven = !record.ordinary() && record.pinned() && origin::proven(wanted.stack);
        self.release(tid, place, memory);
        if !self.records.insert(record) {
            self.let_go(&mut record, memory);
        }
        Adopted { rung: record.rung, held: record.held, refused, first }
    }

    /// Takes the lock off the own stack of thread `tid`, for the sake of its
    /// alternate one, whose handlers were meant to be safe. False if there is
    /// none to take.
    fn yield_ordinary(&mut self, tid: c_int, memory: &mut impl Memory) -> bool {
        let own = self.records.get(key(tid, Place::Ordinary)).copied();
        let Some(mut record) = own.filter(Record::pinned) else { return false };
        self.let_go(&mut record, memory);
        record.wanted.start = Rung::Touch;
        let _ = self.hold(&mut record, memory);
        if let Some(place) = self.records.get_mut(record.key) {
            *place = record;
        }
        true
    }

    /// Climbs the ladder for `record`, which holds nothing. Returns the error
    /// of the last refused lock.
    fn hold(&mut self, record: &mut Record, memory: &mut impl Memory) -> Option<Errno> {
        let wanted = record.wanted;
        if wanted.start == Rung::Report {
            return None;
        }
        record.watched = ladder::wished(wanted.stack, wanted.window);
        self.watch.raise(record.watched);
        record.suspended = self.calls.on(record.watched);
        if record.suspended > 0 {
            // It would fail for a lock, and the last one's end holds this.
            return None;
        }
        let best = record.attempts(record.watched).take(1);
        let mut refused = self.lock(record, best, memory);
        if !record.pinned() {
            let usable = memory.touch_down(record.watched);
            let whole = usable == record.watched;
            if !whole {
                // That was for a hole, not for the limit.
                refused = None;
            }
            let next = record.attempts(usable).skip(usize::from(whole));
            refused = self.lock(record, next, memory).or(refused);
            if !record.pinned() && !usable.is_empty() {
                // By the touch that has been.
                (record.held, record.rung) = (usable, Rung::Touch);
                return refused;
            }
        }
        record.held = ready(record, memory);
        refused
    }

    /// Makes those of `attempts` that lock, up to one that holds. Returns the
    /// error of the last that was refused.
    fn lock(
        &mut self,
        record: &mut Record,
        attempts: impl Iterator<Item = ladder::Attempt>,
        memory: &mut impl Memory,
    ) -> Option<Errno> {
        let mut refused = None;
        for attempt in attempts.filter(|attempt| attempt.rung < Rung::Touch) {
            // First, as locking a file's shared pages leaves them read-only.
            // It also binds the whole mapping to one anon_vma before the lock
            // splits it: else its parts may never merge again, and mremap(2)
            // would fail on them.
            memory.touch(attempt.locked);
            match self.pin(attempt.locked, memory) {
                Ok(()) => {
                    (record.locked, record.rung) = (attempt.locked, attempt.rung);
                    break;
                }
                // Unmapped memory is no question of limits.
                Err(Errno::EFAULT) => {}
                Err(error) => refused = Some(error),
            }
        }
        refused
    }

    fn pin(&mut self, pages: Pages, memory: &mut impl Memory) -> Result<(), Errno> {
        let room = self.pins.count().saturating_add(pages.count()) <= MOST_PAGES
            && self.records.len() < MOST_STACKS;
        if room { self.pins.pin(pages, memory) } else { Err(Errno::EAGAIN) }
    }

    /// Lets go of what `record` holds, and watches it no longer.
    fn let_go(&mut self, record: &mut Record, memory: &mut impl Memory) {
        self.unpin(record, memory);
        self.watch.lower(record.watched);
        record.watched = Pages::NONE;
    }

    /// Lets go of what `record` holds.
    fn unpin(&mut self, record: &mut Record, memory: &mut impl Memory) {
        if !record.ordinary() {
            known::doubt(record.pointer, record.tid());
        }
        if record.pinned() {
            self.pins.release(record.locked, memory);
        }
        (record.held, record.locked) = (Pages::NONE, Pages::NONE);
        record.rung = Rung::Report;
    }

    /// Moves the record at `from` to `to`, releasing what was there.
    pub fn promote(&mut self, tid: c_int, from: Place, to: Place, memory: &mut impl Memory) {
        let Some(mut record) = self.records.remove(key(tid, from)) else { return };
        self.release(tid, to, memory);
        if record.suspended == 0 && !record.at_its_best() {
            // What was released may have left room for a lock.
            self.let_go(&mut record, memory);
            let _ = self.hold(&mut record, memory);
        }
        // There is room: one was just taken out.
        let _ = self.records.insert(Record { key: key(tid, to), place: to, ..record });
    }

    /// Has `decide` change what is wanted of each thread's own stack, given
    /// whether the thread has an alternate one, and holds it so.
    pub fn review_windows(&mut self, decide: impl Fn(&mut Wanted, bool), memory: &mut impl Memory) {
        self.each(|registry, record| {
            if record.ordinary() {
                registry.review(record, &decide, memory);
            }
        });
    }

    /// The same for thread `tid` alone.
    pub fn review_window(
        &mut self,
        tid: c_int,
        decide: impl Fn(&mut Wanted, bool),
        memory: &mut impl Memory,
    ) {
        let own = key(tid, Place::Ordinary);
        if let Some(mut record) = self.records.get(own).copied() {
            self.review(&mut record, &decide, memory);
            if let Some(place) = self.records.get_mut(own) {
                *place = record;
            }
        }
    }

    fn review(
        &mut self,
        record: &mut Record,
        decide: &impl Fn(&mut Wanted, bool),
        memory: &mut impl Memory,
    ) {
        let has = |place| self.records.get(key(record.tid(), place)).is_some();
        let mut wanted = record.wanted;
        decide(&mut wanted, has(Place::Current) || has(Place::Disarmed));
        if wanted.start == record.wanted.start {
            return;
        }
        record.wanted = wanted;
        if record.suspended > 0 {
            // It is watched on, for the end of the call that is under way to
            // find it and to hold it so.
            return;
        }
        self.let_go(record, memory);
        if wanted.start < Rung::Report {
            let _ = self.hold(record, memory);
            stats::rung(record.rung).count();
        }
    }

    /// The stack recorded at `place`.
    #[must_use]
    pub fn wanted(&self, tid: c_int, place: Place) -> Option<Wanted> {
        self.records.get(key(tid, place)).map(|record| record.wanted)
    }

    /// Forgets the stack at `place` and lets go of its pages.
    pub fn release(&mut self, tid: c_int, place: Place, memory: &mut impl Memory) {
        if let Some(mut record) = self.records.remove(key(tid, place)) {
            self.let_go(&mut record, memory);
        }
    }

    /// Forgets all stacks of a thread that ends.
    pub fn release_thread(&mut self, tid: c_int, memory: &mut impl Memory) {
        for place in Place::ALL {
            if let Some(record) = self.records.get(key(tid, place)) {
                known::forget(record.pointer, tid);
            }
            self.release(tid, place, memory);
        }
    }

    /// Looks at the next few records and releases those of threads that
    /// `exists` does not know: their end was not seen.
    pub fn sweep(&mut self, exists: impl Fn(c_int) -> bool, memory: &mut impl Memory) {
        for _ in 0..SWEPT_AT_ONCE {
            match self.records.at(self.hand).map(Record::tid) {
                // The gap may be filled with another: look there again.
                Some(tid) if !exists(tid) => self.release_thread(tid, memory),
                _ => self.hand = self.hand.wrapping_add(1),
            }
        }
    }

    /// Runs `change` on every record and the pins.
    fn each(&mut self, change: impl FnMut(&mut Self, &mut Record)) {
        self.each_that(|_| true, change);
    }

    /// Runs `change` on the pins and every record for which `wanted`.
    fn each_that(
        &mut self,
        wanted: impl Fn(&Record) -> bool,
        mut change: impl FnMut(&mut Self, &mut Record),
    ) {
        for index in 0..self.records.capacity() {
            let before = self.records.at(index).filter(|record| wanted(record)).copied();
            let Some(mut record) = before else { continue };
            change(self, &mut record);
            // After a fork the kernel copies what is written to.
            if before != Some(record)
                && let Some(place) = self.records.get_mut(record.key)
            {
                *place = record;
            }
        }
    }

    /// Lets go of every stack that has one of `pages`, until as many calls of
    /// [`Registry::resume`] with the same pages: other threads may be at the
    /// same. Returns how many of them are not `own`: their threads may meet a
    /// page that is not resident meanwhile.
    pub fn suspend(&mut self, pages: Pages, own: c_int, memory: &mut impl Memory) -> usize {
        self.calls.begin(pages);
        let mut others = 0_usize;
        self.each(|registry, record| {
            if record.concerns(pages) {
                let loses = record.tid() != own && !record.held.is_empty();
                others = others.wrapping_add(usize::from(loses));
                if record.suspended == 0 {
                    doubt(record, memory);
                }
                registry.unpin(record, memory);
                record.suspended = record.suspended.saturating_add(1);
            }
        });
        others
    }

    /// Holds the suspended stacks that have one of `pages` again, as far as
    /// the memory is still there and no other call needs them let go of. With
    /// `replaced`, what was proven of it is forgotten.
    pub fn resume(&mut self, pages: Pages, replaced: bool, memory: &mut impl Memory) {
        self.calls.end(pages);
        self.each(|registry, record| {
            if record.suspended > 0 && record.concerns(pages) {
                record.suspended -= 1;
                record.proven &= !replaced;
                if record.suspended == 0 {
                    registry.let_go(record, memory);
                    let _ = registry.hold(record, memory);
                    record.proven &= record.pinned();
                }
            }
        });
    }

    /// Lets go of every stack and watches none: memory calls pass from now on.
    pub fn let_go_of_all(&mut self, memory: &mut impl Memory) {
        self.each(|registry, record| registry.let_go(record, memory));
        reach::shut();
    }

    /// Holds again what [`Registry::let_go_of_all`] let go of.
    pub fn hold_all(&mut self, memory: &mut impl Memory) {
        self.each(|registry, record| {
            registry.let_go(record, memory);
            record.suspended = 0;
            record.proven = false;
            let _ = registry.hold(record, memory);
        });
    }

    /// Tries to hold those stacks by a better rung that are not on their
    /// first: there may be room for locks again. A few refusals are proof
    /// that there is none, and more would only take time.
    pub fn climb(&mut self, memory: &mut impl Memory) {
        const REFUSALS: usize = 4;
        let mut refused = 0;
        self.each(|registry, record| {
            let low = record.rung == Rung::Touch && record.wanted.start < Rung::Touch;
            if low && refused < REFUSALS {
                registry.let_go(record, memory);
                let _ = registry.hold(record, memory);
                refused += usize::from(record.rung == Rung::Touch);
            }
        });
    }

    /// Makes every stack resident again that has pages among `pages`, where
    /// something may have taken them away or brought them back.
    pub fn refresh(&mut self, pages: Pages, memory: &mut impl Memory) {
        self.each(|registry, record| {
            if record.concerns(pages) {
                registry.restore(record, memory);
            }
        });
    }

    /// Makes the held pages of `record` present and writable in the way of its
    /// rung; where that was lost, or more can be held now, it climbs the ladder
    /// anew.
    fn restore(&mut self, record: &mut Record, memory: &mut impl Memory) {
        if record.suspended > 0 || record.watched.is_empty() {
            return;
        }
        doubt(record, memory);
        let refused = record.pinned() && memory.lock(record.locked).is_err();
        if !record.held.is_empty() {
            // Also what is locked: a file's shared pages may be read-only.
            memory.touch(record.held);
        }
        if refused {
            // By one page that cannot be used now, as may be, of many.
            memory.touch_down(record.locked);
        }
        let ready = ready(record, memory);
        // mlock(2) also fails for memory that is locked, but unreadable now.
        let mut each =
            record.locked.numbers().map(|first| Pages { first, end: first.wrapping_add(1) });
        let unlocked = refused && !each.all(|page| memory.locked(page) == Ok(true));
        // What lies below the frames is not for the rung to decide.
        let other = record.rung != Rung::Frame && ready != record.held;
        if unlocked || other {
            self.let_go(record, memory);
            let _ = self.hold(record, memory);
            record.proven = false;
        } else {
            record.held = ready;
        }
    }

    /// Whether every page in `pages` that is held firmly belongs to a stack which
    /// is proven to be private anonymous memory, and is not locked by the
    /// program.
    #[must_use]
    pub fn all_proven(&self, pages: Pages) -> bool {
        let unproven = |record: &Record| {
            let certain = record.proven && record.pinned();
            !certain && !record.firm().common(pages).is_empty()
        };
        !self.records.iter().any(unproven) && !self.pins.any_programs(pages)
    }

    /// The firmly held pages within `pages`, run by run, lowest first: the first
    /// run that begins at or above page `from`.
    #[must_use]
    pub fn held_run(&self, pages: Pages, from: usize) -> Pages {
        let within = |record: &Record| {
            record.firm().common(pages).common(Pages { first: from, end: usize::MAX })
        };
        let parts = || self.records.iter().map(within).filter(|part| !part.is_empty());
        let Some(mut run) = parts().min_by_key(|part| part.first) else { return Pages::NONE };
        // Neighbours that touch or overlap belong to the same run.
        while let Some(end) = parts()
            .filter(|part| part.first <= run.end && part.end > run.end)
            .map(|part| part.end)
            .max()
        {
            run.end = end;
        }
        run
    }

    /// Whether thread `tid` alone holds pages within `pages`.
    #[must_use]
    pub fn only(&self, tid: c_int, pages: Pages) -> bool {
        !self
            .records
            .iter()
            .any(|record| record.tid() != tid && !record.held.common(pages).is_empty())
    }

    /// The program locked (`true`) or unlocked `pages` itself.
    pub fn program_locked(&mut self, pages: Pages, locked: bool) {
        self.pins.mark(pages, locked);
    }

    /// The program tried to unlock `pages`, and failed: a part may be unlocked.
    pub fn program_unlocked_some(&mut self, pages: Pages, memory: &mut impl Memory) {
        self.pins.mark_unlocked(pages, memory);
    }

    /// What is proven of the stacks that touch `pages` holds no longer.
    pub fn disprove(&mut self, pages: Pages) {
        for record in self.records.iter_mut() {
            record.proven &= !record.concerns(pages);
        }
    }
}

/// Touches what `record` watches and has not locked, down to a hole. Returns
/// that together with what is locked.
fn ready(record: &Record, memory: &mut impl Memory) -> Pages {
    let Pages { first, end } = record.watched;
    let end = if record.pinned() { record.locked.first } else { end };
    if first >= end {
        return record.locked;
    }
    memory.touch_down(Pages { first, end }).with(record.locked)
}

/// A stack that is not locked any more was unmapped, and something else may
/// have been mapped in its place, unseen by us: it is proven no longer.
fn doubt(record: &mut Record, memory: &mut impl Memory) {
    let locked = record.locked;
    let first = Pages { end: locked.first.wrapping_add(1), ..locked };
    let last = Pages { first: locked.end.wrapping_sub(1), ..locked };
    record.proven =
        record.proven && memory.locked(first) == Ok(true) && memory.locked(last) == Ok(true);
}

impl Default for Registry {
    fn default() -> Self {
        Self::new()
    }
}

mod fork;

#[cfg(test)]
mod tests;
