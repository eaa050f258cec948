//! Programs of both classes: each gets its library, by one entry.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use sigward_harness::need;
use sigward_harness::programs::{Libc, libcs32};

use super::{ENTRY, LIBRARY, PRELOAD, Root};

/// A 32-bit program. It ends with 7.
pub const PROGRAM: &str = "/opt/program32";
const NARROW: &str = "/usr/lib/sigward/system/libsigward-i386.so";
/// Where programs expect their loader, and where it stands, as on Debian.
const NAMED: &str = "lib/ld-linux.so.2";
const LOADER: &str = "lib32/ld-linux.so.2";

/// Adds a 32-bit program to the root, and the libc of the machine for it. `false` if there is none.
pub fn add(root: &Root) -> bool {
    let loader = Path::new("/").join(NAMED);
    if !libcs32().contains(&Libc::Glibc32) {
        return false;
    }
    let libc = loader.canonicalize().expect("a loader").with_file_name("libc.so.6");
    root.add(&loader, LOADER);
    root.link("../lib32/ld-linux.so.2", NAMED);
    root.add(&libc, "lib32/libc.so.6");
    build(root, PROGRAM, "int main(void) { return 7; }");
    true
}

fn build(root: &Root, at: &str, text: &str) {
    let source = root.at("opt/program.c");
    fs::write(&source, text).expect("a file");
    let mut gcc = Command::new("gcc");
    gcc.args(["-m32", "-o"]).arg(root.at(at)).arg(&source);
    assert!(gcc.status().expect("gcc").success());
    fs::remove_file(source).expect("it is ours");
}

/// Has the 32-bit loader put another word for `$LIB`, of the same length as its own.
pub fn exchange_word(root: &Root, word: [u8; 5]) {
    let mut loader = fs::read(root.at(LOADER)).expect("a loader");
    let own = b"\0lib32\0";
    let at = loader.windows(own.len()).position(|bytes| bytes == own).expect("Debian's word");
    loader[at + 1..=at + word.len()].copy_from_slice(&word);
    // A new file: the old one may be in use.
    fs::remove_file(root.at(LOADER)).expect("it is ours");
    fs::write(root.at(LOADER), loader).expect("a file");
    fs::set_permissions(root.at(LOADER), PermissionsExt::from_mode(0o755)).expect("it is ours");
}

fn doctor(root: &Root) -> String {
    root.add(sigward_harness::artifacts::command(), "/opt/sigward");
    String::from_utf8(root.run(&["/opt/sigward", "doctor"]).stdout).expect("UTF-8")
}

#[test]
fn each_class_gets_its_library_by_one_entry() {
    if !need::root() {
        return;
    }
    let root = Root::new();
    if !add(&root) {
        return;
    }
    let before = root.everything();
    let text = root.must(&["install"]);
    assert!(text.contains("(glibc, 32-bit): its libc starts as before"), "{text}");
    assert_eq!(root.read(PRELOAD).as_deref(), Some(&*format!("{ENTRY}\n")));
    assert!(root.has_library("/bin/true") && root.has_library(PROGRAM));
    root.starts("installed");
    let words = doctor(&root);
    for (bits, library) in [(64, LIBRARY), (32, NARROW)] {
        let line =
            words.lines().find(|line| line.trim().starts_with(&format!("{bits}-bit programs (")));
        assert!(line.is_some_and(|line| line.ends_with(library)), "{words}");
    }
    assert!(!words.contains("find no library") && !words.contains("without code"), "{words}");
    fs::remove_file(root.at("opt/sigward")).unwrap();
    root.must(&["uninstall"]);
    root.is_as(&before, "removed");
}

/// glibc expands `$LIB` for them, too; the library stands down. Without the variables of others: where
/// glibc removes one, the library does not see that it is such a program.
#[test]
fn setuid_programs_start_as_before() {
    if !need::root() {
        return;
    }
    let root = Root::new();
    let narrow = add(&root).then_some((PROGRAM, 7));
    root.add("/bin/true".as_ref(), "/opt/true");
    root.must(&["install"]);
    for (program, code) in [("/opt/true", 0)].into_iter().chain(narrow) {
        assert!(root.has_library(program), "{program}");
        fs::set_permissions(root.at(program), PermissionsExt::from_mode(0o4755)).unwrap();
        let mut command = Command::new("chroot");
        command.arg("--userspec=65534:65534").arg(root.path()).arg(program).env_clear();
        command.env("PATH", "/usr/bin:/usr/sbin:/bin:/sbin").env("SIGWARD_LOG", "info");
        let output = command.output().unwrap();
        assert_eq!(output.status.code(), Some(code), "{output:?}");
        assert!(output.stderr.is_empty(), "{output:?}");
    }
}

/// A word that no distribution has is asked from the loader.
#[test]
fn a_loader_is_asked_for_its_word() {
    if !need::root() {
        return;
    }
    let root = Root::new();
    if !add(&root) {
        return;
    }
    exchange_word(&root, *b"lib86");
    let before = root.everything();
    root.must(&["install"]);
    assert!(root.at("usr/lib/sigward/system/lib86/libsigward.so").exists());
    let words = doctor(&root);
    assert!(
        words.contains("32-bit programs (/lib/ld-linux.so.2): /usr/lib/sigward/system/lib"),
        "{words}"
    );
    assert!(!words.contains("find no library"), "{words}");
    fs::remove_file(root.at("opt/sigward")).unwrap();
    assert!(root.is_in_force());
    root.starts("installed");
    root.must(&["uninstall"]);
    root.is_as(&before, "removed");
}

/// They start without a word, and get the library by the next install.
#[test]
fn thirty_two_bit_programs_may_come_later() {
    if !need::root() {
        return;
    }
    let root = Root::new();
    root.must(&["install"]);
    if !add(&root) {
        return;
    }
    root.starts("with a loader that came later");
    assert!(!root.has_library(PROGRAM));
    let words = doctor(&root);
    assert!(words.contains("32-bit programs get a library without code"), "{words}");
    root.must(&["install"]);
    assert!(root.is_in_force());
    root.starts("installed again");
}

/// An entry without `$LIB` as another version wrote it becomes the new one, where it stands.
#[test]
fn an_entry_for_one_class_becomes_one_for_both() {
    if !need::root() {
        return;
    }
    let root = Root::new();
    root.add(&root.at("lib/x86_64-linux-gnu/libc.so.6"), "/opt/libother.so");
    let before = root.everything();
    root.must(&["install"]);
    root.write(PRELOAD, format!("{LIBRARY}\n"));
    root.must(&["install"]);
    assert_eq!(root.read(PRELOAD).as_deref(), Some(&*format!("{ENTRY}\n")));
    root.must(&["uninstall"]);
    root.is_as(&before, "removed");

    root.must(&["install"]);
    root.write(PRELOAD, format!("/opt/libother.so:{LIBRARY} # mine\n"));
    root.must(&["install"]);
    assert_eq!(root.read(PRELOAD), Some(format!("/opt/libother.so:{ENTRY} # mine\n")));
    assert!(root.is_in_force());
    root.starts("exchanged");
    root.must(&["uninstall"]);
    assert_eq!(root.read(PRELOAD).as_deref(), Some("/opt/libother.so:# mine\n"));
}
