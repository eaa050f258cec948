//! The figures as a bar chart.

use std::fmt::Write;

use super::report::{Report, Row};

/// Widths and heights, in SVG's user units.
const LABELS: u32 = 150;
const BARS: u32 = 500;
const NUMBERS: u32 = 70;
const BAR: usize = 12;
const GROUP: usize = 3 * BAR + 14;
const TOP: usize = 76;

/// A bar's figure, its colour and what the legend says.
type Series = (fn(&Row) -> Option<f64>, &'static str, String);

/// An SVG document: for each path the minimum here and the published figures.
pub fn svg(report: &Report) -> String {
    let mut text = String::new();
    // Writing to a String cannot fail.
    let _ = write(&mut text, report);
    text
}

fn write(text: &mut String, report: &Report) -> std::fmt::Result {
    let published = report.published_on;
    let series: [Series; 3] = [
        (|row| row.minimum_ns, "#1b6ca8", format!("here, {}", report.machine)),
        (
            |row| row.published_isolated_ns,
            "#d98e04",
            format!("published, {published}, page table isolation"),
        ),
        (|row| row.published_open_ns, "#e8c988", format!("published, {published}, without")),
    ];
    // In virtual machines a path may take a hundred times as long as the others, whose bars
    // would be too short to see: such a bar is cut.
    let most = |figure: fn(&Row) -> Option<f64>| {
        report.paths.iter().filter_map(figure).fold(1.0, f64::max)
    };
    let published_most = most(|row| row.published_isolated_ns);
    let axis = most(|row| row.minimum_ns).clamp(published_most, 2.0 * published_most);
    let width = LABELS + BARS + NUMBERS;
    let height = TOP + GROUP * report.paths.len();

    writeln!(
        text,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" \
         font-family=\"sans-serif\" font-size=\"11\">\n\
         <rect width=\"{width}\" height=\"{height}\" fill=\"white\"/>\n\
         <text x=\"4\" y=\"16\" font-size=\"14\">Nanoseconds per call, by the way into the \
         kernel</text>"
    )?;
    for (at, (_, colour, words)) in series.iter().enumerate() {
        let y = 24 + at * 15;
        writeln!(
            text,
            "<rect x=\"4\" y=\"{y}\" width=\"10\" height=\"10\" fill=\"{colour}\"/>\
             <text x=\"20\" y=\"{}\">{}</text>",
            y + 9,
            escaped(words)
        )?;
    }
    for (at, row) in report.paths.iter().enumerate() {
        let top = TOP + at * GROUP;
        writeln!(text, "<text x=\"4\" y=\"{}\">{}</text>", top + 22, escaped(row.path))?;
        for (at, (figure, colour, _)) in series.iter().enumerate() {
            let y = top + at * BAR;
            let Some(ns) = figure(row) else { continue };
            let length = (ns / axis).min(1.0) * f64::from(BARS);
            let cut = if ns > axis { " (cut)" } else { "" };
            writeln!(
                text,
                "<rect x=\"{LABELS}\" y=\"{y}\" width=\"{length:.1}\" height=\"{}\" \
                 fill=\"{colour}\"/><text x=\"{:.1}\" y=\"{}\" font-size=\"9\">{ns:.0}{cut}</text>",
                BAR - 2,
                length + f64::from(LABELS) + 4.0,
                y + 9
            )?;
        }
    }
    writeln!(text, "</svg>")
}

fn escaped(words: &str) -> String {
    words.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
