//! `docs/quirks.md` is made from the table.
//!
//! To write it again: `BLESS=1 cargo test -p sigward-command document`.

use std::collections::BTreeSet;
use std::fmt::Write;

use super::model::{Cure, Layer, Need, Proof, Reach, Row, System, Trigger, Versions, Whom};
use super::{all, cve, record, records};
use crate::check::explain;

const PATH: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/quirks.md");

const HEAD: &str = "\
# Known defects of signal delivery

<!-- Made from command/src/quirks/. To write it again: BLESS=1 cargo test -p sigward-command document -->

What `sigward check` looks up. The versions of a row with a CVE number are those of the kernel CNA's own record, branch
by branch; a branch that a record does not list has *no fix listed*. Rows marked *inferred* have ranges that nobody
published as such: they never say \"affected\". A vendor who keeps a version number while adding fixes is not judged by
that number: such a kernel is *not listed*, which is not \"affected\".

Only rows of the kernel that every program can meet count for the exit code of `sigward check`. Rows that only
checkpoint/restore or hand-made frames meet, or only some programs, say so.

`cured` and `reduced` say what sigward does (with the library for that
processor, see [targets.md](targets.md)), `told only` that it does nothing but say so. How deep a row is
proven: *shown in a VM* (on a kernel that has the defect), *pretended* (the defect is imitated, and the cure is tested
against that), *read only*.

`sigward check --explain ID` has the commits.

";

fn document() -> String {
    let mut text = HEAD.to_owned();
    for (layer, title) in [
        (Layer::Kernel, "Kernels"),
        (Layer::Emulator, "Programs that imitate a kernel or a processor"),
        (Layer::Libc, "C libraries"),
        (Layer::Runtime, "Runtimes and programs"),
    ] {
        let _ = writeln!(
            text,
            "## {title}\n\n| defect | versions | what user space can do | what to do instead | proof \
             |\n|---|---|---|---|---|"
        );
        for row in all().filter(|row| row.layer == layer) {
            text += &line(row);
        }
        text += "\n";
    }
    text.trim_end().to_owned() + "\n"
}

fn line(row: &Row) -> String {
    let arches: Vec<_> = row.arches.iter().map(|arch| arch.name()).collect();
    let arches =
        if arches.is_empty() { String::new() } else { format!(" on {}", arches.join(", ")) };
    let needs: Vec<_> = row.needs.iter().map(ToString::to_string).collect();
    let needs =
        if needs.is_empty() { String::new() } else { format!(" If {}.", needs.join(" and ")) };
    let only = super::judge::only(row).map_or(String::new(), |only| format!(" Only {only}."));
    let source = match (cve(row), row.source) {
        (Some(cve), "") => cve.to_owned(),
        (Some(cve), source) if !source.contains(cve) => format!("{cve}, {source}"),
        (_, source) => source.to_owned(),
    };
    let summary = capital(row.summary);
    let instead = match (row.instead, row.versions) {
        (text, _) if !text.is_empty() => capital(text),
        (_, Versions::Every | Versions::Unknown) => "A newer version".to_owned(),
        _ => "A kernel that has the fix".to_owned(),
    };
    format!(
        "| **{}** ({}{arches}): {summary}.{needs}{only} Source: {source} | {} | {}; {} | {instead} | \
         {}, {} confidence |\n",
        row.id,
        row.system.name(),
        explain::versions(&row.versions),
        explain::cure(&row.cure),
        explain::reach(&row.reach),
        row.proof.name(),
        row.confidence.as_str(),
    )
}

fn capital(text: &str) -> String {
    let (first, rest) = text.split_at(text.chars().next().map_or(0, char::len_utf8));
    first.to_uppercase() + rest
}

#[test]
fn the_document_is_up_to_date() {
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(PATH, document()).expect("docs/quirks.md is writable");
    }
    let found = std::fs::read_to_string(PATH).unwrap_or_default();
    assert!(
        found == document(),
        "docs/quirks.md differs from the table; write it again by \
         BLESS=1 cargo test -p sigward-command document"
    );
}

