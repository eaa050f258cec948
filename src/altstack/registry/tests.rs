//! The registry against a simple page map: after every step of a random
//! history, the pages that are locked must be those that the program locked
//! and those that an adopted stack holds, and no others.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use proptest::test_runner::TestCaseResult;

use super::*;
use crate::altstack::reach::tests::alone;

/// Where the model's memory begins, by page.
const BASE: usize = 0x20_0000;
/// Its pages.
const PAGES: usize = 96;
/// Bytes at the top of each stack that frames need.
const WINDOW: usize = 9000;
/// Threads that the model knows.
const THREADS: c_int = 6;

/// One page, as the kernel sees it.
#[derive(Clone, Copy, Debug, Default)]
#[allow(clippy::struct_excessive_bools, reason = "independent bits of a page table entry")]
struct Page {
    mapped: bool,
    writable: bool,
    locked: bool,
    resident: bool,
    /// Write-protected by a fork.
    copied: bool,
    wiped_on_fork: bool,
}

impl Page {
    /// False if it may not be written.
    fn touch(&mut self) -> bool {
        let good = self.mapped && self.writable;
        if good {
            (self.resident, self.copied) = (true, false);
        }
        good
    }
}

/// The kernel's side: pages, the limit on locks, and a count of calls.
#[derive(Clone)]
struct PageMap {
    pages: Vec<Page>,
    limit: usize,
    calls: usize,
}

impl PageMap {
    fn slice(&mut self, pages: Pages) -> &mut [Page] {
        assert!(!pages.is_empty(), "a call for nothing");
        self.calls += 1;
        &mut self.pages[pages.first - BASE..pages.end - BASE]
    }

    fn get(&self, page: usize) -> Page {
        self.pages[page - BASE]
    }

    fn locked_pages(&self) -> usize {
        self.pages.iter().filter(|page| page.locked).count()
    }

    fn room_for(&self, pages: Pages) -> bool {
        let new = pages.numbers().filter(|page| !self.get(*page).locked).count();
        self.locked_pages() + new <= self.limit
    }

    fn all(&self, pages: Pages, is: impl Fn(Page) -> bool) -> bool {
        pages.numbers().all(|page| is(self.get(page)))
    }

    /// Makes or takes away a mapping. Nothing of the old pages stays.
    fn replace(&mut self, pages: Pages, mapped: bool) {
        self.slice(pages).fill(Page { mapped, writable: true, ..Page::default() });
    }
}

impl Memory for PageMap {
    fn lock(&mut self, pages: Pages) -> Result<(), Errno> {
        if !self.room_for(pages) {
            return Err(Errno::ENOMEM);
        }
        for page in self.slice(pages) {
            if !page.mapped {
                return Err(Errno::ENOMEM); // what lies below stays locked
            }
            (page.locked, page.resident) = (true, true);
            page.copied &= !page.writable;
        }
        Ok(())
    }

    fn unlock(&mut self, pages: Pages) {
        self.slice(pages).iter_mut().for_each(|page| page.locked = false);
    }

    fn locked(&mut self, pages: Pages) -> Result<bool, Errno> {
        let some_locked = self.slice(pages).iter().any(|page| page.locked);
        let whole = self.slice(pages).iter().all(|page| page.mapped);
        if some_locked || whole { Ok(some_locked) } else { Err(Errno::EFAULT) }
    }

    fn touch(&mut self, pages: Pages) {
        for page in self.slice(pages) {
            if !page.touch() {
                break;
            }
        }
    }

    fn touch_down(&mut self, pages: Pages) -> Pages {
        let count =
            self.slice(pages).iter_mut().rev().map_while(|page| page.touch().then_some(())).count();
        if count == 0 { Pages::NONE } else { Pages { first: pages.end - count, ..pages } }
    }

    fn wipe_on_fork(&mut self, pages: Pages, wipe: bool) -> Result<(), Errno> {
        for page in self.slice(pages) {
            if !page.mapped {
                return Err(Errno::ENOMEM);
            }
            page.wiped_on_fork = wipe;
        }
        Ok(())
    }

    fn blank(&mut self, pages: Pages) -> Pages {
        self.calls += 1;
        let count = pages.numbers().take_while(|page| !is_used(*page)).count();
        Pages { end: pages.first + count, ..pages }
    }
}

