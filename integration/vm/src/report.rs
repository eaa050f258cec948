//! Writes the arms' reports as tables.

use crate::boot::Boot;
use crate::guest::{Report, Run};
use crate::judge::Row;
use crate::scenario::{Expect, Kind};
use std::fmt::Write as _;

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

/// Headings of genuine kernels start with this.
pub const GENUINE: &str = "Genuine Linux";

/// The tables of one boot; `when` is the date and version.
pub fn tables(boot: Boot, run: &Run, rows: &[Row], when: &str) -> String {
    let mut text = if boot.genuine {
        let release = run.kernel.split(' ').next().unwrap_or_default();
        format!(
            "## {GENUINE} {release}, {}\n\n`{}`, as it was released.\nMeasured {when}",
            boot.heading, run.version
        )
    } else {
        format!("## {}\n\n`{}`", boot.heading, run.kernel)
    };
    if !boot.append.is_empty() {
        let _ = write!(text, ", booted with `{}`", boot.append);
    }
    if !boot.qemu.is_empty() {
        let _ = write!(text, ", QEMU run with `{}`", boot.qemu.join(" "));
    }
    text.push('\n');
    for kind in Kind::ALL {
        let rows: Vec<_> = rows.iter().filter(|row| row.scenario.kind == kind).collect();
        if rows.is_empty() {
            continue;
        }
        text.push('\n');
        match kind {
            Kind::Registers if boot.genuine => genuine_table(&mut text, &rows),
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
            Kind::Check => check_line(&mut text, &rows),
            Kind::Faults => faults_table(&mut text, &rows),
            Kind::Stress => stress_table(&mut text, &rows),
        }
    }
    text
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
    text.push_str("| **all rows that must be clean with the library** |");
    for arm in 0..2 {
        for name in NAMES {
            let _ = write!(text, " **{}** |", total(rows, arm, name));
        }
    }
    text.push('\n');
}

/// The same for a kernel that does not count frames, where a control arm may see too
/// little to prove anything.
fn genuine_table(text: &mut String, rows: &[&Row]) {
    const NAMES: [&str; 2] = ["deliveries", "mismatches"];
    text.push_str(
        "| vector registers | without: deliveries | corruptions | with: deliveries \
         | corruptions | |\n|---|--:|--:|--:|--:|---|\n",
    );
    for row in rows {
        let _ = write!(text, "| {} |", row.scenario.title);
        for arm in 0..2 {
            text.push_str(&cells(row.reports.get(arm).and_then(Option::as_ref), &NAMES));
        }
        let verdict = match (row.shown(), row.scenario.arms.get(1)) {
            (_, None) => "",
            (true, _) => "shown",
            (false, _) => "cannot tell here",
        };
        let _ = writeln!(text, " {verdict} |");
    }
    let shown: Vec<_> = rows.iter().copied().filter(|row| row.shown()).collect();
    text.push_str("| **all rows that are shown and must be clean with the library** |");
    for arm in 0..2 {
        for name in NAMES {
            let _ = write!(text, " **{}** |", total(&shown, arm, name));
        }
    }
    text.push_str(" |\n");
}

/// The sum over all rows that have a control arm and one that must be clean.
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

/// One line for each arm: the command's answer, by its exit status, and the reason.
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

fn check_line(text: &mut String, rows: &[&Row]) {
    for report in rows.iter().filter_map(|row| row.reports.first()?.as_ref()) {
        let said = |name| report.text(name).unwrap_or("–").replace('-', " ");
        let (standing, confidence) = (said("standing"), said("confidence"));
        let (compiler, reduces) = (said("compiler"), said("only_reduces"));
        let reduces = if reduces == "true" { ", the library only reduces the risk" } else { "" };
        let _ = writeln!(
            text,
            "`sigward check`: {standing} ({confidence} confidence), built by {compiler}{reduces}."
        );
    }
}

/// Both arms in one line, as in the scenarios' own table.
fn faults_table(text: &mut String, rows: &[&Row]) {
    text.push_str(
        "| fault scenarios | bytes of a frame | scenarios | without: deliveries | page faults \
         | scenarios that faulted | with: deliveries | page faults |\n\
         |---|--:|--:|--:|--:|--:|--:|--:|\n",
    );
    for row in rows {
        let report = row.reports.first().and_then(Option::as_ref);
        let counts = [
            "frame",
            "scenarios",
            "deliveries",
            "faults",
            "with_faults",
            "hardened.deliveries",
            "hardened.faults",
        ];
        let _ = writeln!(text, "| {} |{}", row.scenario.title, cells(report, &counts));
    }
}

/// One line for each arm.
fn stress_table(text: &mut String, rows: &[&Row]) {
    text.push_str(
        "| stress program, as | library | | steps | frames | forks |\n|---|---|---|--:|--:|--:|\n",
    );
    for row in rows {
        for (arm, report) in row.scenario.arms.iter().zip(&row.reports) {
            let end = match report.as_ref().map(|report| report.status) {
                Some(0) => "passes",
                Some(1) => "fails",
                _ => "–",
            };
            let cells = cells(report.as_ref(), &["steps", "frames", "forks"]);
            let _ = writeln!(text, "| {} | {} | {end} |{cells}", row.scenario.title, arm.label);
        }
    }
}
