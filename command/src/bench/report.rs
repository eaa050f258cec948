//! The figures, as a table and as JSON.

use std::fs;
use std::iter::zip;

use serde::{Serialize, Serializer};
use serde_json::{Value, json};

use super::child::{Effort, Outcome};

/// Ratios are to this path.
pub const REFERENCE: &str = "syscall";
/// Where the published figures are from.
pub const PUBLISHED_ON: &str = "Intel i7-5500U";
/// The figures of a row: name in JSON, width and decimals in the table.
const COLUMNS: [(&str, usize, usize); 7] = [
    ("minimum_ns", 9, 1),
    ("median_ns", 9, 1),
    ("ratio", 8, 2),
    ("published_isolated_ns", 10, 0),
    ("published_isolated_ratio", 7, 2),
    ("published_open_ns", 8, 0),
    ("published_open_ratio", 7, 2),
];

/// A way into the kernel.
#[derive(Serialize)]
pub struct Row {
    pub path: &'static str,
    call: &'static str,
    /// One for each of [`COLUMNS`]; NaN, in JSON null, if there is none.
    #[serde(flatten, serialize_with = "by_name")]
    figures: [f64; COLUMNS.len()],
    unavailable: Option<String>,
}

fn by_name<S: Serializer>(figures: &[f64], to: S) -> Result<S::Ok, S::Error> {
    let hundredths = |figure: &f64| (figure * 100.0).round() / 100.0;
    to.collect_map(zip(COLUMNS.map(|column| column.0), figures.iter().map(hundredths)))
}

impl Row {
    /// Without ratios. The published times are with page table isolation and without (open).
    pub fn new([path, call]: [&'static str; 2], published: [f64; 2], times: Outcome) -> Self {
        let unavailable = times.as_ref().err().cloned();
        let bytes = times.unwrap_or_default();
        let mut times: Vec<f64> =
            bytes.as_chunks().0.iter().copied().map(f64::from_le_bytes).collect();
        times.sort_by(f64::total_cmp);
        let at = |index: usize| times.get(index).copied().unwrap_or(f64::NAN);
        let ([isolated, open], later) = (published, f64::NAN);
        let figures = [at(0), at(times.len() / 2), later, isolated, later, open, later];
        Self { path, call, figures, unavailable }
    }

    /// The minimum and the published times.
    pub fn times(&self) -> [f64; 3] {
        let [minimum, _, _, isolated, _, open, _] = self.figures;
        [minimum, isolated, open]
    }

    /// With the ratios to the times of another row.
    pub fn relative_to(mut self, [minimum, isolated, open]: [f64; 3]) -> Self {
        for (ratio, time, to) in [(2, 0, minimum), (4, 3, isolated), (6, 5, open)] {
            self.figures[ratio] = self.figures[time] / to;
        }
        self
    }

    fn line(&self) -> String {
        let figure = |((_, width, digits), figure)| format!("{figure:width$.digits$}");
        let figures: String = zip(COLUMNS, self.figures).map(figure).collect();
        // As wide as the number that is missing.
        format!("{:19}{:14}{}\n", self.path, self.call, figures.replace("NaN", "  -"))
    }

    fn reason(&self) -> Option<String> {
        Some(format!("{} is not available: {}\n", self.path, self.unavailable.as_ref()?))
    }
}

/// The rows with what they need to be understood: as JSON, whose names are an interface (add,
/// do not rename), and as text.
pub fn of(effort: Effort, rows: &[Row]) -> (Value, String) {
    let Effort { rounds, calls } = effort;
    let machine = machine();
    let system = |file| read(&format!("/sys/devices/system/{file}"));
    let isolation = system("cpu/vulnerabilities/meltdown");
    let clock = system("clocksource/clocksource0/current_clocksource");
    let json = json!({
        "machine": machine, "page_table_isolation": isolation, "clock_source": clock,
        "rounds": rounds, "calls_per_round": calls, "published_on": PUBLISHED_ON,
        "ratio_to": REFERENCE, "paths": rows,
    });
    let lines: String = rows.iter().map(Row::line).collect();
    let reasons: String = rows.iter().filter_map(Row::reason).collect();
    let text = format!(
        "Nanoseconds per call, and the ratio to {REFERENCE}:\n\n\
         {:33}       this machine          published (isolated / open)\n\
         path               call            minimum   median   ratio        ns  ratio      ns  ratio\n\
         {lines}\n\
         {reasons}\
         This machine: {machine}; meltdown: {isolation}; clock source: {clock}.\n\
         Published: {PUBLISHED_ON}, with page table isolation and without (open). Its vsyscall was\n\
         emulated; a native one took as long as syscall.\n\
         {rounds} rounds of {calls} calls. getppid: no libc caches it, and it does next to nothing.\n",
        ""
    );
    (json, text)
}

/// The name of the processor.
pub fn machine() -> String {
    let cpuinfo = read("/proc/cpuinfo");
    let model = cpuinfo.lines().find_map(|line| line.strip_prefix("model name\t: "));
    model.unwrap_or("unknown").to_owned()
}

fn read(file: &str) -> String {
    fs::read_to_string(file).map_or("unknown".to_owned(), |text| text.trim().to_owned())
}
