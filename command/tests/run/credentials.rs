//! Where the kernel has the loader ignore `LD_PRELOAD`, and where it ignores what would.
//!
//! Each test has a mount namespace with a file system of its own for the programs.

use std::path::Path;
use std::process::{Command, Output};

use assert_cmd::cargo::cargo_bin;
use sigward_harness::need;
use sigward_harness::programs::copy;

use super::{LOADED, mode, patched_true, probe, public_folder};

const AS_NOBODY: &str = "setpriv --reuid 65534 --regid 65534 --clear-groups";

/// Runs a shell script in which `$RUN PROGRAM` runs a program with the probe library, as nobody.
/// In the current folder are `suid`, `sgid`, `cap` and `capep`, copies of true(1).
fn shell(folder: &Path, script: &str) -> Output {
    let command = folder.join("sigward");
    if !command.exists() {
        copy(cargo_bin!("sigward"), &command).expect("a copy");
        mode(&command, 0o755);
        patched_true(folder, &[]);
        std::fs::create_dir(folder.join("own")).expect("a folder");
    }
    let arrange = format!(
        "cd {folder}/own && mount -t tmpfs -o mode=755 tmpfs . && cd ../own || exit 99\n\
         for name in suid sgid cap capep; do cp ../patched $name; chmod 755 $name; done\n\
         chmod 4755 suid; chmod 2755 sgid\n\
         setcap cap_net_bind_service=+p cap; setcap cap_net_bind_service=+ep capep\n\
         RUN='{command} run --library {probe} --'\n",
        folder = folder.display(),
        command = command.display(),
        probe = probe().display(),
    );
    let mut command = Command::new("unshare");
    command.args(["--mount", "sh", "-c", &(arrange + script)]).env_remove("LD_PRELOAD");
    command.output().expect("unshare")
}

/// Whether namespaces, another user and setcap(8) are to be had.
fn possible() -> bool {
    need::root()
        && need::namespaces()
        && need::required(
            need::installed("setcap").is_some(),
            "setcap",
            "apt-get install libcap2-bin",
        )
}

#[track_caller]
fn assert_covered(prefix: &str, programs: &[&str], covered: bool) {
    let folder = public_folder();
    for program in programs {
        let output = shell(folder.path(), &format!("{prefix} $RUN ./{program}"));
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        if covered {
            assert_eq!((output.status.code(), &*stderr), (Some(0), LOADED), "{prefix} {program}");
        } else {
            assert_eq!(output.status.code(), Some(125), "{prefix} {program}: {stderr}");
            assert!(stderr.contains("so the loader ignores LD_PRELOAD"), "{stderr}");
        }
    }
}

#[test]
fn programs_with_other_credentials_are_refused() {
    if possible() {
        assert_covered(AS_NOBODY, &["suid", "sgid", "cap", "capep"], false);
    }
}

/// As in Kubernetes with `allowPrivilegeEscalation: false`. An effective capability makes the
/// program secure even so.
#[test]
fn without_new_privileges_they_are_covered() {
    if possible() {
        let prefix = format!("{AS_NOBODY} --no-new-privs");
        assert_covered(&prefix, &["suid", "sgid", "cap"], true);
        assert_covered(&prefix, &["capep"], false);
    }
}

#[test]
fn on_a_nosuid_mount_they_are_covered() {
    if possible() {
        let prefix = format!("mount -o remount,nosuid .;{AS_NOBODY}");
        assert_covered(&prefix, &["suid", "sgid", "cap", "capep"], true);
    }
}

/// A setuid wrapper that starts sigward: every program is then secure.
#[test]
fn differing_ids_of_the_caller_are_refused() {
    if possible() {
        for ids in ["--ruid 65534 --euid 0", "--rgid 65534 --egid 0"] {
            assert_covered(&format!("setpriv {ids} --clear-groups"), &["../patched"], false);
        }
        assert_covered("setpriv --clear-groups", &["../patched"], true);
    }
}

/// The loader would say that it cannot load the library, or nothing, and run the program without.
#[test]
fn a_library_on_a_noexec_mount_is_refused() {
    if !possible() {
        return;
    }
    let folder = public_folder();
    let script = "cp $(echo $RUN | cut -d' ' -f4) lib.so\n\
                  ../sigward run --library $PWD/lib.so ../patched || exit 1\n\
                  mount -o remount,noexec .; ../sigward run --library $PWD/lib.so ../patched";
    let output = shell(folder.path(), script);
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(125), "{stderr}");
    assert!(stderr.starts_with(LOADED) && stderr.contains("mounted noexec"), "{stderr}");
}
