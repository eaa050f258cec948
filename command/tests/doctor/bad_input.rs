//! What is no target at all: one clear line each.

use std::os::unix::ffi::OsStrExt;

use super::*;

#[track_caller]
fn one_line(arguments: &[&OsStr], code: i32, words: &str) {
    let output = output(arguments);
    assert_eq!(output.status.code(), Some(code), "{arguments:?}");
    let line = text(&output.stderr);
    assert_eq!(line.lines().count(), 1, "{line}");
    assert!(line.starts_with("sigward: ") && line.contains(words), "{line}");
    assert!(output.stdout.is_empty(), "{}", text(&output.stdout));
}

#[test]
fn a_target_that_is_not_there_is_one_line() {
    let folder = TempDir::new().unwrap();
    let data = folder.path().join("data");
    std::fs::write(&data, b"\0\x01\x02").unwrap();
    let cut = folder.path().join("cut");
    std::fs::write(&cut, b"\x7fELF\x02").unwrap();
    one_line(&["/no/such".as_ref()], 2, "/no/such: not found");
    one_line(&["no-such-program".as_ref()], 2, "no-such-program: not found");
    one_line(&["/tmp".as_ref()], 2, "/tmp: a folder, not a program");
    one_line(&["/dev/null".as_ref()], 2, "/dev/null: not a regular file");
    one_line(&[data.as_os_str()], 2, "neither an ELF file nor a script");
    one_line(&[cut.as_os_str()], 2, "cut: ");
    one_line(&[OsStr::from_bytes(b"/no\n\x1b[2J\xff")], 2, "/no\\n\\u{1b}[2J");
}

#[test]
fn what_is_no_number_of_a_process_is_refused() {
    one_line(&["".as_ref()], 125, "an empty name");
    one_line(&["0".as_ref()], 125, "0: no process has this number");
    one_line(&["99999999999999999999".as_ref()], 125, "no process has this number");
    // The largest that the kernel gives is 4,194,304.
    one_line(&["2000000000".as_ref()], 2, "2000000000: no such process");
}

#[test]
fn a_missing_target_does_not_hide_the_others() {
    let (code, report) = json([&AFFECTED[..], &["/no/such", "/bin/true"]].concat());
    assert_eq!(code, 2);
    assert_eq!(report["failed"][0]["target"], "/no/such");
    assert_eq!(report["failed"][0]["why"], "not found");
    assert_eq!(report["programs"][0]["standing"], "covered");
}