/// Whether the page is taken to hold more than zeroes.
fn is_used(page: usize) -> bool {
    page.is_multiple_of(9)
}

/// What may happen. Places in memory are page numbers from [`BASE`] on.
#[derive(Clone, Debug)]
enum Step {
    /// A stack of so many bytes at that byte of the memory.
    Adopt {
        tid: c_int,
        place: Place,
        base: usize,
        size: usize,
        start: Rung,
    },
    /// A stack that fills the mapping that was made last around that page.
    AdoptMapping {
        tid: c_int,
        place: Place,
        page: usize,
    },
    Promote {
        tid: c_int,
        from: Place,
        to: Place,
    },
    Release {
        tid: c_int,
        place: Place,
    },
    ReleaseThread {
        tid: c_int,
    },
    /// The thread ends, and nobody tells the registry.
    Die {
        tid: c_int,
    },
    Sweep,
    Climb,
    /// Handlers come, or go: ordinary stacks are to be held, or not.
    Review {
        tid: Option<c_int>,
        start: Rung,
    },
    /// The program's own mlock(2) and munlock(2).
    Lock {
        pages: Pages,
    },
    Unlock {
        pages: Pages,
    },
    /// munmap(2), or mmap(2) with `MAP_FIXED`, through the hooks.
    Replace {
        pages: Pages,
        mapped: bool,
    },
    /// The same by libc's own hand, on memory that libc mapped.
    Behind {
        pages: Pages,
        mapped: bool,
    },
    Protect {
        pages: Pages,
        writable: bool,
    },
    /// madvise(2) with `MADV_DONTNEED`.
    DontNeed {
        pages: Pages,
    },
    /// Goes on as the parent, or as the child.
    Fork {
        tid: c_int,
        child: bool,
    },
    /// setrlimit(2), in pages.
    Limit {
        pages: usize,
    },
}

fn step() -> impl Strategy<Value = Step> {
    let tid = || 1..=THREADS;
    let place = || prop::sample::select(&Place::ALL[..]);
    let rung = prop::sample::select(&Rung::ALL[..]);
    let pages = || {
        (0..PAGES, 1..20_usize).prop_map(|(first, count)| Pages {
            first: BASE + first,
            end: BASE + (first + count).min(PAGES),
        })
    };
    let size = prop_oneof![4 => 1..40_000_usize, 1 => 65_000..150_000_usize];
    prop_oneof![
        6 => (tid(), place(), 0..PAGES * page::SIZE, size, rung).prop_map(
            |(tid, place, at, size, start)| {
                let size = size.min(PAGES * page::SIZE - at);
                Step::Adopt { tid, place, base: BASE * page::SIZE + at, size, start }
            }
        ),
        6 => (tid(), place(), 0..PAGES)
            .prop_map(|(tid, place, page)| Step::AdoptMapping { tid, place, page }),
        3 => (tid(), place(), place()).prop_map(|(tid, from, to)| Step::Promote { tid, from, to }),
        3 => (tid(), place()).prop_map(|(tid, place)| Step::Release { tid, place }),
        1 => tid().prop_map(|tid| Step::ReleaseThread { tid }),
        1 => tid().prop_map(|tid| Step::Die { tid }),
        1 => Just(Step::Sweep),
        1 => Just(Step::Climb),
        1 => (prop::option::of(tid()), prop::sample::select(&Rung::ALL[..]))
            .prop_map(|(tid, start)| Step::Review { tid, start }),
        2 => pages().prop_map(|pages| Step::Lock { pages }),
        2 => pages().prop_map(|pages| Step::Unlock { pages }),
        4 => (pages(), prop::bool::weighted(0.8))
            .prop_map(|(pages, mapped)| Step::Replace { pages, mapped }),
        1 => (pages(), any::<bool>()).prop_map(|(pages, mapped)| Step::Behind { pages, mapped }),
        1 => (pages(), any::<bool>())
            .prop_map(|(pages, writable)| Step::Protect { pages, writable }),
        2 => pages().prop_map(|pages| Step::DontNeed { pages }),
        2 => (tid(), prop::bool::weighted(0.2))
            .prop_map(|(tid, child)| Step::Fork { tid, child }),
        1 => (0..40_usize).prop_map(|pages| Step::Limit { pages }),
    ]
}

