//! The charts in `docs/` are what `make plots` draws of `docs/performance.json`, and the document shows
//! them.

#[path = "../benches/performance/plots.rs"]
mod plots;

use std::fs;
use std::path::Path;

use plots::PLOTS;
use serde_json::Value;

fn read(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs").join(name);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The part of the document with that title.
fn section<'it>(document: &'it str, title: &str) -> &'it str {
    let rest = document.split(&format!("## {title}\n")).nth(1).expect("its section");
    rest.split("\n## ").next().expect("a first part")
}

#[test]
fn charts_are_of_the_figures_beside_them() {
    let (data, document) = (read("performance.json"), read("performance.md"));
    let data = serde_json::from_str(&data).unwrap();
    for plot in PLOTS {
        let svg = plot.svg(&data).expect("figures for it");
        assert!(svg == read(plot.file), "{}: run `make plots`", plot.file);
        let chart = roxmltree::Document::parse(&svg).expect("well-formed XML");
        let bars = chart.descendants().filter(|node| node.has_tag_name("rect"));
        assert!(bars.count() > 10, "{svg}");
        let link = format!("![{}]({})", plot.shows, plot.file);
        assert!(section(&document, plot.section).contains(&link), "{link}");
    }
}

#[test]
fn the_document_has_the_figures_of_the_data() {
    let data: Value = serde_json::from_str(&read("performance.json")).unwrap();
    let document = read("performance.md");
    for figures in data["sections"].as_array().unwrap() {
        let title = figures["title"].as_str().unwrap();
        let lines = section(&document, title).lines().filter(|line| line.starts_with("| ")).skip(2);
        let lines: Vec<&str> = lines.collect();
        let rows = figures["rows"].as_array().unwrap();
        assert_eq!(lines.len(), rows.len(), "{title}");
        for (line, row) in lines.iter().zip(rows) {
            let cells = line.trim_matches('|').split('|').map(|cell| cell.trim().replace(',', ""));
            for (cell, told) in cells.zip(row.as_array().unwrap()) {
                let is_same = match told {
                    Value::Null => cell.is_empty() || cell == "-",
                    Value::Number(number) => cell.parse() == Ok(number.as_f64().unwrap()),
                    other => other.as_str().unwrap().replace(',', "") == cell,
                };
                assert!(is_same, "{title}: {cell} is not {told}");
            }
        }
    }
}
