//! Where an install would not be safe, nothing changes.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use sigward_harness::need;

use super::{PRELOAD, Root, both_classes};

/// Checks that an install fails with these words and leaves nothing.
fn refuses(root: &Root, words: &str) {
    let before = root.everything();
    let output = root.sigward(&["install"]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(125), "{output:?}");
    assert!(said.contains(words), "{said}");
    assert_eq!(said.lines().count(), 1, "{said}");
    root.is_as(&before, words);
    root.starts(words);
}

/// Builds a program from C and puts it into the root.
fn program(root: &Root, at: &str, flags: &[&str], text: &str) {
    let source = root.at("opt/program.c");
    fs::write(&source, text).unwrap();
    let mut gcc = Command::new("gcc");
    gcc.args(flags).arg("-o").arg(root.at(at)).arg(&source);
    assert!(gcc.status().unwrap().success());
    fs::remove_file(source).unwrap();
}

#[test]
fn a_program_that_does_not_start_with_the_library_stops_it() {
    if !need::root() {
        return;
    }
    for (why, text) in [
        ("/usr/lib/sigward/system/libsigward.so.new", "getenv(\"LD_PRELOAD\") != 0"),
        ("start trial programs with /etc/ld.so.preload", "!access(\"/etc/ld.so.preload\", F_OK)"),
    ] {
        let root = Root::new();
        let text = format!(
            "#include <stdlib.h>\n#include <unistd.h>\nint main(void) {{ return {text}; }}\n"
        );
        fs::remove_file(root.at("bin/true")).unwrap();
        program(&root, "bin/true", &[], &text);
        refuses(&root, why);
    }
}

#[test]
fn a_program_that_hangs_with_the_library_does_not_hang_the_install() {
    if !need::root() {
        return;
    }
    let root = Root::new();
    fs::remove_file(root.at("bin/true")).unwrap();
    let text = "#include <stdlib.h>\n#include <unistd.h>\n\
                int main(void) { if (getenv(\"LD_PRELOAD\")) pause(); return 0; }\n";
    program(&root, "bin/true", &[], text);
    refuses(&root, "/bin/true: it does not end");
}

/// A loader whose word for `$LIB` is that of the other class: the entry cannot serve both, and each
/// 32-bit program would print a line.
#[test]
fn programs_of_a_class_that_the_entry_cannot_serve_stop_it() {
    if !need::root() {
        return;
    }
    let root = Root::new();
    if both_classes::add(&root) {
        both_classes::exchange_word(&root, *b"lib64");
        refuses(&root, "(glibc, 32-bit): ERROR: ld.so: object");
    }
}

#[test]
fn a_root_without_glibc_is_none() {
    if !need::root() {
        return;
    }
    let root = Root::new();
    fs::rename(root.at("lib64"), root.at("elsewhere")).unwrap();
    let output = root.sigward(&["install"]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("there is no loader of glibc"), "{said}");
    assert!(!root.at("usr/lib/sigward").exists() && !root.at("etc/sigward").exists());
}

#[test]
fn a_file_that_is_no_plain_file_is_not_replaced() {
    if !need::root() {
        return;
    }
    let root = Root::new();
    root.link("/opt/managed", PRELOAD);
    root.write("opt/managed", "");
    refuses(&root, "/etc/ld.so.preload is a link to /opt/managed");
    fs::remove_file(root.at(PRELOAD)).unwrap();
    fs::create_dir(root.at(PRELOAD)).unwrap();
    refuses(&root, "/etc/ld.so.preload is no plain file");
}

#[test]
fn another_copy_of_the_library_stops_it() {
    if !need::root() {
        return;
    }
    let root = Root::new();
    root.must(&["install"]);
    root.add(&root.at(super::LIBRARY), "/opt/libsigward.so");
    root.must(&["uninstall"]);
    root.write(PRELOAD, "/opt/libsigward.so\n");
    refuses(&root, "already names /opt/libsigward.so");
}

/// What is behind a zero byte is not read: such a file is not understood, so it is left alone.
#[test]
fn a_file_that_would_be_read_differently_stops_it() {
    if !need::root() {
        return;
    }
    let root = Root::new();
    root.write(PRELOAD, "\0");
    refuses(&root, "would make glibc read /etc/ld.so.preload differently");
}

#[test]
fn a_list_of_exceptions_that_others_can_change_stops_it() {
    if !need::root() {
        return;
    }
    let root = Root::with_systemd();
    root.write("etc/sigward/except", "java\n");
    fs::set_permissions(root.at("etc/sigward/except"), PermissionsExt::from_mode(0o666)).unwrap();
    refuses(&root, "/etc/sigward/except: others can write to it");
    fs::set_permissions(root.at("etc/sigward/except"), PermissionsExt::from_mode(0o644)).unwrap();
    root.write("etc/sigward/except", "two words\n");
    refuses(&root, "\"two words\" is not a name or pattern");
}

#[test]
fn a_second_install_at_the_same_time_is_refused() {
    use nix::fcntl::{Flock, FlockArg};
    if !need::root() {
        return;
    }
    let root = Root::new();
    let folder = fs::File::open(root.at("etc")).unwrap();
    let _lock = Flock::lock(folder, FlockArg::LockExclusive).unwrap();
    refuses(&root, "another install may be under way");
}

#[test]
fn nobody_but_root_can_install() {
    use std::os::unix::process::CommandExt;
    if !need::root() {
        return;
    }
    let root = Root::new();
    let mut command = Command::new(sigward_harness::artifacts::command());
    let folder = tempfile::tempdir().unwrap();
    fs::set_permissions(folder.path(), PermissionsExt::from_mode(0o755)).unwrap();
    let copy = folder.path().join("sigward");
    sigward_harness::programs::copy(Path::new(command.get_program()), &copy).unwrap();
    command = Command::new(copy);
    command.args(["install", "--system", "--root"]).arg(root.path()).uid(65534);
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(125), "{output:?}");
    assert!(String::from_utf8_lossy(&output.stderr).contains("needs root"), "{output:?}");
}
