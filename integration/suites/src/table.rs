//! The text of the table: one line per suite, and remarks below.

use crate::calls::families;
use crate::row::Row;

impl Row {
    /// Whether the suite shows that the library changes nothing.
    #[must_use]
    pub fn holds(&self) -> bool {
        self.differing.is_empty() && self.tests > 0 && !self.calls.is_empty()
    }

    /// One line for each test that differs, as it should or not, or is flaky.
    #[must_use]
    pub fn remarks(&self) -> Vec<String> {
        let name = self.suite.name;
        let mut remarks = Vec::new();
        for found in &self.differing {
            let (test, arm) = (&found.test, found.arm);
            let (with, without) = (&found.with, &found.without);
            remarks.push(format!("{name}: DIFFERS: {test}: {arm}: {with}; without: {without}"));
        }
        for found in &self.meant {
            let (test, arm, with) = (&found.test, found.arm, &found.with);
            remarks.push(format!("{name}: as it should: {test}: {arm}: {with}; without: ok"));
        }
        if self.tests == 0 {
            remarks.push(format!("{name}: NO EVIDENCE: it gave no verdict"));
        }
        if self.calls.is_empty() {
            remarks.push(format!("{name}: NO EVIDENCE: it called no hooked function"));
        }
        for test in &self.flaky {
            remarks.push(format!("{name}: flaky without the library: {test}"));
        }
        remarks
    }
}

/// The head of the table.
pub const HEAD: &str = "\
| suite | runs | tests | skipped | failing without too | calls of hooked functions | flaky | differing |
|---|--:|--:|--:|--:|---|--:|--:|
";

/// The line of one suite.
#[must_use]
pub fn line(row: &Row) -> String {
    format!(
        "| {} | {} | {} | {} | {} | {} | {} | {} |\n",
        row.suite.name,
        row.runs,
        row.tests,
        row.skipped,
        row.failing,
        families(&row.calls),
        row.flaky.len(),
        row.differing.len(),
    )
}
