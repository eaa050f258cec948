//! A kill between any two steps, of an install and of its undoing.

use sigward_harness::need;

use super::{PRELOAD, Root, both_classes};

const SIGKILL: i32 = 9;

/// Whether the command was killed after `steps` steps; otherwise it came to its end.
fn killed(root: &Root, command: &str, steps: usize) -> bool {
    use std::os::unix::process::ExitStatusExt;
    let output = root.sigward(&[command, "--stop-after", &steps.to_string()]);
    let was_killed = output.status.signal() == Some(SIGKILL);
    assert!(was_killed || output.status.success(), "{command}: {output:?}");
    was_killed
}

/// Kills an install and an uninstall after each step, and goes on in both directions.
fn everywhere(root: &Root) {
    let before = root.everything();
    for command in ["install", "uninstall"] {
        let mut most = 0;
        for steps in 0.. {
            let when = format!("{command} killed after {steps} steps");
            for next in ["uninstall", "install"] {
                if command == "uninstall" {
                    root.must(&["install"]);
                }
                if !killed(root, command, steps) {
                    most = steps;
                }
                root.starts(&when);
                root.must(&[next]);
                root.starts(&format!("{when}, then {next}"));
                if next == "install" {
                    root.must(&["uninstall"]);
                }
                root.is_as(&before, &format!("{when}, then {next}"));
            }
            if most > 0 {
                break;
            }
        }
        assert!(most > 8, "{command}: {most} steps");
    }
}

#[test]
fn beside_another_entry_programs_start_at_any_time() {
    if need::root() {
        let root = Root::in_memory();
        // A library that 32-bit programs find as well.
        root.add(&root.at("lib/x86_64-linux-gnu/libc.so.6"), "/opt/lib/x86_64-linux-gnu/other.so");
        if both_classes::add(&root) {
            root.add(&root.at("lib32/libc.so.6"), "/opt/lib32/other.so");
        }
        root.write(PRELOAD, "# why\n/opt/$LIB/other.so\n");
        everywhere(&root);
    }
}

#[test]
fn with_a_link_into_run_programs_start_at_any_time() {
    if need::root() {
        let root = Root::in_memory();
        root.add_systemd();
        both_classes::add(&root);
        everywhere(&root);
    }
}

/// The file of the unit is made and removed while programs start.
#[test]
fn a_boot_may_be_killed_too() {
    use std::os::unix::process::ExitStatusExt;
    if !need::root() {
        return;
    }
    let root = Root::in_memory();
    root.add_systemd();
    both_classes::add(&root);
    root.write(PRELOAD, "# mine");
    let before = root.everything();
    root.must(&["install"]);
    for (command, least) in [("install", 5), ("uninstall", 2)] {
        for steps in 0.. {
            let steps_text = steps.to_string();
            let output = root.run(&[
                "/usr/lib/sigward/system/sigward",
                command,
                "--system",
                "--boot",
                "--stop-after",
                &steps_text,
            ]);
            root.starts(&format!("{command} --boot killed after {steps} steps"));
            if output.status.success() {
                assert!(steps >= least, "{command}: {steps}");
                break;
            }
            assert_eq!(output.status.signal(), Some(SIGKILL), "{output:?}");
        }
        assert_eq!(root.is_in_force(), command == "install");
    }
    root.must(&["uninstall"]);
    root.is_as(&before, "removed");
}
