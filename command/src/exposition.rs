//! Text for node_exporter's textfile collector.

use std::fmt::Write;

/// Metrics, each with its help and samples.
#[derive(Default)]
pub struct Exposition(pub String);

impl Exposition {
    /// Adds a gauge of this name behind `sigward_`. Samples are labels and a value.
    pub fn gauge(&mut self, name: &str, help: &str, samples: &[(String, u64)]) {
        let _ = writeln!(self.0, "# HELP sigward_{name} {help}\n# TYPE sigward_{name} gauge");
        for (labels, value) in samples {
            let _ = writeln!(self.0, "sigward_{name}{labels} {value}");
        }
    }

    /// Adds a gauge without labels.
    pub fn plain(&mut self, name: &str, help: &str, value: u64) {
        self.gauge(name, help, &[(String::new(), value)]);
    }
}

/// Labels with their values.
pub fn label(labels: &[(&str, &str)]) -> String {
    let escaped =
        |value: &str| value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
    let labels: Vec<String> =
        labels.iter().map(|(name, value)| format!("{name}=\"{}\"", escaped(value))).collect();
    format!("{{{}}}", labels.join(","))
}

#[cfg(test)]
mod tests {
    use super::label;

    #[test]
    fn labels_are_escaped() {
        assert_eq!(label(&[("a", "x\"y\\z\n"), ("b", "")]), "{a=\"x\\\"y\\\\z\\n\",b=\"\"}");
    }
}
