//! What a fork costs, and in which order stacks are held after it.

use super::page_map::{Page, PageMap};
use super::*;

#[test]
fn a_stack_that_is_spared_costs_a_fork_three_calls() {
    let _alone = alone();
    let (mut registry, mut kernel) = (Registry::new(), Noted::default());
    for tid in 1..=20 {
        let wanted = sixteen_pages(tid as usize);
        origin::mapped(wanted.stack.base, wanted.stack.size);
        registry.adopt(tid, Role::Current, wanted, &mut kernel);
    }
    kernel = Noted::default();
    registry.before_fork(100, 0, |_| true, &mut kernel);
    assert_eq!(registry.after_fork(100, &mut kernel), 0, "none was copied");
    assert_eq!(kernel.calls, 3 * 20, "locked still? wipe, and do not");
    assert_eq!(kernel.present, [], "no page needs it");
    origin::unmapped(0, usize::MAX);
    watched::clear();
}

#[test]
fn of_the_forking_threads_own_stack_what_is_blank_is_spared() {
    let _alone = alone();
    let (mut registry, mut kernel) = (Registry::new(), Noted::default());
    let wanted = sixteen_pages(1);
    let all = Pages::around(wanted.stack.base, wanted.stack.base + wanted.stack.size);
    origin::mapped(wanted.stack.base, wanted.stack.size);
    registry.adopt(1, Role::Current, wanted, &mut kernel);
    // How many pages are used, the stack pointer, how many pages are copied.
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
    watched::clear();
}

/// One call for each stack, whoever owns the memory.
#[test]
fn a_stack_that_frames_fill_is_made_ready_at_once() {
    let _alone = alone();
    let (mut registry, mut kernel) = (Registry::new(), Noted::default());
    for tid in 1..=20 {
        let wanted = Wanted { headroom: 16 * page::size(), ..sixteen_pages(tid as usize) };
        registry.adopt(tid, Role::Current, wanted, &mut kernel);
    }
    kernel = Noted::default();
    registry.before_fork(100, 0, |_| true, &mut kernel);
    assert_eq!(registry.after_fork(100, &mut kernel), 20, "all were copied");
    assert_eq!((kernel.calls, kernel.present.len()), (21, 20), "and one flush");
    watched::clear();
}

#[test]
fn after_a_fork_the_next_frames_come_first() {
    let _alone = alone();
    origin::unmapped(0, usize::MAX);
    let (mut registry, mut kernel) = (Registry::new(), Noted::default());
    for (tid, role) in [(1, Role::Ordinary), (2, Role::Current), (3, Role::Current)] {
        registry.adopt(tid, role, sixteen_pages(tid as usize), &mut kernel);
    }
    registry.adopt(4, Role::Current, sixteen_pages(4), &mut kernel);
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
        let Wanted { stack, headroom, .. } = sixteen_pages(number);
        (number, ladder::frames(stack, headroom))
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
    watched::clear();
}

/// The pages above a page that became read-only without our seeing it. A touch
/// from below stops there.
#[test]
fn a_hole_in_a_touched_stack_keeps_no_frame_above_it_copied() {
    let _alone = alone();
    let pages = vec![Page { mapped: true, writable: true, ..Page::default() }; PAGES];
    let mut kernel = PageMap { pages, limit: 0, calls: 0 };
    let headroom = 16 * page::size();
    let wanted = Wanted { headroom, start: Rung::Touch, ..sixteen_pages(1) };
    let mut registry = Registry::new();
    let Adopted { held, .. } = registry.adopt(1, Role::Current, wanted, &mut kernel);
    assert_eq!(held.count(), 16);
    registry.before_fork(100, 0, |_| true, &mut kernel);
    kernel.pages.iter_mut().for_each(|page| page.copied = true);
    let hole = held.first + 9;
    kernel.slice(Pages { first: hole, end: hole + 1 })[0].writable = false;
    registry.after_fork(100, &mut kernel);
    let copied = |page: &usize| kernel.get(*page).copied;
    assert_eq!((hole..held.end).rev().find(copied), Some(hole));
    registry.release_thread(1, &mut kernel);
    watched::clear();
}
