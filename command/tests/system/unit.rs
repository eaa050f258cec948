//! Where systemd is: the entry is a link into /run, which a unit makes.

use std::fs;
use std::process::Command;

use sigward_harness::need;

use super::{ENTRY, LIBRARY, PRELOAD, Root};

const UNIT: &str = "etc/systemd/system/sigward-preload.service";
const BOOT: [&str; 4] = ["/usr/lib/sigward/system/sigward", "install", "--system", "--boot"];
const STOP: [&str; 4] = ["/usr/lib/sigward/system/sigward", "uninstall", "--system", "--boot"];

#[test]
fn the_link_leads_nowhere_until_the_unit_has_run() {
    if !need::root() {
        return;
    }
    let root = Root::with_systemd();
    root.write(PRELOAD, "# only a comment");
    root.must(&["install"]);
    let target = fs::read_link(root.at(PRELOAD)).unwrap();
    assert_eq!(target.to_str(), Some("/run/sigward/ld.so.preload"));
    assert!(!root.is_in_force());

    let output = root.run(&BOOT);
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
    let text = root.read("run/sigward/ld.so.preload").unwrap();
    assert_eq!(text, format!("{ENTRY}\n# only a comment"));
    assert!(root.is_in_force());
    root.starts("booted");

    assert!(root.run(&STOP).status.success());
    assert!(!root.is_in_force());
    root.starts("stopped");
}

/// After an update of the C library, say: the host comes up, without the library.
#[test]
fn a_boot_whose_trial_fails_preloads_nothing() {
    if !need::root() {
        return;
    }
    let root = Root::with_systemd();
    root.must(&["install"]);
    assert!(root.run(&BOOT).status.success());
    fs::write(root.at(LIBRARY), "no library").unwrap();
    let output = root.run(&BOOT);
    assert_eq!(output.status.code(), Some(125), "{output:?}");
    assert!(!root.at("run/sigward/ld.so.preload").exists());
    root.starts("with a broken library");
    root.must(&["install"]);
    assert!(root.run(&BOOT).status.success() && root.is_in_force());
}

/// What others add through the link stays when it is undone.
#[test]
fn what_was_added_through_the_link_stays() {
    if !need::root() {
        return;
    }
    let root = Root::with_systemd();
    root.must(&["install"]);
    assert!(root.run(&BOOT).status.success());
    root.add(&root.at("lib/x86_64-linux-gnu/libc.so.6"), "/opt/libother.so");
    let run = "run/sigward/ld.so.preload";
    root.write(run, root.read(run).unwrap() + "/opt/libother.so\n");
    // A live host: seen from inside.
    let output = root.run(&["/usr/lib/sigward/system/sigward", "uninstall", "--system"]);
    assert!(output.status.success(), "{output:?}");
    assert_eq!(root.read(PRELOAD).as_deref(), Some("/opt/libother.so\n"));
    assert!(!root.at("usr/lib/sigward").exists() && !root.at("run/sigward").exists());
    root.starts("removed");
}

/// As on a running host: at once, and without a word.
#[test]
fn on_a_live_host_the_library_is_in_force_at_once() {
    if !need::root() {
        return;
    }
    let root = Root::with_systemd();
    root.add(sigward_harness::artifacts::command(), "/opt/sigward");
    let before = root.everything();
    let output = root.run(&["/opt/sigward", "install", "--system"]);
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
    assert!(root.is_in_force());
    root.starts("installed");
    let output = root.run(&["/opt/sigward", "uninstall", "--system"]);
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
    root.is_as(&before, "removed");
}

fn analyze() -> Option<std::path::PathBuf> {
    let found = need::installed("systemd-analyze");
    need::required(found.is_some(), "systemd-analyze", "install systemd").then_some(())?;
    found
}

#[test]
fn systemd_finds_nothing_wrong_with_the_unit() {
    if !need::root() {
        return;
    }
    let Some(analyze) = analyze() else { return };
    let root = Root::with_systemd();
    root.must(&["install"]);
    let wanted = root.at("etc/systemd/system/sysinit.target.wants/sigward-preload.service");
    assert_eq!(fs::read_link(wanted).unwrap().to_str(), Some(&*format!("/{UNIT}")));
    // The manual page is not in this root.
    let mut verify = Command::new(analyze);
    verify.args(["verify", "--man=no", "--recursive-errors=no", "--root"]).arg(root.path());
    let output = verify.arg(root.at(UNIT)).output().unwrap();
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
}

#[test]
fn exceptions_are_passed_on_by_systemd() {
    if !need::root() {
        return;
    }
    let root = Root::with_systemd();
    root.must(&["install"]);
    let made = root.read("etc/systemd/system.conf.d/sigward.conf").unwrap();
    assert!(made.contains("\nDefaultEnvironment=\"SIGWARD_EXCEPT=gdb,"), "{made}");
    root.write("etc/sigward/except", "java # slow\n*.cgi\n");
    root.must(&["install"]);
    let made = root.read("etc/systemd/system.conf.d/sigward.conf").unwrap();
    assert!(made.contains("\"SIGWARD_EXCEPT=java,*.cgi\"\n"), "{made}");
    root.must(&["uninstall"]);
    assert_eq!(root.read("etc/sigward/except").as_deref(), Some("java # slow\n*.cgi\n"));
    assert!(!root.at("etc/systemd/system.conf.d").exists());
}
