//! Judges what the arms told, and writes it down as tables.

use crate::guest::Report;
use crate::scenario::{Arm, Boot, Expect, Kind, NO_PREEMPT, Scenario};
use std::fmt::Write as _;

/// A scenario on one boot with what its arms told, in the order of its arms.
/// `None`: the arm did not run.
pub struct Row<'a> {
    /// What was measured.
    pub scenario: &'a Scenario,
    /// Where.
    pub boot: Boot,
    /// What came of it.
    pub reports: Vec<Option<Report>>,
}

/// Fewer events than this prove nothing.
const ENOUGH: u64 = 20;

impl Row<'_> {
    /// What is wrong with the row, one line for each arm that is not as it must
    /// be. Arms that did not run are not judged.
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
            Kind::Probe => judge_probe(self.scenario, arm, report),
        }
    }

    fn judge_registers(&self, arm: &Arm, report: &Report) -> Result<(), String> {
        expect_exit(report)?;
        expect_enough(report, "deliveries")?;
        let mismatches = count(report, "mismatches")?;
        let faulted = count(report, "faulted")?;
        let preempts = self.boot.kernel != NO_PREEMPT.kernel;
        if !preempts && faulted == 0 && mismatches > 0 {
            return Err(format!("{mismatches} corruptions, though no frame faulted"));
        }
        match arm.expect {
            Expect::Struck if mismatches == 0 => Err("the control arm saw no corruption".into()),
            Expect::Clean if faulted > 0 => Err(format!("{faulted} frames faulted")),
            Expect::Clean if preempts => self.judge_rate(report),
            _ => Ok(()),
        }
    }

    /// Where preemption alone can corrupt, it must do so more rarely than the
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
        Expect::Struck if bad == 0 => Err("the control arm saw no failure".into()),
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
        Expect::Struck if good => Err("the control arm saw no failure".into()),
        Expect::Clean if !good => Err("the handler did not run, or overran its stack".into()),
        _ => Ok(()),
    }
}

/// The probe says that there is a defect by its exit status, and by its counts
/// which; it must not see one that is not there.
fn judge_probe(scenario: &Scenario, arm: &Arm, report: &Report) -> Result<(), String> {
    for name in ["faulting.deliveries", "locked.deliveries", "waits.calls"] {
        expect_enough(report, name)?;
    }
    let found = |name, setting| {
        let count = count(report, name)?;
        let there = arm.expect == Expect::Struck && scenario.settings.contains(setting);
        match (there, count) {
            (true, 0) => Err(format!("{name} is 0: the probe did not see the defect")),
            (false, 1..) => Err(format!("{name} is {count}: the probe saw what is not there")),
            _ => Ok(()),
        }
    };
    found("faulting.corrupted", "fpu_bug")?;
    found("waits.failed", "r10_bug")?;
    match (arm.expect, report.status) {
        (Expect::Struck, 1) | (Expect::Clean, 0) => Ok(()),
        (_, status) => Err(format!("sigward probe ended with status {status}")),
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
    report.count(name).ok_or_else(|| format!("the meter told no {name}"))
}

/// Corruptions per delivery.
#[allow(clippy::cast_precision_loss)] // counts of seconds
fn rate(report: &Report) -> Option<f64> {
    Some(report.count("mismatches")? as f64 / report.count("deliveries")? as f64)
}

/// The cells of one arm.
fn cells(report: Option<&Report>, names: &[&str]) -> String {
    names.iter().fold(String::new(), |mut row, name| {
        match report.and_then(|report| report.count(name)) {
            Some(n) => write!(row, " {n} |"),
            None => write!(row, " – |"),
        }
        .ok();
        row
    })
}

/// The tables of one boot.
pub fn tables(boot: Boot, kernel: &str, rows: &[Row]) -> String {
    let mut text = format!("## {}\n\n`{kernel}`", heading(boot));
    if !boot.append.is_empty() {
        let _ = write!(text, ", booted with `{}`", boot.append);
    }
    if !boot.qemu.is_empty() {
        let _ = write!(text, ", QEMU run with `{}`", boot.qemu.join(" "));
    }
    text.push('\n');
    for kind in [Kind::Registers, Kind::Waits, Kind::Size, Kind::Probe] {
        let rows: Vec<_> =
            rows.iter().filter(|row| row.boot == boot && row.scenario.kind == kind).collect();
        if rows.is_empty() {
            continue;
        }
        text.push('\n');
        match kind {
            Kind::Registers => registers_table(&mut text, &rows),
            Kind::Waits => arms_table(
                &mut text,
                &rows,
                "waits",
                &["calls", "restarts", "spurious", "lost", "wrong", "overwritten"],
            ),
            Kind::Size => arms_table(
                &mut text,
                &rows,
                "size of the alternate stack",
                &["registered", "deliveries", "overflowed"],
            ),
            Kind::Probe => probe_table(&mut text, &rows),
        }
    }
    text
}

fn heading(boot: Boot) -> &'static str {
    match boot.name {
        "no-preempt" => "Kernel without preemption",
        "preempt" => "Kernel with preemption, and without `int $0x80`",
        "singlestep" => "Kernel without preemption, signals between any two instructions",
        _ => "Kernel that refuses small alternate stacks",
    }
}

