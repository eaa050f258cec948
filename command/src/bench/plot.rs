//! The figures as a bar chart.

use std::iter::zip;

use super::report::Report;

/// Nanoseconds of the longest bar; longer ones are cut. In a virtual machine one path may
/// take a hundred times as long as the others, whose bars would be too short to see.
const AXIS: f64 = 1400.0;

const COLOURS: [&str; 3] = ["#1b6ca8", "#d98e04", "#e8c988"];

/// An SVG document: the minimum here and the published figures of each path.
pub fn svg(report: &Report) -> String {
    let machine = report.machine.replace('&', "&amp;").replace('<', "&lt;");
    let published = format!("published, {},", report.published_on);
    let legend = [
        format!("here, {machine}"),
        format!("{published} page table isolation"),
        format!("{published} without"),
    ];
    let text = |x, y, words: &str| format!("<text x='{x}' y='{y}'>{words}</text>\n");
    let bar = |x, y, width, colour, words: &str| {
        format!("<rect x='{x}' y='{y}' width='{width}' height='10' fill='{colour}'/>")
            + &text(x + width + 4, y + 9, words)
    };
    let mut items = text(4, 16, "Nanoseconds per call, by the way into the kernel");
    for (y, (colour, words)) in zip((24..).step_by(15), zip(COLOURS, &legend)) {
        items += &bar(4, y, 10, colour, words);
    }
    for (top, row) in zip((76..).step_by(50), &report.paths) {
        items += &text(4, top + 22, row.path);
        for (y, (colour, ns)) in zip((top..).step_by(12), zip(COLOURS, row.times())) {
            if !ns.is_nan() {
                let cut = if ns > AXIS { " (cut)" } else { "" };
                let width = (ns.min(AXIS) / AXIS * 500.0) as u32;
                items += &bar(150, y, width, colour, &format!("{ns:.0}{cut}"));
            }
        }
    }
    let height = 76 + 50 * report.paths.len();
    format!(
        "<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 720 {height}' font-family='sans-serif' \
         font-size='10'>\n<rect width='720' height='{height}' fill='white'/>\n{items}</svg>\n"
    )
}
