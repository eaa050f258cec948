//! Where `/proc` is not mounted, or hides processes.

use sigward_harness::need;
use sigward_harness::programs::copy;

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

/// As another user, with `/proc` mounted with `hidepid=2`.
#[test]
fn hidden_processes_are_not_taken_for_none() {
    if !need::root() || !need::namespaces() {
        return;
    }
    let made = public_folder();
    let sigward = made.path().join("sigward");
    copy(Path::new(cargo_bin!("sigward")), &sigward).unwrap();
    mode(&sigward, 0o755);
    // The shell is process 1, and root's.
    let hidden = |user: u32, arguments: &str| {
        let script = format!(
            "mount -t proc -o hidepid=2 none /proc && setpriv --reuid {user} --regid {user} \
             --clear-groups \"$0\" doctor --kernel 5.3.18 {arguments}; exit $?"
        );
        let mut command = Command::new("unshare");
        command.args(["--mount", "--pid", "--fork", "sh", "-c", &script]).arg(&sigward);
        command.output().unwrap()
    };
    let one = hidden(NOBODY, "1");
    assert_eq!(one.status.code(), Some(2));
    let line = text(&one.stderr);
    assert!(line.contains("there is such a process, but /proc does not show it"), "{line}");

    let all = hidden(NOBODY, "--all --format json");
    let report: Value = serde_json::from_slice(&all.stdout).unwrap();
    assert!(joined(&report["meta"]["not_seen"]).contains("hidepid"), "{report:#}");
    assert_eq!((all.status.code(), &report["meta"]["reduced_accuracy"]), (Some(2), &true.into()));

    // Root sees all, and a number that nobody has is no hidden process.
    let all = hidden(0, "--all --format json");
    let report: Value = serde_json::from_slice(&all.stdout).unwrap();
    assert_eq!((all.status.code(), &report["meta"]["reduced_accuracy"]), (Some(0), &false.into()));
    let none = text(&hidden(NOBODY, "4194303").stderr);
    assert!(none.contains("no such process"), "{none}");
}
