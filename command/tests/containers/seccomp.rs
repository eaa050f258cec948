//! The system calls that container engines allow by default.

use std::fs;

use serde_json::{Value, json};
use sigward_harness::need;

use super::bundle::Bundle;

/// Podman's, from the package golang-github-containers-common.
const FILE: &str = "/usr/share/containers/seccomp.json";

/// What root has in Docker's containers.
const CAPABILITIES: [&str; 14] = [
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_FSETID",
    "CAP_FOWNER",
    "CAP_MKNOD",
    "CAP_NET_RAW",
    "CAP_SETGID",
    "CAP_SETUID",
    "CAP_SETFCAP",
    "CAP_SETPCAP",
    "CAP_NET_BIND_SERVICE",
    "CAP_SYS_CHROOT",
    "CAP_KILL",
    "CAP_AUDIT_WRITE",
];

/// Whose list is in force.
#[derive(Clone, Copy, Debug)]
pub enum Profile {
    None,
    /// It answers ENOSYS to what it does not know.
    Podman,
    /// It answers EPERM. Podman's began as a copy; since then it allows what makes namespaces.
    Docker,
}

impl Profile {
    pub const ALL: [Self; 3] = [Self::None, Self::Podman, Self::Docker];

    /// Puts it in force in a container of root's. `false` if it is not installed.
    pub fn apply_to(self, bundle: &mut Bundle) -> bool {
        if matches!(self, Self::None) {
            return true;
        }
        let Ok(text) = fs::read_to_string(FILE) else {
            let remedy = "install golang-github-containers-common";
            return need::required(false, FILE, remedy);
        };
        let file: Value = serde_json::from_str(&text).unwrap();
        let rules = file["syscalls"].as_array().unwrap().iter().filter(|rule| applies(rule));
        let mut rules: Vec<Value> = rules.map(oci).collect();
        let mut unknown = file["defaultErrnoRet"].clone();
        if matches!(self, Self::Docker) {
            unknown = libc::EPERM.into();
            for rule in &mut rules {
                let names = rule["names"].as_array_mut().unwrap();
                names.retain(|name| !OF_NAMESPACES.iter().any(|other| name == other));
            }
            rules.retain(|rule| rule["names"] != json!([]));
            // All flags of clone(2) but those that make namespaces. libc falls back to it.
            let flags = json!([{ "index": 0, "value": 0x7e02_0000, "op": "SCMP_CMP_MASKED_EQ" }]);
            rules.push(json!({ "names": ["clone"], "action": "SCMP_ACT_ALLOW", "args": flags }));
            rules.push(json!({
                "names": ["clone3"], "action": "SCMP_ACT_ERRNO", "errnoRet": libc::ENOSYS
            }));
        }
        bundle.config["linux"]["seccomp"] = json!({
            "defaultAction": "SCMP_ACT_ERRNO",
            "defaultErrnoRet": unknown,
            "architectures": ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"],
            "syscalls": rules,
        });
        let sets = ["bounding", "effective", "permitted"].map(|set| (set, CAPABILITIES));
        bundle.config["process"]["capabilities"] = sets.into_iter().collect();
        true
    }
}

/// What Docker allows only with CAP_SYS_ADMIN, or with other rules.
const OF_NAMESPACES: [&str; 9] = [
    "clone",
    "clone3",
    "unshare",
    "setns",
    "mount",
    "umount",
    "umount2",
    "pivot_root",
    "mount_setattr",
];

/// Whether the engine takes the rule for a container with these capabilities on x86-64.
fn applies(rule: &Value) -> bool {
    let list = |of: &str, key: &str| -> Vec<String> {
        let list = rule[of][key].as_array().cloned().unwrap_or_default();
        list.iter().map(|it| it.as_str().unwrap().to_owned()).collect()
    };
    let has = |capability: &String| CAPABILITIES.contains(&capability.as_str());
    let ours = |machine: &String| machine == "amd64";
    let machines = list("includes", "arches");
    list("includes", "caps").iter().all(has)
        && !list("excludes", "caps").iter().any(has)
        && (machines.is_empty() || machines.iter().any(ours))
        && !list("excludes", "arches").iter().any(ours)
}

/// The rule as runc takes it.
fn oci(rule: &Value) -> Value {
    let mut made = json!({ "names": rule["names"], "action": rule["action"] });
    for key in ["args", "errnoRet"] {
        if !rule[key].is_null() {
            made[key] = rule[key].clone();
        }
    }
    made
}
