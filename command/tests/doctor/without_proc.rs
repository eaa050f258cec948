//! Where `/proc` is not mounted.

use sigward_harness::need;

use super::*;

/// `sigward doctor ARGUMENTS` with an empty `/proc`; SELF stands for a process that is
/// there.
fn blind(arguments: &str) -> Output {
    let script = format!("mount -t tmpfs none /proc && exec \"$0\" doctor {arguments}");
    let script = script.replace("SELF", &std::process::id().to_string());
    let mut command = Command::new("unshare");
    command.args(["--mount", "sh", "-c", &script]).arg(cargo_bin!("sigward"));
    command.output().unwrap()
}

#[test]
fn what_can_be_said_is_said() {
    if !need::root() || !need::namespaces() {
        return;
    }
    let machine = blind("--format json");
    let report: Value = serde_json::from_slice(&machine.stdout).unwrap();
    assert_eq!(report["meta"]["reduced_accuracy"], true);
    assert!(joined(&report["meta"]["not_seen"]).contains("there is no /proc"), "{report:#}");
    assert!(report["machine"]["frame"]["bytes"].as_u64() > Some(1000));

    // A program's file is all that it takes.
    let program = blind("--kernel 5.3.18 --format json /bin/true");
    let report: Value = serde_json::from_slice(&program.stdout).unwrap();
    assert_eq!(report["programs"][0]["coverage"], "covered");
    assert_eq!(program.status.code(), Some(0));

    let process = blind("SELF");
    assert_eq!(process.status.code(), Some(2));
    let line = text(&process.stderr);
    assert!(line.contains("there is such a process, but no /proc to look at it"), "{line}");
    assert_eq!(line.lines().count(), 1, "{line}");

    assert_eq!(blind("--all").status.code(), Some(2));
}