/// The registry, the kernel, and what is true of the program.
struct World {
    registry: Registry,
    kernel: PageMap,
    /// Pages that the program locked.
    programs: BTreeSet<usize>,
    /// Pages that libc replaced behind our back since they were held.
    stale: BTreeSet<usize>,
    /// Pages that libc ever replaced behind our back.
    unseen: BTreeSet<usize>,
    /// The program's own mappings, whole.
    made: Vec<Pages>,
    /// All that is left of them: pages which libc never uses for its heap.
    own: BTreeSet<usize>,
    /// What must be on record, by thread and place.
    adopted: BTreeMap<(c_int, u8), Wanted>,
    /// Threads that ended unseen.
    dead: BTreeSet<c_int>,
}

impl World {
    fn new() -> Self {
        reach::clear();
        origin::unmapped(0, usize::MAX);
        let page = Page { mapped: true, writable: true, ..Page::default() };
        World {
            registry: Registry::new(),
            kernel: PageMap { pages: vec![page; PAGES], limit: 60, calls: 0 },
            programs: BTreeSet::new(),
            stale: BTreeSet::new(),
            unseen: BTreeSet::new(),
            made: Vec::new(),
            own: BTreeSet::new(),
            adopted: BTreeMap::new(),
            dead: BTreeSet::new(),
        }
    }

    /// The pages that `wanted` can use: from its top down to a hole.
    fn usable(&self, wanted: Wanted) -> Pages {
        let wished = ladder::wished(wanted.stack, wanted.window);
        let good = |page: &usize| self.kernel.get(*page).mapped && self.kernel.get(*page).writable;
        let count = wished.numbers().rev().take_while(good).count();
        Pages { first: wished.end - count, ..wished }
    }

    /// The rung that `wanted` should get now.
    fn best(&self, wanted: Wanted) -> Rung {
        let feasible = |attempt: &ladder::Attempt| {
            attempt.rung == Rung::Touch
                || self.kernel.all(attempt.locked, |page| page.mapped)
                    && self.kernel.room_for(attempt.locked)
        };
        let attempts = |usable| ladder::attempts(wanted.stack, wanted.window, usable, wanted.start);
        // Memory that is only unwritable is locked all the same.
        let whole = attempts(ladder::wished(wanted.stack, wanted.window)).take(1);
        let whole = whole.filter(|attempt| attempt.rung < Rung::Touch);
        let found = whole.chain(attempts(self.usable(wanted))).find(feasible);
        found.map_or(Rung::Report, |attempt| attempt.rung)
    }

    fn adopt(&mut self, tid: c_int, place: Place, wanted: Wanted) -> TestCaseResult {
        let best = self.best(wanted);
        let first = !self.adopted.keys().any(|known| known.0 == tid);
        self.kernel.calls = 0;
        let adopted = self.registry.adopt(tid, place, wanted, &mut self.kernel);
        prop_assert!(self.kernel.calls <= 150, "{} calls for one stack", self.kernel.calls);
        prop_assert_eq!(adopted.first, first);
        // An alternate stack gets its own thread's other lock, if it needs it.
        let ordinary = self.adopted.get_mut(&(tid, Place::Ordinary as u8));
        let yields = place != Place::Ordinary && adopted.rung < best;
        if let Some(ordinary) = ordinary.filter(|_| yields) {
            ordinary.start = Rung::Touch;
        } else {
            prop_assert_eq!(adopted.rung, best);
        }
        self.dead.remove(&tid);
        self.adopted.insert((tid, place as u8), wanted);
        Ok(())
    }

    fn suspended<R>(
        &mut self,
        pages: Pages,
        replaced: bool,
        call: impl FnOnce(&mut Self) -> R,
    ) -> R {
        self.registry.suspend(pages, 1, &mut self.kernel);
        let result = call(self);
        self.registry.resume(pages, replaced, &mut self.kernel);
        result
    }

    fn lock(&mut self, pages: Pages) {
        if !self.kernel.all(pages, |page| page.mapped) {
            return;
        }
        let everything = Pages { first: 0, end: usize::MAX };
        let mut locked = self.kernel.lock(pages).is_ok();
        if !locked {
            // As `disturb::locking`: the program's locks win.
            locked = self.suspended(everything, false, |world| world.kernel.lock(pages).is_ok());
        }
        if locked {
            self.registry.program_locked(pages, true);
            self.programs.extend(pages.numbers());
            self.stale.retain(|page| !pages.numbers().contains(page));
        }
    }

