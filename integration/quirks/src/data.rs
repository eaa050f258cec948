//! The data file: Rust statics for `command/src/quirks/records.rs`.

use std::fmt::Write;

use crate::record::{Record, Version};

const HEAD: &str = "\
//! The affected versions of each CVE, branch by branch: the kernel CNA's own records.
//!
//! Made by `cargo run -p sigward-quirks -- import FOLDER`; do not edit.

use super::ranges::{Ranges, Record, v};

/// In the order of their ids.
pub static RECORDS: &[Record] = &[
";

/// The text of the data file.
pub fn file(records: &[Record]) -> String {
    let mut text = HEAD.to_owned();
    for record in records {
        let spans: Vec<String> = record
            .spans
            .iter()
            .map(|&(from, fixed)| format!("({}, {})", number(from), number(fixed)))
            .collect();
        let fixed: Vec<String> = record.fixed.iter().map(|&fixed| number(fixed)).collect();
        let written = write!(
            text,
            "    Record {{\n        cve: \"{}\",\n        ranges: Ranges {{\n            \
             since: {},\n            spans: &[{}],\n            fixed: &[{}],\n            \
             mainline: {},\n            ..Ranges::NONE\n        }},\n        \
             introduced: &[{}],\n        commits: &[{}],\n    }},\n",
            record.cve,
            optional(record.since),
            spans.join(", "),
            fixed.join(", "),
            optional(record.mainline),
            quoted(&record.introduced),
            quoted(&record.commits),
        );
        written.expect("a String");
    }
    text + "];\n"
}

fn number((major, minor, patch): Version) -> String {
    format!("v({major}, {minor}, {patch})")
}

fn optional(version: Option<Version>) -> String {
    version.map_or("None".to_owned(), |version| format!("Some({})", number(version)))
}

fn quoted(list: &[String]) -> String {
    let quoted: Vec<String> = list.iter().map(|commit| format!("\"{commit}\"")).collect();
    quoted.join(", ")
}
