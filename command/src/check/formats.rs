//! The result in the words of monitoring systems.

use std::fmt::Write;

use super::report::{CheckReport, Overall};
use crate::exit::Exit;
use crate::exposition::{Exposition, label};
use crate::quirks::judge::State;

/// How long a feature file is valid, in seconds: a daily job has an hour to spare.
const EXPIRES: u64 = 25 * 60 * 60;

/// Text for node_exporter's textfile collector.
pub fn prometheus(report: &CheckReport) -> String {
    let mut text = Exposition::default();
    let version = label(&[("version", env!("CARGO_PKG_VERSION"))]);
    text.gauge("build_info", "The sigward command that wrote this.", &[(version, 1)]);
    let time = [(String::new(), report.time)];
    text.gauge("last_scan_timestamp_seconds", "When sigward check ran.", &time);
    let machine = &report.machine;
    let info = label(&[
        ("system", machine.system),
        ("release", &machine.release),
        ("arch", machine.arch),
        ("libc", &machine.libc),
        ("emulator", machine.emulator.unwrap_or("")),
    ]);
    text.gauge("machine_info", "The machine that was judged.", &[(info, 1)]);
    let overalls = [Overall::Affected, Overall::NotAffected, Overall::Unknown, Overall::NoEvidence];
    let samples = overalls.map(|overall| {
        (label(&[("overall", overall.name())]), u64::from(overall == report.overall))
    });
    text.gauge("check_overall", "The answer for the whole machine: 1 for the one given.", &samples);
    let alarms = [(String::new(), report.alarms().count() as u64)];
    text.gauge("check_alarms", "Listed defects here that every program can meet.", &alarms);
    let row = |row: &super::report::RowReport| {
        let labels = [
            ("id", row.id),
            ("cve", row.cve.unwrap_or("")),
            ("state", row.state),
            ("reach", row.reach),
            ("condition", &row.conditions.join(" and ")),
        ];
        (label(&labels), u64::from(row.alarms))
    };
    let concerned = report.rows.iter().filter(|row| row.state != State::Elsewhere.word());
    let rows: Vec<_> = concerned.map(row).collect();
    text.gauge(
        "defect",
        "A row of the table: 1 if it is here and every program can meet it.",
        &rows,
    );
    text.0
}

/// A feature file for Node Feature Discovery's local source.
pub fn node_features(report: &CheckReport) -> String {
    /// The namespace that Node Feature Discovery takes labels of from anyone.
    const PREFIX: &str = "feature.node.kubernetes.io/sigward-";
    let mut text = format!("# +expiry-time={}\n", rfc3339(report.time + EXPIRES));
    let overall = report.overall.name().replace(' ', "-");
    let _ = writeln!(text, "{PREFIX}overall={overall}");
    let _ = writeln!(text, "{PREFIX}alarms={}", report.alarms().count());
    for row in report.alarms() {
        let _ = writeln!(text, "{PREFIX}{}={}", row.id, row.state);
    }
    text
}

/// The exit code and the line of a Nagios plugin.
pub fn nrpe(report: &CheckReport) -> (Exit, String) {
    let grave = report.alarms().filter(|row| row.grave).count();
    let alarms = report.alarms().count();
    let (exit, word) = match report.overall {
        Overall::Affected if grave > 0 => (Exit::NRPE_CRITICAL, "CRITICAL"),
        Overall::Affected => (Exit::NRPE_WARNING, "WARNING"),
        Overall::NotAffected => (Exit::Success, "OK"),
        Overall::Unknown | Overall::NoEvidence => (Exit::NrpeUnknown, "UNKNOWN"),
    };
    let ids: Vec<&str> = report.alarms().map(|row| row.id).collect();
    let ids = if ids.is_empty() { String::new() } else { format!(" ({})", ids.join(", ")) };
    let undecided = [State::NotListed(String::new()), State::Unsure(String::new())];
    let undecided = undecided.map(|state| state.word());
    let undecided = report.rows.iter().filter(|row| undecided.contains(&row.state)).count();
    let line = format!(
        "SIGWARD {word} - {}{ids} | affected={alarms};0;;0 told_only={grave};;0;0 \
         undecided={undecided};;;0\n",
        report.headline().replace('|', "/")
    );
    (exit, line)
}

/// `2026-11-28T07:30:00Z`.
fn rfc3339(seconds: u64) -> String {
    let (days, rest) = (seconds / 86_400, seconds % 86_400);
    // Years that start in March: a leap day is then the last day.
    let shifted = days + 719_468;
    let (era, day) = (shifted / 146_097, shifted % 146_097);
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let (month, later) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
    let year = era * 400 + year + later;
    let (hour, minute, second) = (rest / 3_600, rest / 60 % 60, rest % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_as_date_would() {
        for (seconds, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_399, "2000-02-28T23:59:59Z"),
            (951_827_696, "2000-02-29T12:34:56Z"),
            (1_709_251_199, "2024-02-29T23:59:59Z"),
            (1_735_689_599, "2024-12-31T23:59:59Z"),
            (4_107_542_400, "2100-03-01T00:00:00Z"),
        ] {
            assert_eq!(rfc3339(seconds), text);
        }
    }
}