    fn replace(&mut self, pages: Pages, mapped: bool) {
        origin::unmapped(pages.address(), pages.bytes());
        self.suspended(pages, true, |world| world.kernel.replace(pages, mapped));
        self.programs.retain(|page| !pages.numbers().contains(page));
        self.own.retain(|page| !pages.numbers().contains(page));
        self.made.retain(|made| made.common(pages).is_empty());
        if mapped {
            self.own.extend(pages.numbers());
            origin::mapped(pages.address(), pages.bytes());
            self.made.push(pages);
        }
    }

    fn behind(&mut self, pages: Pages, mapped: bool) {
        let libcs = |page: &usize| !self.own.contains(page) && !self.programs.contains(page);
        for page in pages.numbers().filter(libcs) {
            self.kernel.replace(Pages { first: page, end: page + 1 }, mapped);
            self.stale.insert(page);
            self.unseen.insert(page);
        }
    }

    fn fork(&mut self, tid: c_int, child: bool) -> TestCaseResult {
        self.registry.before_fork(tid, 0, |_| true, &mut self.kernel);
        for page in 0..PAGES {
            if !self.kernel.pages[page].wiped_on_fork {
                self.kernel.pages[page].copied = true;
                continue;
            }
            // It is zeroes in the child: nothing may be lost by that.
            let page = BASE + page;
            prop_assert!(self.own.contains(&page), "{page:#x} may be heap");
            let own = |((owner, _), wanted): (&(c_int, u8), &Wanted)| {
                let end = wanted.stack.base + wanted.stack.size;
                *owner == tid && Pages::around(wanted.stack.base, end).numbers().contains(&page)
            };
            let under_feet = is_used(page) && self.adopted.iter().any(own);
            prop_assert!(!under_feet, "{page:#x} may be under our feet");
        }
        if child {
            for page in &mut self.kernel.pages {
                page.locked = false;
                page.resident &= !page.wiped_on_fork;
            }
            self.programs.clear();
            self.registry.in_child(tid + 100, &mut self.kernel);
            // The model goes on with the old number.
            self.adopted.retain(|known, _| known.0 == tid);
            for place in Place::ALL {
                if let Some(record) = self.registry.records.remove(key(tid + 100, place)) {
                    let renamed = Record { key: key(tid, place), thread: tid, ..record };
                    let inserted = self.registry.records.insert(renamed);
                    prop_assert!(inserted);
                }
            }
        } else {
            self.registry.after_fork(tid, &mut self.kernel);
        }
        Ok(())
    }

