//! All runs of one suite, and the differences between them.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;

use anyhow::Result;

use crate::arm::{Arm, Bench, PLAIN, RunResult};
use crate::calls::{self, Calls};
use crate::suite::Suite;

/// A verdict with the library that no run without it gave.
#[derive(Debug)]
pub struct Difference {
    /// The test.
    pub test: String,
    /// The arm.
    pub arm: &'static str,
    /// Its verdict without the library.
    pub without: String,
    /// Its verdict with it.
    pub with: String,
}

/// The results of all runs of a suite.
pub struct Row {
    /// The suite.
    pub suite: &'static Suite,
    /// The number of tests in the runs without the library.
    pub tests: usize,
    /// The number of those that do not pass without the library either.
    pub failing: usize,
    /// The number of those that are always skipped.
    pub skipped: usize,
    /// The calls of the first run with the library.
    pub calls: Calls,
    /// Tests on which the runs without the library disagree.
    pub flaky: Vec<String>,
    /// The differences.
    pub differing: Vec<Difference>,
    /// Those that are meant: see [`Suite::meant`].
    pub meant: Vec<Difference>,
    /// The number of runs, in all arms.
    pub runs: usize,
}

/// All verdicts on each test from the runs without the library.
type Usual = BTreeMap<String, BTreeSet<String>>;

/// Runs `suite` without the library, first as often as `plain` starts with, and with it in each of
/// `arms`. Skips the arms that change how waits are made if the suite does not wait, and those that
/// replace alternate stacks if it sets none. Before a difference counts, the runs without the library are repeated up to the end of `plain`.
///
/// # Errors
///
/// If a run cannot be made.
pub fn compare(
    bench: &Bench,
    suite: &'static Suite,
    plain: RangeInclusive<usize>,
    arms: &[Arm],
) -> Result<Row> {
    bench.prepare(suite)?;
    let mut usual = Usual::new();
    let mut calls = Calls::new();
    for _ in 0..*plain.start() {
        let result = bench.run(suite, &PLAIN)?;
        add_verdicts(&mut usual, result.verdicts);
        calls = result.calls;
    }
    let skipped: Vec<&str> =
        [("SIGWARD_WAIT", calls::waits(&calls)), ("SIGWARD_SIZE", calls::stacks(&calls))]
            .into_iter()
            .filter_map(|(variable, matters)| (!matters).then_some(variable))
            .collect();
    let matters = |arm: &&Arm| !arm.settings.iter().any(|(name, _)| skipped.contains(name));
    let mut runs = *plain.start();
    let mut hardened = Vec::new();
    for arm in arms.iter().filter(matters) {
        bench.check(arm)?;
        hardened.push((arm.label, bench.run(suite, arm)?));
        runs += 1;
    }
    // A verdict that also varies without the library is flaky.
    for _ in plain.skip(1) {
        if differing(&usual, &hardened).is_empty() {
            break;
        }
        add_verdicts(&mut usual, bench.run(suite, &PLAIN)?.verdicts);
        runs += 1;
    }
    let always = |verdict: &str| {
        usual.values().filter(|all| all.len() == 1 && all.contains(verdict)).count()
    };
    let (meant, differing) = differing(&usual, &hardened)
        .into_iter()
        .partition(|found| suite.means(&found.test, found.arm) && found.without == "ok");
    Ok(Row {
        suite,
        // The verdict on the whole run does not count.
        tests: usual.len() - 1,
        failing: always("not ok"),
        skipped: always("skip"),
        calls: hardened.into_iter().next().map_or(calls, |(_, result)| result.calls),
        flaky: usual
            .iter()
            .filter(|(_, all)| all.len() > 1)
            .map(|(test, _)| test.clone())
            .collect(),
        differing,
        meant,
        runs,
    })
}

const ABSENT: &str = "did not run";

fn add_verdicts(usual: &mut Usual, verdicts: BTreeMap<String, String>) {
    let first = usual.is_empty();
    for (test, all) in &mut *usual {
        if !verdicts.contains_key(test) {
            all.insert(ABSENT.to_owned());
        }
    }
    for (test, verdict) in verdicts {
        let all = usual.entry(test).or_insert_with(|| {
            if first { BTreeSet::new() } else { BTreeSet::from([ABSENT.to_owned()]) }
        });
        all.insert(verdict);
    }
}

fn differing(usual: &Usual, hardened: &[(&'static str, RunResult)]) -> Vec<Difference> {
    let mut found = Vec::new();
    for (arm, result) in hardened {
        let tests: BTreeSet<&String> = usual.keys().chain(result.verdicts.keys()).collect();
        for test in tests {
            let absent = || BTreeSet::from([ABSENT.to_owned()]);
            let without = usual.get(test).cloned().unwrap_or_else(absent);
            let with = result.verdicts.get(test).map_or(ABSENT, String::as_str);
            if !without.contains(with) {
                let without = without.into_iter().collect::<Vec<_>>().join(" or ");
                found.push(Difference { test: test.clone(), arm, without, with: with.to_owned() });
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdicts(all: &[(&str, &str)]) -> BTreeMap<String, String> {
        all.iter().map(|&(test, verdict)| (test.into(), verdict.into())).collect()
    }

    fn seen(plain: &[&[(&str, &str)]], with: &[(&str, &str)]) -> Vec<String> {
        let mut usual = Usual::new();
        for run in plain {
            add_verdicts(&mut usual, verdicts(run));
        }
        let result = RunResult { verdicts: verdicts(with), calls: Calls::new() };
        differing(&usual, &[("on", result)]).into_iter().map(|found| found.test).collect()
    }

    #[test]
    fn what_no_plain_run_gave_differs() {
        assert!(seen(&[&[("a", "ok")]], &[("a", "ok")]).is_empty());
        assert_eq!(seen(&[&[("a", "ok")]], &[("a", "not ok")]), ["a"]);
        assert_eq!(seen(&[&[("a", "ok")]], &[]), ["a"]);
        assert_eq!(seen(&[&[]], &[("a", "ok")]), ["a"]);
    }

    #[test]
    fn what_a_plain_run_gave_is_flaky() {
        let plain: &[&[(&str, &str)]] = &[&[("a", "ok")], &[("a", "not ok")]];
        assert!(seen(plain, &[("a", "not ok")]).is_empty());
        let plain: &[&[(&str, &str)]] = &[&[("a", "ok"), ("b", "ok")], &[("a", "ok")]];
        assert!(seen(plain, &[("a", "ok")]).is_empty());
        assert_eq!(seen(plain, &[("b", "ok")]), ["a"]);
    }

    #[test]
    fn what_is_meant_depends_on_the_arm() {
        let kernel =
            crate::suite::SUITES.iter().find(|suite| suite.name == "kernel selftests").unwrap();
        assert!(kernel.means("x86/sigaltstack", "on") && kernel.means("sigaltstack/sas", "fix"));
        assert!(!kernel.means("sigaltstack/sas", "auto") && !kernel.means("x86/sigreturn", "fix"));
    }
}
