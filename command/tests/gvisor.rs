//! The command in gVisor, whose kernel is not Linux: a real one, not its texts.

use std::process::{Command, Output, Stdio};

use serde_json::Value;
use sigward_harness::artifacts;
use sigward_harness::need;
use tempfile::TempDir;

/// Runs a shell script in a sandbox. In it, `S` is the command.
fn in_gvisor(script: &str) -> Option<Output> {
    if !need::root() {
        return None;
    }
    let runsc = need::program("runsc")?;
    let state = TempDir::new().expect("a folder");
    let run = |arguments: &[&str]| {
        let mut command = Command::new("timeout");
        command.args(["--signal=KILL", "300"]).arg(&runsc).arg("--root").arg(state.path());
        command.args(["--platform=ptrace", "--network=none", "--ignore-cgroups", "do"]);
        for row in sigward::config::TABLE {
            command.env_remove(row.name);
        }
        command.env_remove("LD_PRELOAD").stdin(Stdio::null()).args(arguments).output().unwrap()
    };
    let tried = run(&["/bin/true"]);
    let words = String::from_utf8_lossy(&tried.stderr).into_owned();
    if !need::optional(tried.status.success(), "gVisor's sandboxes", words.trim()) {
        return None;
    }
    let command = artifacts::command().to_str().expect("UTF-8");
    Some(run(&["/bin/sh", "-c", &format!("S={command}\n{script}")]))
}

#[test]
fn doctor_says_what_it_could_not_see() {
    let script = "$S run --mode on -- sleep 100 & \
                  while ! grep -q libsigward /proc/$!/maps; do sleep 0.1; done\n\
                  while $S doctor --format json $! | grep -q undecided; do sleep 0.1; done\n\
                  $S doctor --format json $! /bin/true; echo code=$?; kill $!";
    let Some(output) = in_gvisor(script) else { return };
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let (report, code) = text.split_once("code=").unwrap_or_else(|| panic!("{output:?}"));
    let report: Value = serde_json::from_str(report).unwrap();
    assert_eq!((code.trim(), &report["exit"]), ("0", &0.into()), "{report:#}");
    assert_eq!(report["meta"]["reduced_accuracy"], true);
    assert!(report["meta"]["not_seen"].to_string().contains("gVisor"), "{report:#}");
    // There the library only watches, and says so in its block.
    let process = &report["processes"][0];
    assert_eq!(process["libraries"][0]["plan"]["duty"], "observe", "{report:#}");
    assert_eq!(report["programs"][0]["coverage"], "covered", "{report:#}");
}

#[test]
fn a_program_runs_with_its_status() {
    let script = "$S run --mode on -- sh -c 'exit 7'; echo $?\n\
                  $S run --init -- sh -c 'kill -TERM $$'; echo $?\n\
                  $S run --init -- sh -c '(sleep 0.1 &); exit 3'; echo $?\n\
                  $S run no-such-program 2>&1; echo $?";
    let Some(output) = in_gvisor(script) else { return };
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let said = "7\n143\n3\nsigward: no-such-program: not found\n127\n";
    assert_eq!(text, said, "{output:?}");
}