    #[allow(clippy::needless_pass_by_value, reason = "a step is taken once")]
    fn take(&mut self, step: Step) -> TestCaseResult {
        let kernel = &mut self.kernel;
        match step {
            Step::Adopt { tid, place, base, size, start } => {
                let stack = Stack { base, size };
                let wanted = Wanted { stack, window: WINDOW, start, disarms: false };
                self.adopt(tid, place, wanted)?;
            }
            Step::AdoptMapping { tid, place, page } => {
                let around = |made: &&Pages| made.numbers().contains(&(BASE + page));
                if let Some(made) = self.made.iter().rev().find(around) {
                    let stack = Stack { base: made.address(), size: made.bytes() };
                    let start = Rung::Lock;
                    self.adopt(
                        tid,
                        place,
                        Wanted { stack, window: WINDOW, start, disarms: false },
                    )?;
                }
            }
            Step::Promote { tid, from, to } => {
                self.registry.promote(tid, from, to, kernel);
                if let Some(wanted) = self.adopted.remove(&(tid, from as u8)) {
                    self.adopted.insert((tid, to as u8), wanted);
                }
            }
            Step::Release { tid, place } => {
                self.registry.release(tid, place, kernel);
                self.adopted.remove(&(tid, place as u8));
            }
            Step::ReleaseThread { tid } => {
                self.registry.release_thread(tid, kernel);
                self.adopted.retain(|known, _| known.0 != tid);
            }
            Step::Die { tid } => {
                self.dead.insert(tid);
            }
            Step::Sweep => {
                // As many adoptions as it takes to go once round.
                for _ in 0..self.registry.records.capacity() {
                    kernel.calls = 0;
                    self.registry.sweep(|tid| !self.dead.contains(&tid), kernel);
                    prop_assert!(kernel.calls <= SWEPT_AT_ONCE * 4 * 10);
                }
                self.adopted.retain(|known, _| !self.dead.contains(&known.0));
            }
            Step::Climb => self.registry.climb(kernel),
            Step::Review { tid, start } => {
                let decide = |wanted: &mut Wanted, _| wanted.start = start;
                match tid {
                    Some(tid) => self.registry.review_window(tid, decide, kernel),
                    None => self.registry.review_windows(decide, kernel),
                }
                let ordinary = |known: &(c_int, u8)| known.1 == Place::Ordinary as u8;
                let whose = |known: &(c_int, u8)| tid.is_none_or(|tid| tid == known.0);
                for (known, wanted) in &mut self.adopted {
                    if ordinary(known) && whose(known) {
                        wanted.start = start;
                    }
                }
            }
            Step::Lock { pages } => self.lock(pages),
            Step::Unlock { pages } => {
                kernel.unlock(pages);
                self.programs.retain(|page| !pages.numbers().contains(page));
                self.registry.program_locked(pages, false);
                self.registry.refresh(pages, kernel);
                self.registry.climb(kernel);
            }
            Step::Replace { pages, mapped } => self.replace(pages, mapped),
            Step::Behind { pages, mapped } => self.behind(pages, mapped),
            Step::Protect { pages, writable } => {
                kernel.slice(pages).iter_mut().for_each(|page| page.writable = writable);
                self.registry.refresh(pages, kernel);
            }
            Step::DontNeed { pages } => self.suspended(pages, false, |world| {
                let gone = |page: &mut Page| page.resident &= page.locked;
                world.kernel.slice(pages).iter_mut().for_each(gone);
            }),
            Step::Fork { tid, child } => self.fork(tid, child)?,
            Step::Limit { pages } => kernel.limit = pages,
        }
        Ok(())
    }

    fn check(&mut self) -> TestCaseResult {
        let records: Vec<Record> = self.registry.records.iter().copied().collect();
        let known: BTreeSet<usize> = records.iter().map(Record::key).collect();
        let place = |number: u8| Place::ALL[usize::from(number)];
        let model: BTreeSet<usize> =
            self.adopted.keys().map(|&(tid, number)| key(tid, place(number))).collect();
        prop_assert_eq!(known, model, "who is on record");
        prop_assert_eq!(self.registry.stacks(), self.adopted.len());

        let pinned: BTreeSet<usize> =
            records.iter().flat_map(|record| record.locked.numbers()).collect();
        prop_assert_eq!(self.registry.pinned_pages(), pinned.len(), "pages are counted once");
        for record in &records {
            prop_assert_eq!(record.held.common(record.locked), record.locked);
        }
        for number in 0..PAGES {
            let (page, number) = (self.kernel.pages[number], BASE + number);
            let reason = pinned.contains(&number) || self.programs.contains(&number);
            if self.stale.contains(&number) {
                prop_assert!(reason || !page.locked, "{number:#x} is locked by none");
            } else {
                prop_assert_eq!(page.locked, reason, "{:#x}: locked, and should be", number);
            }
            prop_assert!(!page.wiped_on_fork, "{number:#x} would be lost at the next fork");
        }

        let mut held = BTreeSet::new();
        for record in &records {
            prop_assert!(record.suspended == 0);
            held.extend(record.held.numbers());
            let wanted = record.wanted;
            if wanted.start == Rung::Report {
                prop_assert!(record.held.is_empty() && record.watched.is_empty());
                continue;
            }
            let wished = ladder::wished(wanted.stack, wanted.window);
            prop_assert_eq!(record.watched, wished, "what comes back is seen");
            let unseen = wished.numbers().any(|page| self.unseen.contains(&page));
            let usable = self.usable(wanted);
            let held = record.held.common(usable) == usable || usable.is_empty();
            prop_assert!(held || unseen, "{usable:?} could be held: {record:?}");
            prop_assert!(!record.held.is_empty() || record.rung == Rung::Report);
            let frames = record.held;
            for number in frames.numbers().filter(|number| !self.stale.contains(number)) {
                let page = self.kernel.get(number);
                let good = page.resident && !(page.writable && page.copied);
                prop_assert!(good, "{number:#x} would fault: {page:?} {record:?}");
            }
        }
        for number in &held {
            prop_assert!(!reach::misses(number * page::SIZE, 1), "{number:#x} is out of reach");
        }
        self.stale.retain(|page| held.contains(page));
        Ok(())
    }

