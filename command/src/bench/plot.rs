//! The figures as a bar chart.

use super::report::{Report, TIMES};

/// The longest bar, in nanoseconds; longer ones are cut. In a virtual machine one path
/// may take a hundred times as long as the others, whose bars would be too short to see.
const AXIS: f64 = 1400.0;

/// An SVG document: the minimum here and the published figures of each path.
pub fn svg(report: &Report) -> String {
    let machine = report.machine.replace('&', "&amp;").replace('<', "&lt;");
    let published = format!("published, {},", report.published_on);
    let legend = [
        ("#1b6ca8", format!("here, {machine}")),
        ("#d98e04", format!("{published} page table isolation")),
        ("#e8c988", format!("{published} without")),
    ];
    let text = |x, y, words: &str| format!("<text x=\"{x}\" y=\"{y}\">{words}</text>");
    let bar = |x, y, width, colour, words: &str| {
        let shape = format!("width=\"{width}\" height=\"10\" fill=\"{colour}\"");
        format!("<rect x=\"{x}\" y=\"{y}\" {shape}/>") + &text(x + width + 4, y + 9, words)
    };
    let mut items = vec![text(4, 16, "Nanoseconds per call, by the way into the kernel")];
    items.extend(
        (24..).step_by(15).zip(&legend).map(|(y, (colour, words))| bar(4, y, 10, colour, words)),
    );
    for (top, row) in (76..).step_by(50).zip(&report.paths) {
        items.push(text(4, top + 22, row.path.name));
        for (y, (time, (colour, _))) in (top..).step_by(12).zip(TIMES.into_iter().zip(&legend)) {
            let Some(ns) = row.figures[time] else { continue };
            let cut = if ns > AXIS { " (cut)" } else { "" };
            let length = (ns.min(AXIS) / AXIS * 500.0) as u32;
            items.push(bar(150, y, length, colour, &format!("{ns:.0}{cut}")));
        }
    }
    let height = 76 + 50 * report.paths.len();
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 720 {height}\" \
         font-family=\"sans-serif\" font-size=\"10\">\n\
         <rect width=\"720\" height=\"{height}\" fill=\"white\"/>\n{}\n</svg>\n",
        items.join("\n")
    )
}
