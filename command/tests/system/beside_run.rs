//! `sigward run` where the library is in every program already.

use std::fs;

use sigward_harness::{artifacts, need};

use super::{ENTRY, LIBRARY, Root, both_classes};

const SIGWARD: &str = "/opt/sigward";

/// A root with an install, and how often a program of it says that the library was loaded.
fn installed() -> Root {
    let root = Root::new();
    both_classes::add(&root);
    root.add(artifacts::command(), SIGWARD);
    root.must(&["install"]);
    root
}

fn loads(root: &Root, arguments: &[&str]) -> usize {
    let output =
        root.run(&[&[SIGWARD, "run", "--set", "SIGWARD_LOG=info", "--"], arguments].concat());
    let words = String::from_utf8(output.stderr).unwrap();
    assert!(!words.contains("ld.so"), "{words}");
    words.matches(" SIGWARD=auto\n").count()
}

/// The same file once more is not a second copy.
#[test]
fn the_same_library_is_taken_from_there() {
    if !need::root() {
        return;
    }
    let root = installed();
    assert_eq!(loads(&root, &["/bin/true"]), 1);
    let output = root.run(&[SIGWARD, "run", "--dry-run", "--", "/bin/true"]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains(&format!("library: {ENTRY} (in every program")), "{text}");
    assert!(text.contains(&format!("\nLD_PRELOAD={ENTRY}\n")), "{text}");
    if root.at(both_classes::PROGRAM).exists() {
        assert_eq!(loads(&root, &[both_classes::PROGRAM]), 1);
        assert_eq!(loads(&root, &["/bin/sh", "-c", both_classes::PROGRAM]), 2);
        assert!(
            text.contains("32-bit programs: /usr/lib/sigward/system/libsigward-i386.so"),
            "{text}"
        );
    }
}

/// Two versions in one program would undo each other's work.
#[test]
fn another_version_is_refused() {
    if !need::root() {
        return;
    }
    let root = installed();
    let refused = |program: &str, words: &str| {
        let output = root.run(&[SIGWARD, "run", "--", program]);
        assert_eq!(output.status.code(), Some(125), "{output:?}");
        assert!(String::from_utf8_lossy(&output.stderr).contains(words), "{output:?}");
    };
    let narrow = root.at("usr/lib/sigward/system/libsigward-i386.so");
    if root.at(both_classes::PROGRAM).exists() {
        change(&narrow);
        refused(both_classes::PROGRAM, "32-bit programs get another libsigward.so");
        assert_eq!(loads(&root, &["/bin/true"]), 1);
    }
    change(&root.at(LIBRARY));
    refused("/bin/true", "/etc/ld.so.preload already holds another libsigward.so");
}

/// A byte more, behind what is loaded: another version, as far as files can tell.
fn change(library: &std::path::Path) {
    let mut bytes = fs::read(library).unwrap();
    bytes.push(0);
    fs::remove_file(library).unwrap();
    fs::write(library, bytes).unwrap();
}
