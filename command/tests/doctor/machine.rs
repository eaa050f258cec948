//! The machine.

use std::os::unix::process::CommandExt;

use sigward_harness::need;

use super::*;

#[test]
fn the_kernel_decides_without_a_target() {
    for (options, code, standing) in [
        (&AFFECTED[..], 1, "affected"),
        (&MENDED[..], 0, "not affected"),
        (&UNKNOWN[..], 2, "unknown"),
    ] {
        let (found, report) = json(options);
        assert_eq!((found, &report["machine"]["kernel"]["standing"]), (code, &standing.into()));
        assert_eq!(report["meta"]["pretended"], true);
    }
}

#[test]
fn the_frame_is_the_kernels() {
    let (_, report) = json::<&str>([]);
    let frame = &report["machine"]["frame"];
    // SAFETY: a plain query.
    let told = unsafe { libc::getauxval(libc::AT_MINSIGSTKSZ) };
    if told != 0 {
        assert_eq!(frame["bytes"], told);
    }
    let bytes = frame["bytes"].as_u64().unwrap();
    assert_eq!(frame["fits_sigstksz"], bytes <= 8192);
    assert_eq!(frame["musl_least"], bytes + 1024);
}

#[test]
fn gvisor_hides_the_kernel() {
    let (code, report) = json(["--kernel=4.19.0-gvisor"]);
    assert_eq!((code, &report["meta"]["reduced_accuracy"]), (0, &true.into()));
    assert!(joined(&report["meta"]["not_seen"]).contains("this is gVisor"), "{report:#}");
}

/// As nobody: a limit counts for them.
fn limited(kib: u32, format: &str) -> String {
    let folder = public_folder();
    let copy = folder.path().join("sigward");
    sigward_harness::programs::copy(cargo_bin!("sigward"), &copy).unwrap();
    let mut command = Command::new("sh");
    let script = format!("ulimit -l {kib}; exec {} doctor --format {format}", copy.display());
    let output = command.arg("-c").arg(script).uid(NOBODY).gid(NOBODY).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    text(&output.stdout)
}

#[test]
fn a_small_limit_has_finite_remedies() {
    if !need::root() {
        return;
    }
    let words = limited(64, "human");
    for figure in ["ulimit -l 8192", "memlock=8388608", "LimitMEMLOCK=8M", "containerd"] {
        assert!(words.contains(figure), "{words}");
    }
    assert!(words.contains("memlock: 64 KiB (hard limit 64 KiB)\n"), "{words}");
    assert!(words.contains("locks 1 stacks of 64 KiB or 8 of 8 KiB whole"), "{words}");
    let report: Value = serde_json::from_str(&limited(0, "json")).unwrap();
    let memlock = &report["machine"]["memlock"];
    assert_eq!((&memlock["soft"], &memlock["stacks_by_frame"]), (&0.into(), &0.into()));
    assert_eq!(report["meta"]["as_root"], false);
    assert!(!limited(8192, "human").contains("ulimit"), "enough");
}

/// Every name that the report has.
fn names(value: &Value, into: &mut std::collections::BTreeSet<String>) {
    match value {
        Value::Object(members) => {
            for (name, value) in members {
                into.insert(name.clone());
                // The keys below are data.
                if !["direct_calls", "hooked_imports"].contains(&name.as_str()) {
                    names(value, into);
                }
            }
        }
        Value::Array(all) => all.iter().for_each(|value| names(value, into)),
        _ => {}
    }
}

#[test]
fn every_name_of_the_json_is_documented() {
    let folder = TempDir::new().unwrap();
    let program = gcc(folder.path(), "main", "int main(void) { return 0; }\n", &[]);
    let own = std::process::id().to_string();
    let (_, report) = json([program.to_str().unwrap(), &own, "/no/such"]);
    let mut all = std::collections::BTreeSet::new();
    names(&report, &mut all);
    names(&processes::a_covered_report(), &mut all);
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/doctor.md");
    let page = std::fs::read_to_string(page).unwrap();
    let missing: Vec<_> = all.iter().filter(|name| !page.contains(&format!("`{name}`"))).collect();
    assert!(missing.is_empty(), "docs/doctor.md lacks {missing:?}");
}

#[test]
fn a_closed_pipe_keeps_the_exit_code() {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let status = command().args(AFFECTED).stdout(writer).status().unwrap();
    assert_eq!(status.code(), Some(1));
}