#[test]
fn ids_are_unique_and_every_row_is_whole() {
    let mut ids = BTreeSet::new();
    for row in all() {
        assert!(ids.insert(row.id), "{} twice", row.id);
        let word =
            |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '-';
        assert!(!row.id.is_empty() && row.id.chars().all(word), "{}", row.id);
        // A label of Kubernetes has 63 characters.
        assert!(row.id.len() <= 50, "{}", row.id);
        assert!(!row.summary.is_empty() && !row.summary.ends_with('.'), "{}", row.id);
        assert!(cve(row).is_some() || !row.source.is_empty(), "{} has no source", row.id);
        for need in row.needs {
            let named = |option: &str| option.starts_with("CONFIG_") && !option.contains(' ');
            assert!(!matches!(need, Need::Config(option) if !named(option)), "{}", row.id);
        }
        if let Versions::Record(cve) = row.versions {
            assert!(record(cve).is_some(), "{}: no record of {cve}", row.id);
        }
    }
    assert!(ids.len() >= 60, "{}", ids.len());
}

#[test]
fn every_record_has_a_row() {
    for record in records::RECORDS {
        assert_eq!(all().filter(|row| cve(row) == Some(record.cve)).count(), 1, "{}", record.cve);
    }
}

/// A row that only hand-made frames meet alarms nobody else, and no cure is claimed on the
/// strength of a text.
#[test]
fn rows_promise_no_more_than_is_proven() {
    for row in all() {
        if row.trigger == Trigger::CraftedFrame {
            assert_eq!(row.whom, Whom::FrameMakers, "{}", row.id);
            assert!(!row.alarms(), "{}", row.id);
        }
        match row.reach {
            Reach::Told => {}
            Reach::Cured(how) | Reach::Reduced(how) => {
                assert!(!how.is_empty() && row.proof != Proof::Read, "{}", row.id);
            }
        }
        if row.cure == Cure::Nothing {
            assert!(!matches!(row.reach, Reach::Reduced(_)), "{}", row.id);
        }
        if row.layer == Layer::Emulator && row.system == System::Linux {
            let named = |need: &Need| matches!(need, Need::Under(_) | Need::That(_));
            assert!(row.needs.iter().any(named), "{} names no emulator", row.id);
        }
    }
}

/// What the library acts on is in the table, under the same ids.
#[test]
fn the_library_has_no_row_of_its_own() {
    for quirk in sigward::quirks::QUIRKS {
        assert!(all().any(|row| row.id == quirk.id && row.reach != Reach::Told), "{}", quirk.id);
    }
}

/// The test that each claim rests on: it fails without what the row says sigward does.
const PROVEN_BY: &[(&str, &str, &str)] = &[
    ("linux-sigframe-fpu", "tests/residency.rs", "frames_deep_in_a_stack_do_not_fault"),
    ("altstack-size", "tests/altstack_size.rs", "the_kernel_gets_a_larger_one"),
    ("arm64-altstack", "tests/arm64.rs", "a_stack_that_is_too_small_for_long_vectors_is_replaced"),
    ("riscv-minsigstksz", "tests/riscv64.rs", "a_size_without_vectors_is_not_believed"),
    ("x86-amx-denied", "tests/altstack_size.rs", "amx_is_granted_beside_a_small_stack"),
    ("freebsd-restart-r10", "integration/emulators/tests/freebsd.rs", "ours_survive"),
    ("stack-bounds", "tests/ordinary_stacks.rs", "nothing_beyond_the_stack_is_touched"),
    (
        "sigpending-limit",
        "command/tests/run/options.rs",
        "more_signals_can_wait_than_the_soft_limit_allows",
    ),
    ("fex-rip", "command/src/cures.rs", "a_setting_is_made_only_where_its_row_applies"),
    ("go-ymm-preempt", "command/tests/emulated.rs", "a_setting_of_a_runtime_reaches_the_program"),
    ("musl-126-refuses", "tests/altstack_size.rs", "what_libc_refuses_is_registered_larger"),
    (
        "go-forces-onstack",
        "tests/altstack_size.rs",
        "a_handler_that_is_forced_onto_a_small_stack_has_room",
    ),
];

#[test]
fn every_claim_has_a_test() {
    let claimed: BTreeSet<_> =
        all().filter(|row| row.reach != Reach::Told).map(|row| row.id).collect();
    let proven: BTreeSet<_> = PROVEN_BY.iter().map(|(id, ..)| *id).collect();
    assert_eq!(claimed, proven);
    for (id, file, test) in PROVEN_BY {
        let path = format!("{}/../{file}", env!("CARGO_MANIFEST_DIR"));
        let text = std::fs::read_to_string(&path).expect(file);
        let words: Vec<_> = text.split_whitespace().collect();
        let is_there = words.join(" ").contains(&format!("#[test] fn {test}()"));
        assert!(is_there, "{id}: no test {test} in {file}");
    }
}
