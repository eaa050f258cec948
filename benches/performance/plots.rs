//! Charts of the figures in `docs/performance.json`.

#[path = "../../command/src/bar_chart.rs"]
mod bar_chart;

use serde_json::{Value, json};

/// One chart: the section whose figures it shows, its file beside the document, and what it shows.
pub struct Plot {
    pub section: &'static str,
    pub file: &'static str,
    pub shows: &'static str,
    draw: fn(&Section<'_>) -> String,
}

pub const PLOTS: [Plot; 2] = [
    Plot {
        section: "Forks",
        file: "performance-forks.svg",
        shows: "The ratios of forks beside their targets",
        draw: forks,
    },
    Plot {
        section: "Memory calls",
        file: "performance-memory.svg",
        shows: "The times of memory calls relative to libc, by the number of stacks",
        draw: memory,
    },
];

impl Plot {
    /// The chart as SVG. `None`: `document`, that of `performance.json`, lacks the section.
    pub fn svg(&self, document: &Value) -> Option<String> {
        let mut sections = document["sections"].as_array()?.iter();
        let section = sections.find(|section| section["title"] == self.section)?;
        Some((self.draw)(&Section(section)))
    }
}

/// A section of the document.
struct Section<'it>(&'it Value);

impl Section<'_> {
    fn rows(&self) -> &[Value] {
        self.0["rows"].as_array().map_or(&[], Vec::as_slice)
    }

    /// The cell of `row` in the column of that name.
    fn cell<'row>(&self, row: &'row Value, column: &str) -> &'row Value {
        let columns = self.0["columns"].as_array().map_or(&[][..], Vec::as_slice);
        let at = columns.iter().position(|name| name == column);
        at.map_or(&Value::Null, |at| &row[at])
    }

    fn text<'row>(&self, row: &'row Value, column: &str) -> &'row str {
        self.cell(row, column).as_str().unwrap_or_default()
    }
}

/// The ratio to which each target applies.
fn forks(section: &Section<'_>) -> String {
    let row = |row: &Value| {
        let target = section.cell(row, "target").as_f64()?;
        let what = section.text(row, "in a process with");
        let (ratio, to) = match section.cell(row, "`on` to copies") {
            Value::Null => (section.cell(row, "`on` ratio"), ""),
            copies => (copies, " (to copies)"),
        };
        Some(json!({"what": format!("{what}{to}"), "ratio": ratio, "target": target}))
    };
    let rows: Vec<_> = section.rows().iter().filter_map(row).collect();
    let legend = [
        ("ratio", "with SIGWARD=on, relative to libc's fork, or to the kernel's copies".to_owned()),
        ("target", "target: at most".to_owned()),
    ];
    bar_chart::svg("Forks in a process with", (310, 2.0), "what", &legend, &json!(rows))
}

/// The greatest ratio of all sizes.
fn memory(section: &Section<'_>) -> String {
    let mut calls: Vec<&str> = section.rows().iter().map(|row| section.text(row, "call")).collect();
    calls.dedup();
    let rows = calls.iter().map(|call| {
        let most = |column: &str| {
            let rows = section.rows().iter().filter(|row| section.text(row, "call") == *call);
            rows.filter_map(|row| section.cell(row, column).as_f64()).reduce(f64::max)
        };
        json!({
            "call": call.replace('`', ""),
            "0": most("beside 0: ratio"),
            "10": most("beside 10: ratio"),
            "1000": most("beside 1,000: ratio"),
        })
    });
    let rows: Vec<_> = rows.collect();
    let beside = |stacks: &str| format!("beside {stacks} stacks, the most of 64 KiB to 64 MiB");
    let legend = [("0", beside("no")), ("10", beside("10")), ("1000", beside("1,000"))];
    let title = "Time with SIGWARD=on, relative to libc";
    bar_chart::svg(title, (210, 1.5), "call", &legend, &json!(rows))
}
