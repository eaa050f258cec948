//! `sigward doctor --all` as the chart's DaemonSet runs it: in a container, over the host's processes.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use sigward_harness::artifacts;
use sigward_harness::programs::{Libc, copy};

use super::bundle::Bundle;
use super::seccomp::Profile;
use super::{NOBODY, container};

/// What the chart adds.
const CAPABILITIES: [&str; 2] = ["CAP_SYS_PTRACE", "CAP_DAC_READ_SEARCH"];

/// A process of another user, with the library in it.
struct Other(Child);

impl Other {
    fn start(folder: &std::path::Path) -> Self {
        fs::set_permissions(folder, PermissionsExt::from_mode(0o755)).unwrap();
        let sigward = folder.join("sigward");
        copy(artifacts::command(), &sigward).unwrap();
        let mut run = Command::new(sigward);
        run.args(["run", "--mode", "on", "--", "/bin/sleep", "600"]).uid(NOBODY).gid(NOBODY);
        let other = Self(run.stderr(Stdio::inherit()).spawn().unwrap());
        let maps = format!("/proc/{}/maps", other.0.id());
        let end = Instant::now() + Duration::from_secs(60);
        while !fs::read_to_string(&maps).unwrap_or_default().contains("/libsigward") {
            assert!(Instant::now() < end, "it does not start");
            std::thread::sleep(Duration::from_millis(10));
        }
        other
    }
}

impl Drop for Other {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The host's processes, and these capabilities.
fn as_in_the_chart(bundle: &mut Bundle, capabilities: &[&str]) {
    let namespaces = bundle.config["linux"]["namespaces"].as_array_mut().unwrap();
    namespaces.retain(|namespace| namespace["type"] != "pid");
    let sets =
        ["bounding", "effective", "permitted"].map(|set| (set.to_owned(), json!(capabilities)));
    bundle.config["process"]["capabilities"] = Value::Object(sets.into_iter().collect());
}

#[test]
fn every_process_of_the_host_is_counted_from_a_container() {
    let Some(mut bundle) = container("altstack_threads", Libc::Glibc) else { return };
    let folder = tempfile::tempdir().unwrap();
    let other = Other::start(folder.path());
    let pid = other.0.id().to_string();
    let textfiles = tempfile::tempdir().unwrap();
    let mount = json!({
        "destination": "/textfiles", "type": "bind", "source": textfiles.path(), "options": ["bind", "rw"],
    });
    bundle.config["mounts"].as_array_mut().unwrap().push(mount);
    if !Profile::Docker.apply_to(&mut bundle) {
        return;
    }
    for (capabilities, is_seen) in [(&CAPABILITIES[..], true), (&[], false)] {
        as_in_the_chart(&mut bundle, capabilities);
        let file = "/textfiles/sigward-processes.prom";
        let doctor = ["/sigward", "doctor", "--all", "--format=prometheus", "--output", file];
        let output = bundle.run(&doctor);
        assert_ne!(output.status.code(), Some(125), "{output:?}");
        let written = textfiles.path().join("sigward-processes.prom");
        let text = fs::read_to_string(&written).unwrap();
        fs::remove_file(written).unwrap();
        let value = |name: &str| -> u64 {
            let line = text.lines().find_map(|line| line.strip_prefix(name));
            line.expect(name).trim().parse().unwrap()
        };
        // Other tests may have processes with the library at the same time.
        assert!(!is_seen || value("sigward_doctor_processes_with_library") > 0, "{text}");
        assert!(is_seen || value("sigward_doctor_processes_not_seen") > 0, "{text}");
        let output = bundle.run(&["/sigward", "doctor", "--format=json", &pid]);
        let report: Value = serde_json::from_slice(&output.stdout).unwrap();
        let process = &report["processes"][0];
        let libraries = process["libraries"].as_array().unwrap();
        assert_eq!(libraries.len(), usize::from(is_seen), "{process:#}");
    }
}
