//! The report for monitoring: how many processes stand how. Without their names, of which a host has
//! too many.

use std::time::{SystemTime, UNIX_EPOCH};

use super::Report;
use super::standing::Standing;
use crate::exposition::{Exposition, label};

/// No name is one of `sigward check`: both files may lie in one folder.
pub fn of(report: &Report) -> String {
    let mut text = Exposition::default();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs());
    text.plain("doctor_last_scan_timestamp_seconds", "When sigward doctor ran.", now);
    let of = |standing: Standing| {
        let count = report.processes.iter().filter(|process| process.standing == standing).count();
        (label(&[("standing", standing.as_str())]), count as u64)
    };
    let help = "Processes by how they stand against the kernel's defects.";
    text.gauge("doctor_processes", help, &Standing::ALL.map(of));
    let with = report.processes.iter().filter(|process| !process.libraries.is_empty()).count();
    text.plain("doctor_processes_with_library", "Processes that contain the library.", with as u64);
    let blind = report.processes.iter().filter(|process| !process.not_seen.is_empty()).count();
    let help = "Processes of which something could not be seen.";
    text.plain("doctor_processes_not_seen", help, blind as u64);
    let help = "Whether anything could not be seen.";
    text.plain("doctor_reduced_accuracy", help, u64::from(report.meta.reduced_accuracy));
    text.0
}
