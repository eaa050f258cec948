//! The figures, as a table and as JSON.

use std::fmt::Write;

use serde::Serialize;

use super::entry::{Effort, Path, Published, REFERENCE, Rounds};

/// What `--json` prints. The names are an interface: add, do not rename.
#[derive(Serialize)]
pub struct Report {
    pub machine: String,
    page_table_isolation: String,
    clock_source: String,
    rounds: u32,
    calls_per_round: u32,
    pub published_on: &'static str,
    ratio_to: &'static str,
    pub paths: Vec<Row>,
}

/// One path. Times are nanoseconds per call.
#[derive(Serialize)]
pub struct Row {
    pub path: &'static str,
    call: &'static str,
    pub minimum_ns: Option<f64>,
    median_ns: Option<f64>,
    /// Of the minimum to the minimum of `syscall`.
    ratio: Option<f64>,
    unavailable: Option<String>,
    pub published_isolated_ns: Option<f64>,
    published_isolated_ratio: Option<f64>,
    pub published_open_ns: Option<f64>,
    published_open_ratio: Option<f64>,
}

impl Row {
    pub fn new(path: &Path, rounds: Rounds) -> Self {
        let (rounds, unavailable) = match rounds {
            Ok(rounds) => (rounds, None),
            Err(reason) => (Vec::new(), Some(reason)),
        };
        let mut rounds = rounds;
        rounds.sort_by(f64::total_cmp);
        let published = path.published;
        Self {
            path: path.name,
            call: path.call,
            minimum_ns: rounds.first().copied().map(hundredths),
            median_ns: rounds.get(rounds.len() / 2).copied().map(hundredths),
            ratio: None,
            unavailable,
            published_isolated_ns: published.map(|Published { isolated, .. }| isolated),
            published_isolated_ratio: None,
            published_open_ns: published.map(|Published { open, .. }| open),
            published_open_ratio: None,
        }
    }
}

fn hundredths(number: f64) -> f64 {
    (number * 100.0).round() / 100.0
}

impl Report {
    pub fn new(effort: Effort, mut paths: Vec<Row>) -> Self {
        let ratios = |paths: &[Row], figure: fn(&Row) -> Option<f64>| -> Vec<Option<f64>> {
            let reference = paths.iter().find(|row| row.path == REFERENCE).and_then(figure);
            let ratio = |row| Some(hundredths(figure(row)? / reference?));
            paths.iter().map(ratio).collect()
        };
        let here = ratios(&paths, |row| row.minimum_ns);
        let isolated = ratios(&paths, |row| row.published_isolated_ns);
        let open = ratios(&paths, |row| row.published_open_ns);
        for (((row, here), isolated), open) in paths.iter_mut().zip(here).zip(isolated).zip(open) {
            row.ratio = here;
            row.published_isolated_ratio = isolated;
            row.published_open_ratio = open;
        }
        let read = |file: &str| std::fs::read_to_string(file).unwrap_or("unknown".to_owned());
        Self {
            machine: processor(),
            page_table_isolation: read("/sys/devices/system/cpu/vulnerabilities/meltdown")
                .trim()
                .to_owned(),
            clock_source: read("/sys/devices/system/clocksource/clocksource0/current_clocksource")
                .trim()
                .to_owned(),
            rounds: effort.rounds,
            calls_per_round: effort.calls,
            published_on: "Intel i7-5500U",
            ratio_to: REFERENCE,
            paths,
        }
    }

    pub fn text(&self) -> String {
        let mut text = String::new();
        // Writing to a String cannot fail.
        let _ = self.write(&mut text);
        text
    }

    fn write(&self, text: &mut String) -> std::fmt::Result {
        writeln!(text, "Nanoseconds per call, and the ratio to {}:\n", self.ratio_to)?;
        writeln!(text, "{:33}{:^26}  {:^30}", "", "this machine", "published (isolated / open)")?;
        writeln!(
            text,
            "{:19}{:14}{:>9}{:>9}{:>8}  {:>8}{:>7}{:>8}{:>7}",
            "path", "call", "minimum", "median", "ratio", "ns", "ratio", "ns", "ratio"
        )?;
        for row in &self.paths {
            writeln!(
                text,
                "{:19}{:14}{:>9}{:>9}{:>8}  {:>8}{:>7}{:>8}{:>7}",
                row.path,
                row.call,
                cell(row.minimum_ns, 1),
                cell(row.median_ns, 1),
                cell(row.ratio, 2),
                cell(row.published_isolated_ns, 0),
                cell(row.published_isolated_ratio, 2),
                cell(row.published_open_ns, 0),
                cell(row.published_open_ratio, 2),
            )?;
        }
        writeln!(text)?;
        for row in &self.paths {
            if let Some(reason) = &row.unavailable {
                writeln!(text, "{} is not available: {reason}", row.path)?;
            }
        }
        writeln!(
            text,
            "This machine: {}; meltdown: {}; clock source: {}.\n\
             Published: {}, with page table isolation and without (open). Its vsyscall was\n\
             emulated; a native one took as long as syscall.\n\
             {} rounds of {} calls. getppid: no libc caches it, and it does next to nothing.",
            self.machine,
            self.page_table_isolation,
            self.clock_source,
            self.published_on,
            self.rounds,
            self.calls_per_round
        )
    }
}

fn cell(number: Option<f64>, digits: usize) -> String {
    number.map_or("-".to_owned(), |number| format!("{number:.digits$}"))
}

fn processor() -> String {
    let cpuinfo = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpuinfo.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    model.map_or("unknown".to_owned(), |(_, model)| model.trim().to_owned())
}
