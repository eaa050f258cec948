//! Judges the arms' reports.

use crate::boot::Boot;
use crate::guest::Report;
use crate::scenario::{Arm, Expect, Kind, Scenario};
use std::fmt::Write as _;

/// A scenario on one boot with the reports of its arms, in their order. `None` if the arm
/// did not run.
pub struct Row<'a> {
    /// The scenario.
    pub scenario: &'a Scenario,
    /// The boot.
    pub boot: Boot,
    /// The reports.
    pub reports: Vec<Option<Report>>,
}

/// Fewer events than this prove nothing.
const ENOUGH: u64 = 20;
/// If the control arm of a genuine kernel has fewer corruptions than this, the other arm
/// proves nothing.
const SHOWN: u64 = 10;
/// At most this many scenarios of a family may have no fault in their control arm
/// although they have one on other CPUs.
const MOST_WITHOUT_FAULTS: u64 = 4;
/// The largest frame of a CPU with AVX2 and nothing newer.
const SMALL_FRAME: u64 = 2048;

impl Row<'_> {
    /// The failures of the row, one line per failing arm. Arms that did not run are not
    /// judged.
    pub fn faults(&self) -> Vec<String> {
        let arms = self.scenario.arms.iter().zip(&self.reports);
        arms.filter_map(|(arm, report)| {
            let fault = self.judge(arm, report.as_ref()?).err()?;
            let Self { boot, scenario, .. } = self;
            Some(format!("{}: {} ({}): {fault}", boot.name, scenario.title, arm.label))
        })
        .collect()
    }

    fn judge(&self, arm: &Arm, report: &Report) -> Result<(), String> {
        match self.scenario.kind {
            Kind::Registers => self.judge_registers(arm, report),
            Kind::Waits => judge_waits(arm, report),
            Kind::Size => judge_size(arm, report),
            Kind::Probe if self.boot.genuine => judge_genuine_probe(report),
            Kind::Probe => judge_probe(self.scenario, arm, report),
            Kind::Check => judge_check(report),
            Kind::Faults => judge_faults(report),
            Kind::Stress => judge_stress(arm, report),
        }
    }

    fn judge_registers(&self, arm: &Arm, report: &Report) -> Result<(), String> {
        expect_exit(report)?;
        expect_enough(report, "deliveries")?;
        let mismatches = count(report, "mismatches")?;
        let preempts = self.boot.preempts();
        if self.boot.genuine {
            return match arm.expect {
                Expect::Clean if !preempts && mismatches > 0 => {
                    Err(format!("{mismatches} corruptions"))
                }
                Expect::Clean if preempts && self.shown() => self.judge_rate(report),
                _ => Ok(()),
            };
        }
        let faulted = count(report, "faulted")?;
        if !preempts && faulted == 0 && mismatches > 0 {
            return Err(format!("{mismatches} corruptions, although no frame faulted"));
        }
        match arm.expect {
            Expect::Defect if mismatches == 0 => Err("the control arm saw no corruption".into()),
            Expect::Clean if faulted > 0 => Err(format!("{faulted} frames faulted")),
            Expect::Clean if preempts => self.judge_rate(report),
            _ => Ok(()),
        }
    }

    /// Whether the control arm saw the defect often enough for the arm with the library
    /// to prove anything.
    pub fn shown(&self) -> bool {
        let control = self.reports.first().and_then(Option::as_ref);
        control.and_then(|report| report.count("mismatches")).is_some_and(|n| n >= SHOWN)
    }

    /// Where preemption alone can corrupt registers, it must do so less often than the
    /// faults of the control arm did.
    fn judge_rate(&self, report: &Report) -> Result<(), String> {
        let control = self.reports.first().and_then(Option::as_ref).and_then(rate);
        match (rate(report), control) {
            (Some(with), Some(without)) if with >= without => {
                Err("no fewer corruptions than without".into())
            }
            _ => Ok(()),
        }
    }
}

fn judge_waits(arm: &Arm, report: &Report) -> Result<(), String> {
    expect_exit(report)?;
    expect_enough(report, "calls")?;
    let mut bad = 0;
    let mut text = String::new();
    for name in ["spurious", "lost", "wrong", "overwritten"] {
        let n = count(report, name)?;
        bad += n;
        let _ = write!(text, " {name} {n}");
    }
    match arm.expect {
        Expect::Defect if bad == 0 => Err("the control arm saw no failure".into()),
        Expect::Clean if bad > 0 => Err(format!("failed:{text}")),
        _ => Ok(()),
    }
}

fn judge_size(arm: &Arm, report: &Report) -> Result<(), String> {
    let good = report.status == 0
        && report.count("registered") == Some(1)
        && report.count("deliveries") == Some(1)
        && report.count("overflowed") == Some(0);
    match arm.expect {
        Expect::Defect if good => Err("the control arm saw no failure".into()),
        Expect::Clean if !good => Err("the handler did not run, or overran its stack".into()),
        _ => Ok(()),
    }
}

