//! The schedule: which calls fail, when, and how. Read from `CHAOS` once, at load.

use std::sync::atomic::{AtomicPtr, AtomicU64, Ordering};

/// How a call fails.
#[derive(Clone, Copy, PartialEq)]
pub enum Effect {
    /// It is not made, and fails with this error.
    Refused(i32),
    /// It is made, and then fails with this error.
    Denied(i32),
    /// It is made, and its output is corrupted.
    Garbled,
    /// It is made later.
    Late,
}

struct Rule {
    call: String,
    /// The advice, for calls that take one.
    advice: Option<i32>,
    effect: Effect,
    /// Which of the calls, counted from 1: the first, the last, and the step.
    first: u64,
    last: u64,
    step: u64,
    calls: AtomicU64,
}

/// The rules, leaked: hooks must not allocate or wait.
static RULES: AtomicPtr<Vec<Rule>> = AtomicPtr::new(std::ptr::null_mut());

const ERRORS: &[(&str, i32)] = &[
    ("EPERM", libc::EPERM),
    ("EINTR", libc::EINTR),
    ("EAGAIN", libc::EAGAIN),
    ("ENOMEM", libc::ENOMEM),
    ("EFAULT", libc::EFAULT),
    ("EINVAL", libc::EINVAL),
    ("ENOSYS", libc::ENOSYS),
    ("ECHILD", libc::ECHILD),
];

const ADVICE: &[(&str, i32)] = &[
    ("DONTNEED", libc::MADV_DONTNEED),
    ("FREE", libc::MADV_FREE),
    ("PAGEOUT", libc::MADV_PAGEOUT),
    ("WIPEONFORK", libc::MADV_WIPEONFORK),
];

/// Reads `CHAOS`. A rule that is not understood is an error.
pub fn read(text: &str) -> Result<(), String> {
    let rules: Result<Vec<Rule>, String> =
        text.split(',').filter(|rule| !rule.is_empty()).map(Rule::read).collect();
    RULES.store(Box::leak(Box::new(rules?)), Ordering::Release);
    Ok(())
}

/// Counts this call of `call` and returns its effect. `advice` is for calls that take one.
/// Async-signal-safe.
pub fn effect(call: &str, advice: Option<i32>) -> Option<Effect> {
    // SAFETY: null, or leaked above.
    let rules = unsafe { RULES.load(Ordering::Acquire).as_ref() }?;
    let mut effect = None;
    for rule in rules {
        if rule.call == call && (rule.advice.is_none() || rule.advice == advice) {
            let number = rule.calls.fetch_add(1, Ordering::Relaxed) + 1;
            let hit = (rule.first..=rule.last).contains(&number)
                && (number - rule.first) % rule.step == 0;
            effect = effect.or(hit.then_some(rule.effect));
        }
    }
    effect
}

impl Rule {
    fn read(text: &str) -> Result<Self, String> {
        let mut parts = text.split(':');
        let (call, effect) = (parts.next().unwrap_or(""), parts.next().unwrap_or(""));
        let when = parts.next().unwrap_or("always");
        let wrong = |what: &str| Err(format!("CHAOS: {text}: {what}"));
        let (call, advice) = match call.split_once('@') {
            None => (call, None),
            Some((call, advice)) => match named(ADVICE, advice) {
                None => return wrong("no such advice"),
                advice => (call, advice),
            },
        };
        if !crate::CALLS.contains(&call) || parts.next().is_some() {
            return wrong("not CALL[@ADVICE]:EFFECT[:WHEN]");
        }
        let (denied, error) = match effect.strip_prefix("after-") {
            Some(error) => (true, error),
            None => (false, effect),
        };
        let effect = match (effect, denied, named(ERRORS, error)) {
            ("garbled", _, _) => Effect::Garbled,
            ("late", _, _) => Effect::Late,
            (_, false, Some(error)) => Effect::Refused(error),
            (_, true, Some(error)) => Effect::Denied(error),
            _ => return wrong("no such effect"),
        };
        let Some((first, last, step)) = times(when) else { return wrong("no such time") };
        let (call, calls) = (call.to_owned(), AtomicU64::new(0));
        Ok(Rule { call, advice, effect, first, last, step, calls })
    }
}

fn named(table: &[(&str, i32)], name: &str) -> Option<i32> {
    table.iter().find(|row| row.0 == name).map(|row| row.1)
}

/// `always`, `N`, `N-M`, `N-`, `everyN`.
fn times(text: &str) -> Option<(u64, u64, u64)> {
    let number = |text: &str| text.parse().ok().filter(|&number: &u64| number > 0);
    if text == "always" {
        return Some((1, u64::MAX, 1));
    }
    if let Some(step) = text.strip_prefix("every") {
        let step = number(step)?;
        return Some((step, u64::MAX, step));
    }
    match text.split_once('-') {
        None => number(text).map(|only| (only, only, 1)),
        Some((first, "")) => Some((number(first)?, u64::MAX, 1)),
        Some((first, last)) => Some((number(first)?, number(last)?, 1)),
    }
}