    /// Everything is let go of: nothing may be left.
    fn end(&mut self) -> TestCaseResult {
        for tid in 1..=THREADS {
            self.take(Step::ReleaseThread { tid })?;
            self.check()?;
        }
        prop_assert_eq!((self.registry.stacks(), self.registry.pinned_pages()), (0, 0));
        prop_assert!(reach::misses(BASE * page::SIZE, PAGES * page::SIZE), "a count was lost");
        Ok(())
    }
}

proptest! {
    #[test]
    fn locks_are_held_for_stacks_and_the_program_alone(steps in prop::collection::vec(step(), 1..60)) {
        let _alone = alone();
        let mut world = World::new();
        for step in steps {
            world.take(step.clone())?;
            world.check().map_err(|error| TestCaseError::fail(format!("{step:?}: {error}")))?;
        }
        world.end()?;
    }
}

/// Nobody could be told to let go when the duty was given up, as a fork of
/// another thread held the registry: taken up again, each page counts once.
#[test]
fn what_is_held_over_a_duty_given_up_is_in_reach_again() {
    let _alone = alone();
    let mut world = World::new();
    let stack = Stack { base: BASE * page::SIZE, size: 4 * page::SIZE };
    let wanted = Wanted { stack, window: WINDOW, start: Rung::Lock, disarms: false };
    world.registry.adopt(1, Place::Current, wanted, &mut world.kernel);
    reach::shut();
    assert!(reach::misses(stack.base, stack.size), "memory calls pass meanwhile");
    world.registry.hold_all(&mut world.kernel);
    assert!(!reach::misses(stack.base, 1));
    world.registry.release_thread(1, &mut world.kernel);
    assert!(reach::misses(stack.base, stack.size), "a count was lost");
}

/// What concerns a stack changes while a memory call is under way on it: it is
/// let go of until that has ended, and held then as is wanted by then.
#[test]
fn a_stack_that_changes_while_it_is_let_go_of_is_held_again() {
    let _alone = alone();
    let (mut registry, mut kernel) = (Registry::new(), Noted::default());
    let everything = Pages { first: 0, end: usize::MAX };
    registry.adopt(1, Place::Ordinary, sixteen_pages(1), &mut kernel);
    registry.adopt(1, Place::Pending, sixteen_pages(2), &mut kernel);
    registry.suspend(everything, 1, &mut kernel);
    let mut decided = |registry: &mut Registry, start| {
        registry.review_window(1, |wanted, _| wanted.start = start, &mut kernel);
        registry.promote(1, Place::Pending, Place::Current, &mut kernel);
        assert!(registry.records.iter().all(|record| record.held.is_empty()), "too early");
    };
    decided(&mut registry, Rung::Report);
    decided(&mut registry, Rung::Touch);
    registry.resume(everything, false, &mut kernel);
    for record in registry.records.iter() {
        assert_eq!((record.suspended, record.held.count()), (0, 16), "{record:?}");
    }
    registry.release_thread(1, &mut kernel);
    assert!(reach::misses(BASE * page::SIZE, 60 * page::SIZE), "a count was lost");
}

/// All memory is there, and locked; what is made present or flagged is noted.
#[derive(Default)]
struct Noted {
    calls: usize,
    present: Vec<Pages>,
    wiped: Vec<(Pages, bool)>,
    /// How many pages at the end hold more than zeroes.
    used: usize,
}

impl Memory for Noted {
    fn lock(&mut self, pages: Pages) -> Result<(), Errno> {
        self.touch(pages);
        Ok(())
    }
    fn unlock(&mut self, _: Pages) {
        self.calls += 1;
    }
    fn locked(&mut self, _: Pages) -> Result<bool, Errno> {
        self.calls += 1;
        Ok(true)
    }
    fn touch(&mut self, pages: Pages) {
        self.calls += 1;
        self.present.push(pages);
    }
    fn touch_down(&mut self, pages: Pages) -> Pages {
        self.touch(pages);
        pages
    }
    fn wipe_on_fork(&mut self, pages: Pages, wipe: bool) -> Result<(), Errno> {
        self.calls += 1;
        self.wiped.push((pages, wipe));
        Ok(())
    }
    fn blank(&mut self, pages: Pages) -> Pages {
        Pages { end: pages.end.saturating_sub(self.used), ..pages }
    }
}

