//! What `sigward check` says to monitoring systems.

use std::fs;
use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::process::{Command, Output, Stdio};

use assert_cmd::cargo::cargo_bin;
use sigward_harness::need;

/// Kernels for each answer of a Nagios plugin.
const FINE: &str = "7.1.2";
const SLIGHT: &str = "6.12.60";
const GRAVE: &str = "5.4.1 … gcc 9";
const UNKNOWN: &str = "mystery";
const EMULATOR: &str = "4.19.0-gvisor";

fn check(arguments: &[&str]) -> Output {
    Command::new(cargo_bin("sigward")).arg("check").args(arguments).output().expect("sigward")
}

fn text(format: &str, kernel: &str) -> String {
    let output = check(&["--format", format, "--arch", "x86_64", "--kernel", kernel]);
    String::from_utf8(output.stdout).expect("text")
}

/// The plugin's codes differ from the command's own, where 2 means unknown.
#[test]
fn nagios_gets_its_four_codes() {
    for (kernel, code, word, own) in [
        (FINE, 0, "OK", 0),
        (SLIGHT, 1, "WARNING", 1),
        (GRAVE, 2, "CRITICAL", 1),
        (UNKNOWN, 3, "UNKNOWN", 2),
        (EMULATOR, 3, "UNKNOWN", 2),
    ] {
        let base = ["--arch", "x86_64", "--kernel", kernel];
        let output = check(&[&["--format", "nrpe"], &base[..]].concat());
        let line = String::from_utf8_lossy(&output.stdout).into_owned();
        assert_eq!(output.status.code(), Some(code), "{line}");
        assert!(line.starts_with(&format!("SIGWARD {word} - ")), "{line}");
        // One line, and one bar in front of the performance data.
        assert_eq!((line.matches('\n').count(), line.matches('|').count()), (1, 1), "{line}");
        let (_, data) = line.split_once(" | ").expect("performance data");
        for item in data.split_whitespace() {
            let (name, values) = item.split_once('=').expect("name=values");
            let first = values.split(';').next().unwrap_or("");
            assert!(!name.is_empty() && first.parse::<u32>().is_ok(), "{item}");
            assert!((1..=4).contains(&values.matches(';').count()), "{item}");
        }
        assert_eq!(check(&base).status.code(), Some(own), "{kernel}");
    }
}

#[test]
fn promtool_accepts_the_text_for_prometheus() {
    let promtool = need::installed("promtool").is_some();
    let promtool = need::required(promtool, "promtool", "apt install prometheus");
    for kernel in [FINE, GRAVE, UNKNOWN, "4.18.0-193.el8", "6.1\"quoted\\release"] {
        let text = text("prometheus", kernel);
        assert!(text.contains("\nsigward_build_info{version=\""), "{text}");
        assert!(text.contains("\nsigward_last_scan_timestamp_seconds 1"), "{text}");
        if !promtool {
            continue;
        }
        let mut lint = Command::new("promtool")
            .args(["check", "metrics"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("promtool");
        lint.stdin.take().expect("a pipe").write_all(text.as_bytes()).expect("written");
        let output = lint.wait_with_output().expect("promtool");
        assert!(output.status.success() && output.stderr.is_empty(), "{output:?}\n{text}");
    }
    let grave = text("prometheus", GRAVE);
    assert!(grave.contains("sigward_check_overall{overall=\"affected\"} 1\n"), "{grave}");
    assert!(grave.contains("sigward_check_alarms 3\n"), "{grave}");
    assert!(
        grave.contains("{id=\"linux-sigframe-fpu\",cve=\"CVE-2019-19602\",state=\"affected\",")
    );
    assert!(text("prometheus", FINE).contains("sigward_check_alarms 0\n"));
}

/// Node Feature Discovery's rules: comments are directives, names have a namespace, a label's
/// name and value have at most 63 characters of a small alphabet, the file at most 64 kB.
#[test]
fn node_feature_discovery_can_read_its_file() {
    let allowed = |part: &str| {
        let edge = |end: Option<char>| end.is_some_and(|c| c.is_ascii_alphanumeric());
        part.len() <= 63
            && edge(part.chars().next())
            && edge(part.chars().next_back())
            && part.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c))
    };
    for kernel in [FINE, SLIGHT, GRAVE, UNKNOWN, EMULATOR] {
        let text = text("nfd", kernel);
        assert!(text.len() < 64_000);
        let (first, rest) = text.split_once('\n').expect("lines");
        let stamp = first.strip_prefix("# +expiry-time=").expect("the expiry");
        let shape: String =
            stamp.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect();
        assert_eq!(shape, "0000-00-00T00:00:00Z");
        for line in rest.lines() {
            let (name, value) = line.split_once('=').expect("name=value");
            let (namespace, name) = name.split_once('/').expect("a namespace");
            assert_eq!(namespace, "feature.node.kubernetes.io");
            assert!(allowed(name) && allowed(value), "{line}");
        }
    }
    let grave = text("nfd", GRAVE);
    assert!(grave.contains("/sigward-overall=affected\n"), "{grave}");
    assert!(grave.contains("/sigward-x86-xrstor-fault=no-fix-listed\n"), "{grave}");
    assert!(text("nfd", EMULATOR).contains("/sigward-overall=no-evidence\n"));
}

/// A collector never reads half a file, and nothing is left beside it.
#[test]
fn a_file_is_replaced_at_once() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("sigward.prom");
    fs::write(&path, "old").expect("a file");
    let before = fs::metadata(&path).expect("the file").ino();
    let file = path.to_str().expect("a name");
    let output = check(&["--format", "prometheus", "--kernel", FINE, "--output", file]);
    assert_eq!((output.status.code(), output.stdout.len()), (Some(0), 0), "{output:?}");
    assert!(fs::read_to_string(&path).expect("text").ends_with('\n'));
    assert_ne!(fs::metadata(&path).expect("the file").ino(), before);
    assert_eq!(fs::read_dir(folder.path()).expect("the folder").count(), 1);

    let missing = folder.path().join("no/such/folder/file");
    let output = check(&["--json", "--output", missing.to_str().expect("a name")]);
    assert_eq!(output.status.code(), Some(125), "{output:?}");
}

#[test]
fn links_stay_links_and_pipes_are_written_to() {
    let place = tempfile::tempdir().expect("a folder");
    let link = |name: &str, to: &str| {
        let link = place.path().join(name);
        std::os::unix::fs::symlink(to, &link).expect("a link");
        link
    };
    fs::write(place.path().join("file"), "old").expect("a file");
    for (link, printed) in
        [(link("to-file", "file"), false), (link("out", "/proc/self/fd/1"), true)]
    {
        let name = link.to_str().expect("UTF-8");
        let output = check(&["--format", "prometheus", "--kernel", FINE, "--output", name]);
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        assert_eq!(output.stdout.starts_with(b"# HELP"), printed, "{output:?}");
        assert!(link.is_symlink(), "{name} was replaced");
    }
    let text = fs::read_to_string(place.path().join("file")).expect("a file");
    assert!(text.starts_with("# HELP"), "{text}");
}