/// The probe's exit status says whether there is a defect, and its counts say which. It
/// must not report one that is not there.
fn judge_probe(scenario: &Scenario, arm: &Arm, report: &Report) -> Result<(), String> {
    for name in ["faulting.deliveries", "locked.deliveries", "waits.calls"] {
        expect_enough(report, name)?;
    }
    let found = |name, setting| {
        let count = count(report, name)?;
        let there = arm.expect == Expect::Defect && scenario.settings.contains(setting);
        match (there, count) {
            (true, 0) => Err(format!("{name} is 0: the probe did not see the defect")),
            (false, 1..) => {
                Err(format!("{name} is {count}: the probe saw a defect that is not there"))
            }
            _ => Ok(()),
        }
    };
    found("faulting.corrupted", "fpu_bug")?;
    found("waits.failed", "r10_bug")?;
    match (arm.expect, report.status) {
        (Expect::Defect, 1) | (Expect::Clean, 0) => Ok(()),
        (_, status) => Err(format!("sigward probe ended with status {status}")),
    }
}

/// A genuine kernel loses registers, but no arguments.
fn judge_genuine_probe(report: &Report) -> Result<(), String> {
    for name in ["faulting.deliveries", "locked.deliveries", "waits.calls"] {
        expect_enough(report, name)?;
    }
    match (count(report, "faulting.corrupted")?, count(report, "waits.failed")?, report.status) {
        (0, ..) => Err("the probe did not see the defect".into()),
        (_, 1.., _) => Err("the probe saw waits fail".into()),
        (_, 0, 1) => Ok(()),
        (.., status) => Err(format!("sigward probe ended with status {status}")),
    }
}

fn judge_check(report: &Report) -> Result<(), String> {
    match (report.text("standing"), report.text("auto_acts")) {
        (Some("affected"), Some("true")) => Ok(()),
        (says, _) => Err(format!("sigward check says: {}", says.unwrap_or("nothing"))),
    }
}

fn judge_faults(report: &Report) -> Result<(), String> {
    expect_exit(report)?;
    expect_enough(report, "deliveries")?;
    let frame = count(report, "frame")?;
    if !(1..=SMALL_FRAME).contains(&frame) {
        return Err(format!("frames of {frame} bytes: not those of the intended CPU"));
    }
    let (with_faults, without_faults) =
        (count(report, "with_faults")?, count(report, "without_faults")?);
    if without_faults > MOST_WITHOUT_FAULTS || with_faults == 0 {
        return Err(format!(
            "{without_faults} scenarios that should fault without the library did not"
        ));
    }
    match count(report, "broken")? {
        0 => Ok(()),
        broken => Err(format!("{broken} scenarios broken; the log names them")),
    }
}

/// Without the library the first comparison must fail.
fn judge_stress(arm: &Arm, report: &Report) -> Result<(), String> {
    let seed = report.text("seed").unwrap_or("unknown");
    match (arm.expect, report.status) {
        (Expect::Clean, 0) => expect_enough(report, "frames"),
        (Expect::Defect, 1) => Ok(()),
        (_, status) => Err(format!("status {status}, seed {seed}; see the log")),
    }
}

fn expect_exit(report: &Report) -> Result<(), String> {
    match report.status {
        0 => Ok(()),
        status => Err(format!("the meter ended with status {status}")),
    }
}

fn expect_enough(report: &Report, name: &str) -> Result<(), String> {
    match count(report, name)? {
        n if n < ENOUGH => Err(format!("only {n} {name}")),
        _ => Ok(()),
    }
}

fn count(report: &Report, name: &str) -> Result<u64, String> {
    report.count(name).ok_or_else(|| format!("the meter reported no {name}"))
}

/// Corruptions per delivery.
#[allow(clippy::cast_precision_loss)] // counts of seconds
fn rate(report: &Report) -> Option<f64> {
    Some(report.count("mismatches")? as f64 / report.count("deliveries")? as f64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::boot::{GENUINE, GENUINE_PREEMPT};
    use crate::scenario;

    /// The failures of a genuine kernel's row with these reports.
    fn faults(boot: Boot, without: &str, with: &str) -> (bool, Vec<String>) {
        let all = scenario::genuine();
        let scenario = all.iter().find(|scenario| scenario.meter == "nested").expect("a meter");
        let report = |fields| Some(Report::new(0, fields));
        let row = Row { scenario, boot, reports: vec![report(without), report(with)] };
        (row.shown(), row.faults())
    }

    #[test]
    fn a_control_arm_that_sees_little_proves_nothing() {
        let clean = "deliveries=500 mismatches=0";
        let few = "deliveries=500 mismatches=9";
        let many = "deliveries=500 mismatches=100";
        assert_eq!(faults(GENUINE, few, clean), (false, vec![]));
        assert_eq!(faults(GENUINE, many, clean), (true, vec![]));
        assert_eq!(faults(GENUINE_PREEMPT, many, few), (true, vec![]));
        assert_eq!(faults(GENUINE_PREEMPT, few, few), (false, vec![]));
        // Without preemption nothing may be lost, whatever the control arm saw.
        assert_eq!(faults(GENUINE, few, few).1.len(), 1);
        assert_eq!(faults(GENUINE, many, few).1.len(), 1);
        assert_eq!(faults(GENUINE_PREEMPT, many, many).1.len(), 1);
        assert_eq!(faults(GENUINE, many, "deliveries=5 mismatches=0").1.len(), 1);
    }
}
