//! What is printed, and what `doctor` says.

use std::process::Command;

use sigward_harness::need;
use sigward_harness::programs::{Libc, build, libcs};

use super::{LIBRARY, PRELOAD, Root};

/// `sigward doctor` as a program of the root.
fn doctor(root: &Root) -> String {
    root.add(sigward_harness::artifacts::command(), "/opt/sigward");
    String::from_utf8(root.run(&["/opt/sigward", "doctor"]).stdout).unwrap()
}

#[test]
fn a_dry_run_prints_the_steps_and_does_none() {
    if !need::root() {
        return;
    }
    let root = Root::with_systemd();
    let before = root.everything();
    let text = root.must(&["install", "--dry-run"]);
    for step in
        ["start trial programs with", "write /etc/systemd/system/sigward-preload.service.new"]
    {
        assert!(text.contains(step), "{text}");
    }
    let entry = text.find("to /etc/ld.so.preload\n").expect("the entry");
    let library = text.find(&format!("to {LIBRARY}\n")).expect("the library");
    assert!(library < entry, "{text}");
    root.is_as(&before, "a dry run");
}

#[test]
fn each_loader_is_named_with_what_was_tried() {
    if !need::root() {
        return;
    }
    let root = Root::new();
    let text = root.must(&["install"]);
    assert!(text.contains("(glibc, 64-bit): 3 programs start as before"), "{text}");
    assert!(text.contains("in force"), "{text}");
}

/// A program of musl gets no library, and an install says so.
#[test]
fn musl_does_not_read_the_file() {
    if !need::root() || !libcs().contains(&Libc::Musl) {
        return;
    }
    let root = Root::new();
    root.add("/lib/ld-musl-x86_64.so.1".as_ref(), "/lib/ld-musl-x86_64.so.1");
    root.add(&build("signal_calls", Libc::Musl).unwrap(), "/opt/program");
    let text = root.must(&["install"]);
    assert!(text.contains("ld-musl-x86_64.so.1 (musl, 64-bit): lists the library"), "{text}");
    assert!(text.contains("it does not read /etc/ld.so.preload"), "{text}");
    let mut command = Command::new("chroot");
    let output = command.arg(root.path()).arg("/opt/program").env("SIGWARD_LOG", "info").output();
    assert!(!String::from_utf8_lossy(&output.unwrap().stderr).contains("SIGWARD="));
    let words = doctor(&root);
    assert!(words.contains("programs of /lib/ld-musl-x86_64.so.1 do not read it"), "{words}");
}

#[test]
fn doctor_finds_what_dangles_and_what_is_anothers() {
    if !need::root() {
        return;
    }
    let root = Root::with_systemd();
    assert!(!doctor(&root).contains("/etc/ld.so.preload"));
    root.write(PRELOAD, "/opt/gone.so\n");
    let words = doctor(&root);
    assert!(
        words.contains("/opt/gone.so does not exist: every program of glibc prints"),
        "{words}"
    );
    assert!(words.contains("/opt/gone.so is another's"), "{words}");
    std::fs::remove_file(root.at(PRELOAD)).unwrap();
    root.must(&["install"]);
    let words = doctor(&root);
    assert!(words.contains("the link to /run/sigward/ld.so.preload leads nowhere"), "{words}");
}
