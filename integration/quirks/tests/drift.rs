//! The data file of the command is what the importer makes of the stored extracts.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use tempfile::TempDir;

const RECORDS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/records");
const DATA: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../command/src/quirks/records.rs");

fn tool(command: &str, arguments: &[&Path]) -> Output {
    let mut tool = Command::new(env!("CARGO_BIN_EXE_sigward-quirks"));
    tool.arg(command).args(arguments).output().expect("the tool")
}

fn import(folder: &Path) -> String {
    let output = tool("import", &[folder]);
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).expect("text")
}

/// The stored records, with `from` replaced by `to` in one of them.
fn changed(record: &str, from: &str, to: &str) -> TempDir {
    let folder = TempDir::new().expect("a temporary folder");
    for entry in fs::read_dir(RECORDS).expect("the records").flatten() {
        fs::copy(entry.path(), folder.path().join(entry.file_name())).expect("a copy");
    }
    let path = folder.path().join(record);
    let text = fs::read_to_string(&path).expect("the record");
    assert!(text.contains(from), "{record} has no {from}");
    fs::write(&path, text.replace(from, to)).expect("the changed record");
    folder
}

#[test]
fn the_data_file_is_what_the_importer_makes_of_the_records() {
    let made = import(Path::new(RECORDS));
    if std::env::var_os("BLESS").is_some() {
        fs::write(DATA, &made).expect("records.rs is writable");
    }
    let kept = fs::read_to_string(DATA).unwrap_or_default();
    assert!(
        kept == made,
        "records.rs differs from the records; write it again by \
         BLESS=1 cargo test -p sigward-quirks"
    );
    assert!(made.matches("Record {").count() >= 25, "{made}");
}

#[test]
fn one_version_changed_in_a_record_is_seen() {
    let kept = fs::read_to_string(DATA).expect("records.rs");
    let folder = changed("CVE-2026-23102.json", "6.18.8", "6.18.9");
    assert_ne!(import(folder.path()), kept);
}

/// The extracts hold versions and ids only, and an extract of an extract is the same.
#[test]
fn the_extracts_have_no_prose() {
    let folder = TempDir::new().expect("a temporary folder");
    let output = tool("extract", &[Path::new(RECORDS), folder.path()]);
    assert!(output.status.success(), "{output:?}");
    for entry in fs::read_dir(RECORDS).expect("the records").flatten() {
        let text = fs::read_to_string(entry.path()).expect("a record");
        let again = fs::read_to_string(folder.path().join(entry.file_name())).expect("its extract");
        assert_eq!(text, again);
        let longest = text.lines().map(str::len).max();
        assert!(longest < Some(90), "{}", entry.path().display());
    }
}

/// Nothing is guessed.
#[test]
fn a_record_of_an_unknown_shape_is_refused() {
    for (from, to, why) in [
        ("\"PUBLISHED\"", "\"REJECTED\"", "is REJECTED"),
        ("\"original_commit_for_fix\"", "\"rumour\"", "unknown shape"),
        ("\"6.6.*\"", "\"6.7.*\"", "unknown shape"),
        ("\"6.18.8\"", "\"6.18.y\"", "unknown shape"),
        ("\"6.6.*\"", "\"6.6.*\" trailing", "expected"),
        ("CVE-2026-23102", "CVE-2026-23107", "two editions of CVE-2026-23107"),
    ] {
        let folder = changed("CVE-2026-23102.json", from, to);
        let output = tool("import", &[folder.path()]);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success() && said.contains(why), "{to}: {said}");
        assert_eq!(output.stdout, b"");
    }
}
