//! The registry against a simple page map. After every step of a random history
//! the locked pages must be exactly those that the program locked and those
//! that an adopted stack holds.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use proptest::test_runner::TestCaseResult;

use super::page_map::{Page, PageMap, is_used};
use super::step::{Step, step};
use super::*;
use crate::residency::hash_table::Entry;

/// The registry, the kernel, and the expected state of the program.
struct World {
    registry: Registry,
    kernel: PageMap,
    /// Pages that the program locked.
    programs: BTreeSet<usize>,
    /// Pages that libc replaced without our knowledge since they were held.
    stale: BTreeSet<usize>,
    /// Pages that libc ever replaced without our knowledge.
    unseen: BTreeSet<usize>,
    /// The program's own mappings that are still whole.
    made: Vec<Pages>,
    /// What is left of the program's mappings: pages that libc never uses for
    /// its heap.
    own: BTreeSet<usize>,
    /// What must be on record, by thread and place.
    adopted: BTreeMap<(c_int, u8), Wanted>,
    /// Threads that ended without our knowledge.
    dead: BTreeSet<c_int>,
}

impl World {
    fn new() -> Self {
        watched::clear();
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
        let wished = ladder::wished(wanted.stack, wanted.headroom);
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
        let attempts =
            |usable| ladder::attempts(wanted.stack, wanted.headroom, usable, wanted.start);
        // Memory that is just not writable is locked anyway.
        let whole = attempts(ladder::wished(wanted.stack, wanted.headroom)).take(1);
        let whole = whole.filter(|attempt| attempt.rung < Rung::Touch);
        let found = whole.chain(attempts(self.usable(wanted))).find(feasible);
        found.map_or(Rung::Report, |attempt| attempt.rung)
    }

    fn adopt(&mut self, tid: c_int, role: Role, wanted: Wanted) -> TestCaseResult {
        let best = self.best(wanted);
        let first = !self.adopted.keys().any(|known| known.0 == tid);
        self.kernel.calls = 0;
        let adopted = self.registry.adopt(tid, role, wanted, &mut self.kernel);
        prop_assert!(self.kernel.calls <= 150, "{} calls for one stack", self.kernel.calls);
        prop_assert_eq!(adopted.first, first);
        // An alternate stack takes over the lock of its thread's own stack if
        // it needs it.
        let ordinary = self.adopted.get_mut(&(tid, Role::Ordinary as u8));
        let yields = role != Role::Ordinary && adopted.rung < best;
        if let Some(ordinary) = ordinary.filter(|_| yields) {
            ordinary.start = Rung::Touch;
        } else {
            prop_assert_eq!(adopted.rung, best);
        }
        self.dead.remove(&tid);
        self.adopted.insert((tid, role as u8), wanted);
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
            // As in `memory_calls::locking`: the program's locks take precedence.
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
                self.kernel.pages[page].remembered = !child;
                continue;
            }
            // The child sees zeroes there: that must lose nothing.
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
            self.kernel.pages.iter_mut().for_each(|page| page.remembered = page.copied);
            // The model keeps the old number.
            self.adopted.retain(|known, _| known.0 == tid);
            for role in Role::ALL {
                if let Some(record) = self.registry.records.remove(key(tid + 100, role)) {
                    let renamed = Record { key: key(tid, role), thread: tid, ..record };
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
            Step::Adopt { tid, role, base, size, start } => {
                let stack = Stack { base, size };
                let wanted = Wanted { stack, headroom: HEADROOM, start, disarms: false };
                self.adopt(tid, role, wanted)?;
            }
            Step::AdoptMapping { tid, role, page } => {
                let around = |made: &&Pages| made.numbers().contains(&(BASE + page));
                if let Some(made) = self.made.iter().rev().find(around) {
                    let stack = Stack { base: made.address(), size: made.bytes() };
                    let start = Rung::Lock;
                    self.adopt(
                        tid,
                        role,
                        Wanted { stack, headroom: HEADROOM, start, disarms: false },
                    )?;
                }
            }
            Step::Promote { tid, from, to } => {
                self.registry.promote(tid, from, to, kernel);
                if let Some(wanted) = self.adopted.remove(&(tid, from as u8)) {
                    self.adopted.insert((tid, to as u8), wanted);
                }
            }
            Step::Release { tid, role } => {
                self.registry.release(tid, role, kernel);
                self.adopted.remove(&(tid, role as u8));
            }
            Step::ReleaseThread { tid } => {
                self.registry.release_thread(tid, kernel);
                self.adopted.retain(|known, _| known.0 != tid);
            }
            Step::Die { tid } => {
                self.dead.insert(tid);
            }
            Step::Sweep => {
                // As many sweeps as it takes to go around once.
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
                    Some(tid) => self.registry.review_ordinary_of(tid, decide, kernel),
                    None => self.registry.review_ordinary(decide, kernel),
                }
                let ordinary = |known: &(c_int, u8)| known.1 == Role::Ordinary as u8;
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
        let role = |number: u8| Role::ALL[usize::from(number)];
        let model: BTreeSet<usize> =
            self.adopted.keys().map(|&(tid, number)| key(tid, role(number))).collect();
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
            let wished = ladder::wished(wanted.stack, wanted.headroom);
            prop_assert_eq!(record.watched, wished, "what comes back is seen");
            let unseen = wished.numbers().any(|page| self.unseen.contains(&page));
            let usable = self.usable(wanted);
            let held = record.held.common(usable) == usable || usable.is_empty();
            prop_assert!(held || unseen, "{usable:?} could be held: {record:?}");
            prop_assert!(!record.held.is_empty() || record.rung == Rung::Report);
            let frames = record.held;
            for number in frames.numbers().filter(|number| !self.stale.contains(number)) {
                let page = self.kernel.get(number);
                let good = page.resident && !(page.writable && (page.copied || page.remembered));
                prop_assert!(good, "{number:#x} would fault: {page:?} {record:?}");
            }
        }
        for number in &held {
            prop_assert!(!watched::misses(number * page::size(), 1), "{number:#x} is not watched");
        }
        self.stale.retain(|page| held.contains(page));
        Ok(())
    }

    /// Releases everything: nothing may be left.
    fn end(&mut self) -> TestCaseResult {
        for tid in 1..=THREADS {
            self.take(Step::ReleaseThread { tid })?;
            self.check()?;
        }
        prop_assert_eq!((self.registry.stacks(), self.registry.pinned_pages()), (0, 0));
        prop_assert!(
            watched::misses(BASE * page::size(), PAGES * page::size()),
            "a count was lost"
        );
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

/// When we stood down, a fork of another thread held the registry, so nothing
/// was released. When we stand up again, each page must count once.
#[test]
fn what_is_held_over_a_duty_given_up_is_in_reach_again() {
    let _alone = alone();
    let mut world = World::new();
    let stack = Stack { base: BASE * page::size(), size: 4 * page::size() };
    let wanted = Wanted { stack, headroom: HEADROOM, start: Rung::Lock, disarms: false };
    world.registry.adopt(1, Role::Current, wanted, &mut world.kernel);
    watched::shut();
    assert!(watched::misses(stack.base, stack.size), "memory calls pass meanwhile");
    world.registry.hold_all(&mut world.kernel);
    assert!(!watched::misses(stack.base, 1));
    world.registry.release_thread(1, &mut world.kernel);
    assert!(watched::misses(stack.base, stack.size), "a count was lost");
}