fn sixteen_pages(number: usize) -> Wanted {
    let stack = Stack { base: (BASE + 20 * number) * page::SIZE, size: 16 * page::SIZE };
    Wanted { stack, window: WINDOW, start: Rung::Lock, disarms: false }
}

/// A lock would make the call fail.
#[test]
fn what_is_adopted_under_a_call_is_held_at_its_end() {
    let _alone = alone();
    let (mut registry, mut kernel) = (Registry::new(), Noted::default());
    let wanted = sixteen_pages(1);
    let all = Pages::around(wanted.stack.base, wanted.stack.base + wanted.stack.size);
    registry.adopt(1, Place::Current, wanted, &mut kernel);
    registry.suspend(all, 2, &mut kernel);
    // The same again; then that of another thread, under two calls.
    registry.adopt(1, Place::Pending, wanted, &mut kernel);
    registry.promote(1, Place::Pending, Place::Current, &mut kernel);
    registry.suspend(Pages { first: all.first, end: all.first + 1 }, 3, &mut kernel);
    registry.adopt(4, Place::Current, wanted, &mut kernel);
    assert_eq!(registry.pinned_pages(), 0);
    registry.resume(all, false, &mut kernel);
    assert_eq!(registry.pinned_pages(), 0, "the other is not over");
    registry.resume(Pages { first: all.first, end: all.first + 1 }, false, &mut kernel);
    assert_eq!(registry.pinned_pages(), 16);
    assert!(registry.steady(1).is_some() && registry.steady(4).is_some());
    reach::clear();
}

#[test]
fn a_stack_that_is_spared_costs_a_fork_three_calls() {
    let _alone = alone();
    let (mut registry, mut kernel) = (Registry::new(), Noted::default());
    for tid in 1..=20 {
        let wanted = sixteen_pages(tid as usize);
        origin::mapped(wanted.stack.base, wanted.stack.size);
        registry.adopt(tid, Place::Current, wanted, &mut kernel);
    }
    kernel = Noted::default();
    registry.before_fork(100, 0, |_| true, &mut kernel);
    assert_eq!(registry.after_fork(100, &mut kernel), 0, "none was copied");
    assert_eq!(kernel.calls, 3 * 20, "locked still? wipe, and do not");
    assert_eq!(kernel.present, [], "no page needs it");
    origin::unmapped(0, usize::MAX);
    reach::clear();
}

#[test]
fn of_the_forking_threads_own_stack_what_is_blank_is_spared() {
    let _alone = alone();
    let (mut registry, mut kernel) = (Registry::new(), Noted::default());
    let wanted = sixteen_pages(1);
    let all = Pages::around(wanted.stack.base, wanted.stack.base + wanted.stack.size);
    origin::mapped(wanted.stack.base, wanted.stack.size);
    registry.adopt(1, Place::Current, wanted, &mut kernel);
    // What is used of it, whether it stands there: what is copied.
    for (used, here, copied) in [(0, 0, 0), (6, 0, 6), (14, 0, 16), (0, wanted.stack.base + 1, 16)]
    {
        kernel = Noted { used, ..Noted::default() };
        registry.before_fork(1, here, |_| true, &mut kernel);
        let wiped: Vec<_> = kernel.wiped.clone();
        let spared = Pages { end: all.end - copied, ..all };
        let expected = if spared.is_empty() { vec![] } else { vec![(spared, true)] };
        assert_eq!(wiped, expected, "{used} used, at {here:#x}");
        registry.after_fork(1, &mut kernel);
        assert_eq!(kernel.wiped.len(), 2 * wiped.len(), "it is undone");
        assert_eq!(kernel.present.is_empty(), copied == 0, "{used} used, at {here:#x}");
    }
    origin::unmapped(0, usize::MAX);
    reach::clear();
}

