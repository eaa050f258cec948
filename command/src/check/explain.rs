//! `sigward check --explain ID`: everything that the table has about one row.

use std::fmt::Write;

use crate::machine::Machine;
use crate::quirks::judge::{self, Finding};
use crate::quirks::model::{Cure, Reach, Versions};
use crate::quirks::ranges::Ranges;
use crate::quirks::{cve, record};

/// A line for each fact.
pub fn text(finding: &Finding, machine: &Machine) -> String {
    let row = finding.row;
    let mut text = format!("{}: {}\n", row.id, row.summary);
    let mut line = |name: &str, value: &str| {
        if !value.is_empty() {
            let _ = writeln!(text, "  {name}: {value}");
        }
    };
    line("here", &judge::words(finding, &machine.kernel));
    line("layer", &format!("{}, {}", row.layer.name(), row.system.name()));
    let arches: Vec<_> = row.arches.iter().map(|arch| arch.name()).collect();
    line("processors", &if arches.is_empty() { "all".to_owned() } else { arches.join(", ") });
    let needs: Vec<_> = row.needs.iter().map(ToString::to_string).collect();
    line("only if", &needs.join(" and "));
    line("only", judge::only(row).unwrap_or(""));
    line("happens at", row.trigger.name());
    line("harm", row.harm.name());
    line("versions", &versions(&row.versions));
    line("user space can use", &cure(&row.cure));
    line("sigward", &reach(&row.reach));
    line("instead", row.instead);
    line("proof", row.proof.name());
    line("confidence", row.confidence.as_str());
    line("cve", cve(row).unwrap_or(""));
    if let Versions::Record(cve) = row.versions
        && let Some(record) = record(cve)
    {
        line("brought by", &record.introduced.join(", "));
        line("fixed by", &record.commits.join(", "));
    }
    line("source", row.source);
    text
}

pub fn cure(cure: &Cure) -> String {
    match cure {
        Cure::Environment(setting) => format!("{} ({setting})", cure.name()),
        _ => cure.name().to_owned(),
    }
}

pub fn reach(reach: &Reach) -> String {
    match reach {
        Reach::Cured(how) | Reach::Reduced(how) => format!("{}: {how}", reach.name()),
        Reach::Told => reach.name().to_owned(),
    }
}

/// The affected versions, branch by branch.
pub fn versions(versions: &Versions) -> String {
    match versions {
        Versions::Record(cve) => record(cve).map_or(String::new(), |record| list(&record.ranges)),
        Versions::Sourced(ranges) => list(ranges),
        Versions::Inferred(ranges) => format!("{} (inferred)", list(ranges)),
        Versions::Acted(quirk) => {
            let range = |range: &sigward::quirks::Range| {
                format!("{} to before {}", range.from, range.fixed)
            };
            quirk.ranges.iter().map(range).collect::<Vec<_>>().join(", ")
        }
        Versions::Every => "every".to_owned(),
        Versions::Unknown => "see the text".to_owned(),
    }
}

fn list(ranges: &Ranges) -> String {
    let mut parts: Vec<String> =
        ranges.spans.iter().map(|(from, to)| format!("{from} to before {to}")).collect();
    if let Some(since) = ranges.since {
        let fixed: Vec<String> =
            ranges.fixed.iter().chain(&ranges.mainline).map(ToString::to_string).collect();
        let mut text = format!("since {since}");
        if fixed.is_empty() {
            text += "; no fix listed";
        } else {
            let _ = write!(text, "; fixed in {}", fixed.join(", "));
        }
        let unknown: Vec<String> =
            ranges.somewhere.iter().map(|(major, minor)| format!("{major}.{minor}.y")).collect();
        if !unknown.is_empty() {
            let _ = write!(text, "; fixed at an unknown patch level of {}", unknown.join(", "));
        }
        parts.push(text);
    }
    parts.join(", ")
}
