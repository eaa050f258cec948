//! The sections and tables of `docs/performance.md`.

use std::fmt::{Display, Formatter, Result};
use std::path::Path;
use std::{fs, io};

use serde_json::{Value, json};
use sigward_harness::counter::Counter;

use crate::plots::{PLOTS, Plot};
use crate::subject::machine;

/// The whole file.
pub struct Document {
    pub counter: Counter,
    pub sections: Vec<Section>,
}

/// One table with its explanation.
#[derive(Default)]
pub struct Section {
    pub title: &'static str,
    pub text: String,
    pub header: Vec<&'static str>,
    pub rows: Vec<Vec<String>>,
    /// A target that the figures miss.
    pub missed: Option<String>,
}

impl Document {
    /// The same tables for machines: figures as numbers, `null` where there is none.
    pub fn json(&self) -> String {
        let value = |cell: &String| match cell.replace(',', "").parse::<f64>() {
            Ok(number) => json!(number),
            Err(_) if cell.is_empty() || cell == "-" => Value::Null,
            Err(_) => json!(cell),
        };
        let sections = self.sections.iter().map(|section| {
            let rows = section.rows.iter().map(|row| row.iter().map(value).collect::<Vec<_>>());
            let rows: Vec<_> = rows.collect();
            json!({
                "title": section.title,
                "columns": section.header,
                "rows": rows,
                "missed": section.missed,
            })
        });
        let sections: Vec<_> = sections.collect();
        let counter = self.counter.name();
        let all = json!({"machine": machine(), "counter": counter, "sections": sections});
        format!("{all:#}\n")
    }
}

impl Display for Document {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        write!(
            f,
            "# Performance\n\n\
             <!-- Written by `make bench`; run that to write it again. -->\n\n\
             All figures come from one run of `make bench` on one machine:\n{}.\n\n\
             Instructions are user instructions, counted by\n`{}`.\n\
             A time is the shortest of many rounds. On a busy machine times are rough: compare\n\
             the instructions.\n",
            machine(),
            self.counter.name()
        )?;
        for section in &self.sections {
            write!(f, "\n{section}")?;
        }
        Ok(())
    }
}

/// Draws the charts of what [`Document::json`] wrote, beside the document at `path`.
pub fn draw(json: &str, path: &Path) -> io::Result<()> {
    let document = serde_json::from_str(json)?;
    for plot in PLOTS {
        let svg = plot.svg(&document).ok_or_else(|| io::Error::other(plot.section))?;
        fs::write(path.with_file_name(plot.file), svg)?;
    }
    Ok(())
}

impl Display for Section {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        writeln!(f, "## {}\n\n{}\n", self.title, self.text)?;
        for Plot { file, shows, .. } in PLOTS.iter().filter(|plot| plot.section == self.title) {
            writeln!(f, "![{shows}]({file})\n")?;
        }
        writeln!(f, "| {} |", self.header.join(" | "))?;
        // The first column is text, the others are numbers.
        writeln!(f, "| --- |{}", " ---: |".repeat(self.header.len().saturating_sub(1)))?;
        self.rows.iter().try_for_each(|row| writeln!(f, "| {} |", row.join(" | ")))
    }
}

/// A number with thousands separators.
pub fn grouped(number: f64) -> String {
    let digits = format!("{:.0}", number.abs());
    let mut text = String::from(if number <= -0.5 { "-" } else { "" });
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `one` relative to `other`.
pub fn ratio(one: f64, other: f64) -> String {
    if other > 0.0 { format!("{:.2}", one / other) } else { "-".to_owned() }
}
