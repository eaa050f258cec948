//! Bar charts, as SVG.

use std::fmt::Write;
use std::iter::{once, zip};

use serde_json::Value;

const COLOURS: [&str; 3] = ["#1b6ca8", "#d98e04", "#e8c988"];

/// Draws `rows`, a list of JSON objects, as a group of bars each. `name` is the field with the
/// group's name; `legend` has the fields that are bars, and what they mean. A field that is not
/// a number has no bar. Bars begin `left` of the picture's edge, behind the names. Those over `axis` are
/// cut: the others would be too short to see.
pub fn svg(
    title: &str,
    (left, axis): (u16, f64),
    name: &str,
    legend: &[(&str, String)],
    rows: &Value,
) -> String {
    let rows = rows.as_array().map_or(&[][..], Vec::as_slice);
    let escaped = |words: &str| words.replace('&', "&amp;").replace('<', "&lt;");
    let bar = |value: f64| {
        let cut = if value > axis { " (cut)" } else { "" };
        (value.clamp(0.0, axis) / axis * 500.0, format!("{value}{cut}"))
    };
    let meanings = legend.iter().map(|(_, words)| Some((10.0, words.clone()))).collect::<Vec<_>>();
    let bars = |row: &Value| legend.iter().map(|(field, _)| row[field].as_f64().map(bar)).collect();
    let groups = rows.iter().map(|row| (row[name].as_str().unwrap_or_default(), bars(row)));
    let (mut items, group_height) = (String::new(), 14 + 12 * legend.len());
    let groups = once((title, meanings)).chain(groups);
    for (top, (name, bars)) in zip((10..).step_by(group_height), groups) {
        let _ = writeln!(items, "<text x='4' y='{}'>{}</text>", top + 9, escaped(name));
        for ((y, colour), bar) in zip(zip((top..).step_by(12), COLOURS.iter().cycle()), bars) {
            let Some((width, words)) = bar else { continue };
            let (end, base, words) = (f64::from(left) + 4.0 + width, y + 9, escaped(&words));
            let _ = writeln!(
                items,
                "<rect x='{left}' y='{y}' width='{width:.0}' height='10' fill='{colour}'/>\
                 <text x='{end:.0}' y='{base}'>{words}</text>"
            );
        }
    }
    let width = left + 570;
    let height = 10 + group_height * (1 + rows.len());
    format!(
        "<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 {width} {height}' font-family='sans-serif' \
         font-size='10'>\n<rect width='{width}' height='{height}' fill='white'/>\n{items}</svg>\n"
    )
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_bar_for_each_number_with_its_words_escaped_and_long_ones_cut() {
        let rows = serde_json::json!([{"who": "a < b", "x": 25, "y": null}, {"who": "c", "x": 500, "y": 0}]);
        let legend = [("x", "cats & dogs".to_owned()), ("y", "none".to_owned())];
        let text = super::svg("Miles", (150, 100.0), "who", &legend, &rows);
        let chart = roxmltree::Document::parse(&text).expect("well-formed XML");
        let words = chart.descendants().filter(|node| node.tag_name().name() == "text");
        let words: Vec<_> = words.filter_map(|node| node.text()).collect();
        assert_eq!(words, ["Miles", "cats & dogs", "none", "a < b", "25", "c", "500 (cut)", "0"]);
        let bars = chart.descendants().filter(|node| node.attribute("x") == Some("150"));
        let widths: Vec<_> = bars.filter_map(|bar| bar.attribute("width")).collect();
        assert_eq!(widths, ["10", "10", "125", "500", "0"]);
    }
}
