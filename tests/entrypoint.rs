//! The command as the first process of a container: a root that contains one program, its
//! libraries and /proc, and a pid namespace of its own.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use sigward_harness::Run;
use sigward_harness::artifacts::{command, preload};
use sigward_harness::filter::Filter;
use sigward_harness::need;
use sigward_harness::programs::{Libc, build, copy, libcs, loaded_files};

fn container(program: &Path, libc: Libc) -> tempfile::TempDir {
    let root = tempfile::tempdir().unwrap();
    let place = |file: &Path, at: &Path| {
        let to = root.path().join(at.strip_prefix("/").unwrap());
        fs::create_dir_all(to.parent().unwrap()).unwrap();
        copy(file, &to).unwrap();
    };
    place(command(), Path::new("/opt/sigward/sigward"));
    place(preload(), Path::new("/opt/sigward/libsigward.so"));
    place(program, Path::new("/program"));
    for file in loaded_files(program, libc).unwrap() {
        place(&file, &file);
    }
    root
}

/// Without random bytes: a root without /dev and /proc, on a kernel without getrandom(2), or
/// before 5.6, where getrandom does not know the flag that std passes.
#[test]
fn every_command_does_without_random_bytes() {
    if !need::root() {
        return;
    }
    let program = build("altstack_threads", Libc::Glibc).unwrap();
    let root = container(&program, Libc::Glibc);
    // Outside the container, for comparison.
    let check = Run::new(root.path().join("opt/sigward/sigward")).args(["check"]).output();
    let verdict = check.unwrap().code();
    let library = ["--library", "/opt/sigward/libsigward.so"];
    let avx = std::arch::is_x86_feature_detected!("avx");
    for (command, code, said) in [
        (&["--help"][..], 0, "Usage: sigward"),
        (&["check"], verdict, "affected"),
        (&["check", "--json"], verdict, "\"standing\""),
        (&["check", "--explain", "CVE-2026-23102"], 0, "arm64-sve-restore"),
        (&["check", "--format", "prometheus"], verdict, "sigward_build_info"),
        (&["probe", "--seconds", "1"], if avx { 0 } else { 2 }, "freebsd-restart-r10: "),
        (&["bench", "syscalls", "--rounds", "1", "--calls", "1"], 0, "getppid"),
        (&[&["run"][..], &library, &["--", "/program", "2"]].concat(), 0, "threads: 2"),
    ] {
        for errno in [libc::ENOSYS, libc::EINVAL] {
            let run = Run::new("chroot").arg(root.path()).arg("/opt/sigward/sigward");
            let run = run.args(command).filter(Filter::new().refuse(libc::SYS_getrandom, errno));
            let outcome = run.deadline(Duration::from_secs(200)).output().unwrap();
            assert_eq!(outcome.code(), code, "{command:?}: {outcome:?}");
            assert!(outcome.stdout.contains(said), "{command:?}: {outcome:?}");
        }
    }
}

#[test]
fn a_program_is_hardened_as_the_first_process() {
    if !need::namespaces() {
        return;
    }
    for &libc in libcs() {
        let program = build("altstack_threads", libc).unwrap();
        let root = container(&program, libc);
        let mut unshare = Command::new("unshare");
        fs::create_dir(root.path().join("proc")).unwrap();
        unshare
            .args(["--pid", "--fork"])
            .arg(format!("--mount-proc={}/proc", root.path().display()));
        unshare.arg("chroot").arg(root.path());
        unshare.args(["/opt/sigward/sigward", "run", "--mode", "on", "--set", "SIGWARD_STATS=1"]);
        let output = unshare.args(["--", "/program", "8"]).output().unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(String::from_utf8_lossy(&output.stdout), "threads: 8, signals: 8\n", "{stderr}");
        assert!(stderr.starts_with("sigward[1]: duty=act stacks=8 lock=8 "), "{libc:?}: {stderr}");
        assert!(output.status.success());
    }
}
