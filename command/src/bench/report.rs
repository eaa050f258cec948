//! The report: JSON, and a table of what is in it.

use std::fmt::Write;
use std::fs;
use std::iter::zip;

use serde_json::{Value, json};

use super::child::{Effort, Outcome};

/// Ratios are to this path.
pub const REFERENCE: &str = "syscall";
/// Where the published figures are from.
const PUBLISHED_ON: &str = "Intel i7-5500U";
/// Its times for [`REFERENCE`], with page table isolation and without (open).
pub const PUBLISHED_REFERENCE: [f64; 2] = [278.0, 103.0];
/// The figures of a path: name in JSON, width and decimals in the table.
const COLUMNS: [(&str, usize, usize); 7] = [
    ("minimum_ns", 9, 1),
    ("median_ns", 9, 1),
    ("ratio", 8, 2),
    ("published_isolated_ns", 10, 0),
    ("published_isolated_ratio", 7, 2),
    ("published_open_ns", 8, 0),
    ("published_open_ratio", 7, 2),
];

/// A path in JSON. `reference` is the time of [`REFERENCE`] here, `published` are the two times
/// of this path. A figure that does not exist (NaN) is null.
pub fn row(names: [&str; 2], published: [f64; 2], reference: f64, times: Outcome) -> Value {
    let rounds = times.as_deref().unwrap_or_default();
    let at = |index: usize| rounds.get(index).copied().unwrap_or(f64::NAN);
    let ([minimum, median], [isolated, open]) = ([at(0), at(rounds.len() / 2)], published);
    let [to_isolated, to_open] = [isolated / PUBLISHED_REFERENCE[0], open / PUBLISHED_REFERENCE[1]];
    let figures = [minimum, median, minimum / reference, isolated, to_isolated, open, to_open];
    let mut row = json!({"path": names[0], "call": names[1], "unavailable": times.err()});
    for ((name, ..), figure) in zip(COLUMNS, figures) {
        row[name] = json!((figure * 100.0).round() / 100.0);
    }
    row
}

/// The paths and what explains them. The names are an interface: add, do not rename.
pub fn json(effort: Effort, paths: &[Value]) -> Value {
    let cpuinfo = read("/proc/cpuinfo");
    let model = cpuinfo.lines().find_map(|line| line.strip_prefix("model name\t: "));
    json!({
        "machine": model.unwrap_or("unknown"),
        "page_table_isolation": read("/sys/devices/system/cpu/vulnerabilities/meltdown"),
        "clock_source": read("/sys/devices/system/clocksource/clocksource0/current_clocksource"),
        "rounds": effort.rounds, "calls_per_round": effort.calls,
        "published_on": PUBLISHED_ON, "ratio_to": REFERENCE, "paths": paths,
    })
}

/// The same as a table.
pub fn text(report: &Value) -> String {
    let word = |of: &Value, name: &str| of[name].as_str().unwrap_or_default().to_owned();
    let (mut lines, mut reasons) = (String::new(), String::new());
    for row in report["paths"].as_array().into_iter().flatten() {
        let path = word(row, "path");
        let _ = write!(lines, "{path:19}{:14}", word(row, "call"));
        for (name, width, digits) in COLUMNS {
            let figure = row[name].as_f64().map_or("-".into(), |ns| format!("{ns:.digits$}"));
            let _ = write!(lines, "{figure:>width$}");
        }
        lines.push('\n');
        if let Some(why) = row["unavailable"].as_str() {
            let _ = writeln!(reasons, "{path} is not available: {why}");
        }
    }
    let [machine, isolation, clock] =
        ["machine", "page_table_isolation", "clock_source"].map(|name| word(report, name));
    let (rounds, calls) = (&report["rounds"], &report["calls_per_round"]);
    format!(
        "Nanoseconds per call, and the ratio to {REFERENCE}:\n
                                        this machine          published (isolated / open)
path               call            minimum   median   ratio        ns  ratio      ns  ratio
{lines}
{reasons}This machine: {machine}; meltdown: {isolation}; clock source: {clock}.
Published: {PUBLISHED_ON}, with page table isolation and without (open). Its vsyscall was
emulated; a native one took as long as syscall.
{rounds} rounds of {calls} calls. getppid: no libc caches it, and it does next to nothing.\n"
    )
}

/// The same as a bar chart. In a virtual machine one path may take a hundred times as long.
pub fn chart(report: &Value) -> String {
    let legend = [
        ("minimum_ns", format!("here, {}", report["machine"].as_str().unwrap_or_default())),
        ("published_isolated_ns", format!("published, {PUBLISHED_ON}, page table isolation")),
        ("published_open_ns", format!("published, {PUBLISHED_ON}, without")),
    ];
    crate::bar_chart::svg("Nanoseconds per call", (150, 1400.0), "path", &legend, &report["paths"])
}

fn read(file: &str) -> String {
    fs::read_to_string(file).map_or("unknown".to_owned(), |text| text.trim().to_owned())
}
