//! Messages are one line, and name the thing, its value and the remedy.

use std::process::Command;

use predicates::prelude::*;
use predicates::str::{contains, diff};
use sigward_harness::artifacts;
use sigward_harness::need;
use sigward_harness::programs::copy;
use tempfile::TempDir;

use super::{executable, mode, patched_true, run, script};

/// A carriage return at the end of a script's first line would hide the message's beginning.
#[test]
fn control_characters_are_escaped() {
    let made = TempDir::new().expect("a folder");
    let program = script(made.path(), "crlf", "#!/bin/sh\r\necho hi\r\n");
    run([&program]).assert().code(126).stderr(contains("executed: /bin/sh\\r: No such file"));
    run(["two\nlines\x1b"]).assert().code(127).stderr("sigward: two\\nlines\\u{1b}: not found\n");
}

#[test]
fn an_empty_name_is_named() {
    run([""]).assert().code(127).stderr("sigward: the name of the program is empty\n");
}

#[test]
fn machines_have_names() {
    let made = TempDir::new().expect("a folder");
    for (patches, words) in [
        (&[(18, 183), (19, 0)][..], "another machine (ARM64, the library is for x86-64)"),
        (&[(4, 1), (18, 3), (19, 0)], "another machine (x86, the library"),
        (&[(18, 255), (19, 255)], "another machine (machine 65535 of ELF, the"),
        (&[(4, 1)], "not a 64-bit program"),
    ] {
        let program = patched_true(made.path(), patches);
        run([&program]).assert().code(125).stderr(contains(words));
    }
}

/// Where there is no shell, a script without a first line for the kernel cannot run at all.
#[test]
fn a_script_that_needs_a_missing_shell_cannot_be_executed() {
    if !need::root() {
        return;
    }
    let root = TempDir::new().expect("a folder");
    copy(artifacts::command(), &root.path().join("sigward")).expect("a copy");
    copy(artifacts::preload(), &root.path().join("lib.so")).expect("a copy");
    mode(&root.path().join("lib.so"), 0o644);
    executable(&root.path().join("bare"), "echo hi\n");
    let chroot = |arguments: &[&str]| {
        let mut command = Command::new("chroot");
        command.arg(root.path()).args(["/sigward", "run"]).args(arguments);
        super::limited(command).assert()
    };
    let words = "sigward: /bare: its shell cannot be executed: /bin/sh: No such file or directory \
                 (os error 2); it is neither ELF nor has a #! line, so it needs /bin/sh\n";
    chroot(&["--library", "/lib.so", "/bare"]).code(126).stderr(diff(words));
    // There is no /proc either, to find the command's own file.
    chroot(&["/bare"]).code(125).stderr(contains("no safe place").and(contains("--library PATH")));
}

#[test]
fn a_library_that_is_a_descriptor_is_refused() {
    let mut command = super::bare();
    command.args(["--library", "/dev/fd/0", "true"]);
    let library = std::fs::File::open(super::probe()).expect("the library");
    command.stdin(library);
    let refused = contains("is a descriptor").and(contains("--library PATH"));
    super::limited(command).assert().code(125).stderr(refused);
}
