//! The figures as a bar chart.

use std::fmt::Write;
use std::iter::{once, zip};

use super::report::{PUBLISHED_ON, Row, machine};

/// Nanoseconds of the longest bar; longer ones are cut. In a virtual machine one path may
/// take a hundred times as long as the others, whose bars would be too short to see.
const AXIS: f64 = 1400.0;

const COLOURS: [&str; 3] = ["#1b6ca8", "#d98e04", "#e8c988"];

/// An SVG document: the minimum here and the published figures of each path.
pub fn svg(rows: &[Row]) -> String {
    let machine = machine().replace('&', "&amp;").replace('<', "&lt;");
    let legend = [
        format!("here, {machine}"),
        format!("published, {PUBLISHED_ON}, page table isolation"),
        format!("published, {PUBLISHED_ON}, without"),
    ];
    let legend = ("Nanoseconds per call", legend.map(|words| (10.0, words)));
    let bar = |ns: f64| {
        let cut = if ns > AXIS { " (cut)" } else { "" };
        (ns.clamp(0.0, AXIS) / AXIS * 500.0, format!("{ns:.0}{cut}"))
    };
    let groups = rows.iter().map(|row| (row.path, row.times().map(bar)));
    let mut items = String::new();
    for (top, (name, bars)) in zip((10..).step_by(50), once(legend).chain(groups)) {
        let _ = writeln!(items, "<text x='4' y='{}'>{name}</text>", top + 22);
        for (y, (colour, (width, words))) in zip((top..).step_by(12), zip(COLOURS, bars)) {
            if !width.is_nan() {
                let (end, base) = (154.0 + width, y + 9);
                let _ = writeln!(
                    items,
                    "<rect x='150' y='{y}' width='{width:.0}' height='10' fill='{colour}'/>\
                     <text x='{end:.0}' y='{base}'>{words}</text>"
                );
            }
        }
    }
    let height = 60 + 50 * rows.len();
    format!(
        "<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 720 {height}' font-family='sans-serif' \
         font-size='10'>\n<rect width='720' height='{height}' fill='white'/>\n{items}</svg>\n"
    )
}