/// Both arms in one line.
fn registers_table(text: &mut String, rows: &[&Row]) {
    const NAMES: [&str; 3] = ["deliveries", "faulted", "mismatches"];
    text.push_str(
        "| vector registers | without: deliveries | frames that faulted | corruptions \
         | with: deliveries | frames that faulted | corruptions |\n\
         |---|--:|--:|--:|--:|--:|--:|\n",
    );
    for row in rows {
        let _ = write!(text, "| {} |", row.scenario.title);
        for arm in 0..2 {
            let report = row.reports.get(arm).and_then(Option::as_ref);
            text.push_str(&cells(report, &NAMES));
        }
        text.push('\n');
    }
    text.push_str("| **all that are to be clean with the library** |");
    for arm in 0..2 {
        for name in NAMES {
            let _ = write!(text, " **{}** |", total(rows, arm, name));
        }
    }
    text.push('\n');
}

/// The sum over all rows with both a control arm and one that must be clean.
fn total(rows: &[&Row], arm: usize, name: &str) -> u64 {
    rows.iter()
        .filter(|row| row.scenario.arms.get(1).is_some_and(|arm| arm.expect == Expect::Clean))
        .filter_map(|row| row.reports[arm].as_ref()?.count(name))
        .sum()
}

/// One line for each arm.
fn arms_table(text: &mut String, rows: &[&Row], what: &str, names: &[&str]) {
    let _ = write!(text, "| {what} | library | {} |\n|---|---|", names.join(" | "));
    text.push_str(&"--:|".repeat(names.len()));
    text.push('\n');
    for row in rows {
        for (arm, report) in row.scenario.arms.iter().zip(&row.reports) {
            let _ = write!(text, "| {} | {} |", row.scenario.title, arm.label);
            text.push_str(&cells(report.as_ref(), names));
            text.push('\n');
        }
    }
}

/// One line for each arm: what the command said, by its exit status, and why.
fn probe_table(text: &mut String, rows: &[&Row]) {
    text.push_str(
        "| `sigward probe`, the defect | run | says | deliveries | frames that faulted \
         | corruptions | stack locked: deliveries | corruptions | waits | failed |\n\
         |---|---|---|--:|--:|--:|--:|--:|--:|--:|\n",
    );
    for row in rows {
        for (arm, report) in row.scenario.arms.iter().zip(&row.reports) {
            let says = match report.as_ref().map(|report| report.status) {
                Some(0) => "not seen",
                Some(1) => "has it",
                _ => "–",
            };
            let _ = write!(text, "| {} | {} | {says} |", row.scenario.title, arm.label);
            text.push_str(&cells(
                report.as_ref(),
                &[
                    "faulting.deliveries",
                    "faulting.faulted",
                    "faulting.corrupted",
                    "locked.deliveries",
                    "locked.corrupted",
                    "waits.calls",
                    "waits.failed",
                ],
            ));
            text.push('\n');
        }
    }
}
