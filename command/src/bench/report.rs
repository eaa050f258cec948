//! The figures, as a table and as JSON.

use std::fs;

use serde::Serialize;

use super::child::{Effort, Outcome};

/// Ratios are relative to this path.
const REFERENCE: &str = "syscall";

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

/// A way into the kernel. Times are nanoseconds per call; the ratio after each is to that
/// of [`REFERENCE`]. Where there is no figure, it is not a number, and null in JSON.
#[derive(Serialize)]
pub struct Row {
    pub path: &'static str,
    call: &'static str,
    median_ns: f64,
    minimum_ns: f64,
    ratio: f64,
    published_isolated_ns: f64,
    published_isolated_ratio: f64,
    published_open_ns: f64,
    published_open_ratio: f64,
    unavailable: Option<String>,
}

impl Row {
    /// Without ratios, which [`Report::new`] adds. The published figures
    /// are with page table isolation and without.
    pub fn new(
        path: &'static str,
        call: &'static str,
        published: [f64; 2],
        outcome: Outcome,
    ) -> Self {
        let unavailable = outcome.as_ref().err().cloned();
        let bytes = outcome.unwrap_or_default();
        let mut rounds: Vec<_> =
            bytes.as_chunks().0.iter().copied().map(f64::from_le_bytes).collect();
        rounds.sort_by(f64::total_cmp);
        let at = |index: usize| rounds.get(index).map_or(f64::NAN, |time| hundredths(*time));
        Self {
            path,
            call,
            median_ns: at(rounds.len() / 2),
            minimum_ns: at(0),
            ratio: f64::NAN,
            published_isolated_ns: published[0],
            published_isolated_ratio: f64::NAN,
            published_open_ns: published[1],
            published_open_ratio: f64::NAN,
            unavailable,
        }
    }

    /// The times that have ratios.
    pub fn times(&self) -> [f64; 3] {
        [self.minimum_ns, self.published_isolated_ns, self.published_open_ns]
    }

    fn line(&self) -> String {
        let Self { path, call, minimum_ns, median_ns, ratio, .. } = self;
        let Self { published_isolated_ns, published_isolated_ratio, .. } = self;
        let Self { published_open_ns, published_open_ratio, .. } = self;
        format!(
            "{path:19}{call:14}{minimum_ns:9.1}{median_ns:9.1}{ratio:8.2}\
             {published_isolated_ns:10.0}{published_isolated_ratio:7.2}\
             {published_open_ns:8.0}{published_open_ratio:7.2}\n"
        )
        // As wide as the number that is missing.
        .replace("NaN", "  -")
    }

    fn reason(&self) -> Option<String> {
        Some(format!("{} is not available: {}\n", self.path, self.unavailable.as_ref()?))
    }
}

fn hundredths(number: f64) -> f64 {
    (number * 100.0).round() / 100.0
}

impl Report {
    /// Adds the ratios, and what this machine is.
    pub fn new(effort: Effort, mut paths: Vec<Row>) -> Self {
        let reference = paths.iter().find(|row| row.path == REFERENCE);
        let [here, isolated, open] = reference.map_or([f64::NAN; 3], Row::times);
        for row in &mut paths {
            row.ratio = hundredths(row.minimum_ns / here);
            row.published_isolated_ratio = hundredths(row.published_isolated_ns / isolated);
            row.published_open_ratio = hundredths(row.published_open_ns / open);
        }
        let read = |file: &str| fs::read_to_string(file).unwrap_or("unknown".to_owned());
        let system = |file: &str| read(&format!("/sys/devices/system/{file}")).trim().to_owned();
        let cpuinfo = read("/proc/cpuinfo");
        let model = cpuinfo.lines().find_map(|line| line.strip_prefix("model name\t: "));
        Self {
            machine: model.unwrap_or("unknown").trim().to_owned(),
            page_table_isolation: system("cpu/vulnerabilities/meltdown"),
            clock_source: system("clocksource/clocksource0/current_clocksource"),
            rounds: effort.rounds,
            calls_per_round: effort.calls,
            published_on: "Intel i7-5500U",
            ratio_to: REFERENCE,
            paths,
        }
    }

    /// The table, and what it shows.
    pub fn text(&self) -> String {
        let Self { machine, page_table_isolation, clock_source, .. } = self;
        let Self { rounds, calls_per_round, published_on, ratio_to, paths, .. } = self;
        let rows: String = paths.iter().map(Row::line).collect();
        let reasons: String = paths.iter().filter_map(Row::reason).collect();
        format!(
            "Nanoseconds per call, and the ratio to {ratio_to}:\n\n\
             {:33}       this machine          published (isolated / open)\n\
             path               call            minimum   median   ratio        ns  ratio      ns  ratio\n\
             {rows}\n\
             {reasons}\
             This machine: {machine}; meltdown: {page_table_isolation}; clock source: {clock_source}.\n\
             Published: {published_on}, with page table isolation and without (open). Its vsyscall was\n\
             emulated; a native one took as long as syscall.\n\
             {rounds} rounds of {calls_per_round} calls. getppid: no libc caches it, and it does next to nothing.\n",
            ""
        )
    }
}