/// One call for each, whoever's the memory is.
#[test]
fn a_stack_that_frames_fill_is_made_ready_at_once() {
    let _alone = alone();
    let (mut registry, mut kernel) = (Registry::new(), Noted::default());
    for tid in 1..=20 {
        let wanted = Wanted { window: 16 * page::SIZE, ..sixteen_pages(tid as usize) };
        registry.adopt(tid, Place::Current, wanted, &mut kernel);
    }
    kernel = Noted::default();
    registry.before_fork(100, 0, |_| true, &mut kernel);
    assert_eq!(registry.after_fork(100, &mut kernel), 20, "all were copied");
    assert_eq!((kernel.calls, kernel.present.len()), (20, 20));
    reach::clear();
}

#[test]
fn after_a_fork_the_next_frames_come_first() {
    let _alone = alone();
    origin::unmapped(0, usize::MAX);
    let (mut registry, mut kernel) = (Registry::new(), Noted::default());
    for (tid, place) in [(1, Place::Ordinary), (2, Place::Current), (3, Place::Current)] {
        registry.adopt(tid, place, sixteen_pages(tid as usize), &mut kernel);
    }
    registry.adopt(4, Place::Current, sixteen_pages(4), &mut kernel);
    kernel = Noted::default();
    registry.before_fork(4, 0, |_| true, &mut kernel);
    assert_eq!(registry.after_fork(4, &mut kernel), 3);
    let stack = |pages: &Pages| (pages.first - BASE) / 20;
    let mut order: Vec<_> = kernel.present.iter().map(|pages| (stack(pages), *pages)).collect();
    order.dedup();
    let whole = |number: usize| {
        let first = BASE + 20 * number;
        (number, Pages { first, end: first + 16 })
    };
    let frames = |number| {
        let Wanted { stack, window, .. } = sixteen_pages(number);
        (number, ladder::frames(stack, window))
    };
    let (mut first, mut then) = ([frames(2), frames(3)], [whole(2), whole(3)]);
    if order.first() == Some(&frames(3)) {
        first.reverse();
        then.reverse();
    }
    assert_eq!(
        order.get(..4),
        Some(&[first, then].concat()[..]),
        "other threads' alternate stacks"
    );
    let last = [frames(1), whole(1), frames(4), whole(4)];
    assert_eq!(order.get(4..), Some(&last[..]), "their own stacks, and this thread's");
    reach::clear();
}

/// The work for one stack does not grow with their number.
#[test]
fn registration_is_as_cheap_with_ten_thousand_stacks() {
    /// Stacks of two pages, one of guard between them.
    struct Counted(usize);
    impl Memory for Counted {
        fn lock(&mut self, _: Pages) -> Result<(), Errno> {
            self.0 += 1;
            Ok(())
        }
        fn unlock(&mut self, _: Pages) {
            self.0 += 1;
        }
        fn locked(&mut self, _: Pages) -> Result<bool, Errno> {
            self.0 += 1;
            Ok(false)
        }
        fn touch(&mut self, _: Pages) {
            self.0 += 1;
        }
        fn touch_down(&mut self, pages: Pages) -> Pages {
            self.0 += 1;
            pages
        }
        fn wipe_on_fork(&mut self, _: Pages, _: bool) -> Result<(), Errno> {
            self.0 += 1;
            Ok(())
        }
        fn blank(&mut self, pages: Pages) -> Pages {
            pages
        }
    }

    let _alone = alone();
    let (mut registry, mut kernel) = (Registry::new(), Counted(0));
    let mut cost = |tid: c_int| {
        let stack = Stack { base: (BASE + 3 * tid as usize) * page::SIZE, size: 2 * page::SIZE };
        let wanted = Wanted { stack, window: WINDOW, start: Rung::Lock, disarms: false };
        let (looked_at, before) = (Cell::new(0), kernel.0);
        let exists = |_| looked_at.replace(looked_at.get() + 1) < usize::MAX;
        registry.sweep(exists, &mut kernel);
        registry.adopt(tid, Place::Current, wanted, &mut kernel);
        (kernel.0 - before, looked_at.get())
    };
    for tid in 1..=10_000 {
        let (calls, looked_at) = cost(tid);
        assert_eq!(calls, 3, "locked? lock, touch");
        assert!(looked_at <= SWEPT_AT_ONCE);
    }
    for tid in 1..=10_000 {
        registry.release_thread(tid, &mut kernel);
    }
    assert_eq!((registry.stacks(), registry.pinned_pages()), (0, 0));
}
