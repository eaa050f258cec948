//! Stacks that are set or changed during a memory call on them.

use super::page_map::{Page, PageMap};
use super::*;

/// A stack that changes during a memory call on it stays released until the
/// call ends, and is then held as wanted by that time.
#[test]
fn a_stack_that_changes_while_it_is_released_is_held_again() {
    let _alone = alone();
    let (mut registry, mut kernel) = (Registry::new(), Noted::default());
    let everything = Pages { first: 0, end: usize::MAX };
    registry.adopt(1, Role::Ordinary, sixteen_pages(1), &mut kernel);
    registry.adopt(1, Role::Pending, sixteen_pages(2), &mut kernel);
    registry.suspend(everything, 1, &mut kernel);
    let mut decided = |registry: &mut Registry, start| {
        registry.review_ordinary_of(1, |wanted, _| wanted.start = start, &mut kernel);
        registry.promote(1, Role::Pending, Role::Current, &mut kernel);
        assert_eq!(registry.pinned_pages(), 0, "too early");
    };
    decided(&mut registry, Rung::Report);
    decided(&mut registry, Rung::Touch);
    registry.resume(everything, false, &mut kernel);
    for record in registry.records.iter() {
        assert_eq!((record.suspended, record.held.count()), (0, 16), "{record:?}");
    }
    registry.release_thread(1, &mut kernel);
    assert!(watched::misses(BASE * page::size(), 60 * page::size()), "a count was lost");
}

/// The call may be over in the kernel and its end not yet recorded: a program
/// may map its next stack where it has just unmapped another one.
#[test]
fn what_is_adopted_under_a_call_is_touched_at_once() {
    let _alone = alone();
    let pages = vec![Page { mapped: true, writable: true, ..Page::default() }; PAGES];
    let mut kernel = PageMap { pages, limit: PAGES, calls: 0 };
    let (mut registry, wanted) = (Registry::new(), sixteen_pages(1));
    let all = Pages::around(wanted.stack.base, wanted.stack.base + wanted.stack.size);
    registry.suspend(all, 2, &mut kernel);
    let adopted = registry.adopt(1, Role::Current, wanted, &mut kernel);
    assert_eq!((adopted.rung, adopted.held), (Rung::Touch, all));
    assert!(kernel.all(all, |page| page.resident && !page.locked));
    registry.climb(&mut kernel);
    assert_eq!(kernel.locked_pages(), 0, "the call would fail");
    // After another's fork it is writable again.
    registry.before_fork(9, 0, |_| true, &mut kernel);
    kernel.pages.iter_mut().for_each(|page| page.copied = true);
    registry.after_fork(9, &mut kernel);
    assert!(kernel.all(all, |page| !page.copied));
    // A shorter call of the stack's own thread ends first.
    registry.suspend(all, 1, &mut kernel);
    kernel.pages.iter_mut().for_each(|page| page.resident = false);
    registry.resume(all, false, &mut kernel);
    assert!(kernel.all(all, |page| page.resident && !page.locked));
    // So does one that releases nothing.
    kernel.pages.iter_mut().for_each(|page| page.resident = false);
    registry.refresh(all, &mut kernel);
    assert!(kernel.all(all, |page| page.resident && !page.locked));
    registry.resume(all, true, &mut kernel);
    assert!(kernel.all(all, |page| page.locked));
    registry.release_thread(1, &mut kernel);
    watched::clear();
}

/// A lock would make the call fail.
#[test]
fn what_is_adopted_under_a_call_is_held_at_its_end() {
    let _alone = alone();
    let (mut registry, mut kernel) = (Registry::new(), Noted::default());
    let wanted = sixteen_pages(1);
    let all = Pages::around(wanted.stack.base, wanted.stack.base + wanted.stack.size);
    registry.adopt(1, Role::Current, wanted, &mut kernel);
    registry.suspend(all, 2, &mut kernel);
    // The same stack again; then another thread's, under two calls.
    registry.adopt(1, Role::Pending, wanted, &mut kernel);
    registry.promote(1, Role::Pending, Role::Current, &mut kernel);
    registry.suspend(Pages { first: all.first, end: all.first + 1 }, 3, &mut kernel);
    registry.adopt(4, Role::Current, wanted, &mut kernel);
    assert_eq!(registry.pinned_pages(), 0);
    registry.resume(all, false, &mut kernel);
    assert_eq!(registry.pinned_pages(), 0, "the other is not over");
    registry.resume(Pages { first: all.first, end: all.first + 1 }, false, &mut kernel);
    assert_eq!(registry.pinned_pages(), 16);
    assert!(registry.steady(1).is_some() && registry.steady(4).is_some());
    watched::clear();
}
