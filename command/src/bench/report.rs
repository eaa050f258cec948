//! The figures, as a table and as JSON.

use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};

use super::entry::{Effort, Path, REFERENCE, Rounds};

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

/// The figures of a path: column heading, JSON name, and the digits that the table shows.
/// Times are nanoseconds per call. Each ratio divides the time before it by the same time
/// of [`REFERENCE`].
const COLUMNS: [(&str, &str, usize); 7] = [
    ("median", "median_ns", 1),
    ("minimum", "minimum_ns", 1),
    ("ratio", "ratio", 2),
    ("ns", "published_isolated_ns", 0),
    ("ratio", "published_isolated_ratio", 2),
    ("ns", "published_open_ns", 0),
    ("ratio", "published_open_ratio", 2),
];

/// The indices in [`COLUMNS`] of the times that have ratios: measured here, published
/// with page table isolation, published without.
pub const TIMES: [usize; 3] = [1, 3, 5];

/// One path.
pub struct Row {
    pub path: &'static Path,
    pub figures: [Option<f64>; COLUMNS.len()],
    unavailable: Option<String>,
}

impl Row {
    pub fn new(path: &'static Path, rounds: Rounds) -> Self {
        let unavailable = rounds.as_ref().err().cloned();
        let mut rounds = rounds.unwrap_or_default();
        rounds.sort_by(f64::total_cmp);
        let at = |index: usize| rounds.get(index).copied().map(hundredths);
        let [isolated, open] = path.published;
        let figures = [at(rounds.len() / 2), at(0), None, isolated, None, open, None];
        Self { path, figures, unavailable }
    }
}

impl Serialize for Row {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("path", self.path.name)?;
        map.serialize_entry("call", self.path.call)?;
        for ((_, name, _), figure) in COLUMNS.iter().zip(self.figures) {
            map.serialize_entry(name, &figure)?;
        }
        map.serialize_entry("unavailable", &self.unavailable)?;
        map.end()
    }
}

fn hundredths(number: f64) -> f64 {
    (number * 100.0).round() / 100.0
}

impl Report {
    pub fn new(effort: Effort, mut paths: Vec<Row>) -> Self {
        let reference = paths.iter().find(|row| row.path.name == REFERENCE);
        let reference = reference.map_or([None; COLUMNS.len()], |row| row.figures);
        for row in &mut paths {
            for time in TIMES {
                let ratio = row.figures[time].zip(reference[time]).map(|(here, to)| here / to);
                row.figures[time + 1] = ratio.map(hundredths);
            }
        }
        let read = |file: &str| std::fs::read_to_string(file).unwrap_or("unknown".to_owned());
        let system = |file: &str| read(&format!("/sys/devices/system/{file}")).trim().to_owned();
        let cpuinfo = read("/proc/cpuinfo");
        let mut model = cpuinfo.lines().filter_map(|line| line.strip_prefix("model name\t: "));
        Self {
            machine: model.next().unwrap_or("unknown").trim().to_owned(),
            page_table_isolation: system("cpu/vulnerabilities/meltdown"),
            clock_source: system("clocksource/clocksource0/current_clocksource"),
            rounds: effort.rounds,
            calls_per_round: effort.calls,
            published_on: "Intel i7-5500U",
            ratio_to: REFERENCE,
            paths,
        }
    }

    pub fn text(&self) -> String {
        let line = |path: &str, call: &str, cells: [String; COLUMNS.len()]| {
            let [median, least, ratio, ns, to, open, open_to] = cells;
            format!(
                "{path:19}{call:14}{least:>9}{median:>9}{ratio:>8}  {ns:>8}{to:>7}{open:>8}{open_to:>7}"
            )
        };
        let row = |row: &Row| {
            let cell = |at: usize| {
                row.figures[at].map_or("-".to_owned(), |ns| format!("{ns:.0$}", COLUMNS[at].2))
            };
            line(row.path.name, row.path.call, std::array::from_fn(cell))
        };
        let mut lines = vec![
            format!("Nanoseconds per call, and the ratio to {}:\n", self.ratio_to),
            format!("{:33}{:^26}  {:^30}", "", "this machine", "published (isolated / open)"),
            line("path", "call", COLUMNS.map(|(heading, ..)| heading.to_owned())),
        ];
        lines.extend(self.paths.iter().map(row));
        lines.push(String::new());
        lines.extend(self.paths.iter().filter_map(|row| {
            Some(format!("{} is not available: {}", row.path.name, row.unavailable.as_ref()?))
        }));
        lines.push(format!(
            "This machine: {}; meltdown: {}; clock source: {}.\n\
             Published: {}, with page table isolation and without (open). Its vsyscall was\n\
             emulated; a native one took as long as syscall.\n\
             {} rounds of {} calls. getppid: no libc caches it, and it does next to nothing.\n",
            self.machine,
            self.page_table_isolation,
            self.clock_source,
            self.published_on,
            self.rounds,
            self.calls_per_round
        ));
        lines.join("\n")
    }
}
