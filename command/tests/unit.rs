//! `sigward unit`: systemd accepts the drop-in; and services live under the filters that systemd
//! makes of their settings, here made by a small launcher.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use assert_cmd::cargo::cargo_bin;
use nix::unistd::geteuid;
use sigward_harness::filter::Filter;
use sigward_harness::programs::{Libc, build};
use sigward_harness::{artifacts, need};
use tempfile::TempDir;

/// A copy of the library at a place that stays and that all can read.
fn library() -> (TempDir, PathBuf) {
    let place = if geteuid().is_root() { PathBuf::from("/opt") } else { artifacts::target() };
    let open = Permissions::from_mode(0o755);
    let folder = tempfile::Builder::new().permissions(open).tempdir_in(place).unwrap();
    let path = folder.path().join("libsigward.so");
    fs::copy(artifacts::preload(), &path).unwrap();
    (folder, path)
}

fn unit(arguments: &[&str]) -> Output {
    let (_folder, library) = library();
    let mut command = Command::new(cargo_bin("sigward"));
    command.arg("unit").arg("--library").arg(library).args(arguments);
    // A systemctl that knows nothing: the machine's own services are of no concern.
    command.env("PATH", "/nowhere").env_remove("LD_PRELOAD").output().unwrap()
}

fn text(arguments: &[&str]) -> String {
    let output = unit(arguments);
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn systemd_reads_the_drop_in_back_as_it_was_meant() {
    let analyze = need::installed("systemd-analyze");
    if !need::required(analyze.is_some(), "systemd-analyze", "install systemd") {
        return;
    }
    let root = tempfile::tempdir().unwrap();
    let units = root.path().join("etc/systemd/system");
    fs::create_dir_all(units.join("legacy.service.d")).unwrap();
    fs::create_dir_all(root.path().join("bin")).unwrap();
    fs::copy("/bin/true", root.path().join("bin/true")).unwrap();
    fs::write(units.join("legacy.service"), "[Service]\nExecStart=/bin/true\n").unwrap();
    let drop_in =
        text(&["legacy", "--mode", "on", "--set", "SIGWARD_EXCEPT=a\"%b", "--memlock", "16"]);
    fs::write(units.join("legacy.service.d/sigward.conf"), &drop_in).unwrap();
    let verify = || {
        let mut verify = Command::new(analyze.as_ref().unwrap());
        verify.args(["verify", "--man=no", "--recursive-errors=no", "--root"]).arg(root.path());
        verify.arg(units.join("legacy.service")).output().unwrap()
    };
    let output = verify();
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}\n{drop_in}");
    assert!(drop_in.contains("\nEnvironment=\"SIGWARD=on\"\n"), "{drop_in}");
    assert!(drop_in.contains("\nLimitMEMLOCK=16M\n"), "{drop_in}");
    // It would have complained.
    fs::write(units.join("legacy.service.d/sigward.conf"), drop_in + "LimitMEMLOCK=few\n").unwrap();
    let said = String::from_utf8_lossy(&verify().stderr).into_owned();
    assert!(said.contains("sigward.conf"), "{said}");
}

#[test]
fn what_cannot_become_a_drop_in_is_refused() {
    for (arguments, words) in [
        (&["x.socket"][..], "is not the name of a service"),
        (&["a\n[Service]"], "is not the name of a service"),
        (&["x", "--set", "PATH=/"], "not SIGWARD_"),
        (&["x", "--set", "SIGWARD_LOG=a\nUser=root"], "not SIGWARD_"),
        (&["x", "--set", "SIGWARD_LOG=loud"], "SIGWARD_LOG"),
    ] {
        let output = unit(arguments);
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(125), "{arguments:?}");
        assert!(said.contains(words), "{said}");
    }
    let folder = tempfile::tempdir_in("/tmp").unwrap();
    let path = folder.path().join("libsigward.so");
    fs::copy(artifacts::preload(), &path).unwrap();
    let mut command = Command::new(cargo_bin("sigward"));
    let output = command.args(["unit", "x", "--library"]).arg(&path).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("does not stay: it is in /tmp"), "{said}");
}

/// Settings of systemd, as it makes them: no_new_privs and a filter, or prctl(2).
fn confine(command: &mut Command, how: &str) -> bool {
    const PR_SET_MDWE: libc::c_int = 65;
    const REFUSE_EXEC_GAIN: libc::c_ulong = 1;
    // SAFETY: integers only.
    let has_mdwe = unsafe { libc::prctl(66, 0, 0, 0, 0) } >= 0;
    if how == "MemoryDenyWriteExecute=" && !need::optional(has_mdwe, "PR_SET_MDWE", "Linux 6.3") {
        return false;
    }
    let memlock = [
        libc::SYS_mlock,
        libc::SYS_mlock2,
        libc::SYS_mlockall,
        libc::SYS_munlock,
        libc::SYS_munlockall,
    ];
    let filter = match how {
        "SystemCallFilter=~@memlock" => memlock.into_iter().fold(Filter::new(), Filter::kill),
        "and SystemCallErrorNumber=EPERM" => {
            memlock.into_iter().fold(Filter::new(), |filter, call| filter.refuse(call, libc::EPERM))
        }
        "SystemCallFilter=~@ipc" => Filter::new().kill(libc::SYS_process_vm_writev),
        _ => Filter::new(),
    };
    let denies = how == "MemoryDenyWriteExecute=";
    let confine = move || {
        // SAFETY: integers only.
        if denies && unsafe { libc::prctl(PR_SET_MDWE, REFUSE_EXEC_GAIN, 0, 0, 0) } != 0 {
            return Err(std::io::Error::last_os_error());
        }
        filter.install()
    };
    // SAFETY: the filter only makes system calls.
    unsafe { command.pre_exec(confine) };
    true
}

#[test]
fn services_live_under_the_filters_of_systemd() {
    let program: &Path = &build("signal_calls", Libc::Glibc).unwrap();
    for how in [
        "NoNewPrivileges=",
        "MemoryDenyWriteExecute=",
        "SystemCallFilter=~@memlock",
        "and SystemCallErrorNumber=EPERM",
        "SystemCallFilter=~@ipc",
    ] {
        let run = |preload: Option<&Path>| {
            let mut command = Command::new(program);
            command.env_remove("LD_PRELOAD").env("SIGWARD", "on");
            if let Some(library) = preload {
                command.env("LD_PRELOAD", library);
            }
            confine(&mut command, how).then(|| command.output().unwrap())
        };
        let (Some(plain), Some(with)) = (run(None), run(Some(artifacts::preload()))) else {
            continue;
        };
        assert_eq!(plain, with, "{how}");
        assert!(plain.status.success(), "{how}: {plain:?}");
    }
}
