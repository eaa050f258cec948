//! What environment and limits the program gets.

use std::os::unix::process::CommandExt;
use std::path::Path;

use assert_cmd::cargo::cargo_bin;
use predicates::prelude::*;
use predicates::str::contains;
use sigward_harness::need;
use tempfile::TempDir;

use super::{bare, folder, limited, probe, run};

fn preload_shown(existing: &str) -> String {
    let assert = run(["sh", "-c", "echo \"$LD_PRELOAD\""]).env("LD_PRELOAD", existing).assert();
    String::from_utf8_lossy(&assert.success().get_output().stdout).trim().to_owned()
}

#[test]
fn an_existing_ld_preload_is_kept_behind_ours() {
    let other = folder().join("libother.so");
    let (ours, other) = (probe().display().to_string(), other.display().to_string());
    assert_eq!(preload_shown(""), ours);
    assert_eq!(preload_shown(&other), format!("{ours}:{other}"));
    assert_eq!(preload_shown(&format!("{other} {other}")), format!("{ours}:{other}:{other}"));
    // Not listed twice, and moved to the front.
    assert_eq!(preload_shown(&format!("{other}:{ours}")), format!("{ours}:{other}"));
}

#[test]
fn a_second_libsigward_is_refused() {
    let folder = TempDir::new().expect("a folder");
    let second = folder.path().join("libsigward.so");
    let renamed = folder.path().join("renamed.so");
    std::fs::copy(probe(), &second).expect("copy");
    std::fs::copy(probe(), &renamed).expect("copy");
    // The loader must search for the last one.
    for path in [second.as_path(), &renamed, Path::new("libsigward.so")] {
        run(["true"])
            .env("LD_PRELOAD", path)
            .assert()
            .code(125)
            .stderr(contains("another libsigward.so").and(contains(path.to_str().expect("UTF-8"))));
    }
}

#[test]
fn bad_settings_are_refused_by_name_value_and_what_is_accepted() {
    run(["true"])
        .env("SIGWARD_ALTSTACK", "bolt")
        .assert()
        .code(125)
        .stderr(contains("SIGWARD_ALTSTACK=bolt"))
        .stderr(contains("accepted: auto, lock, frame, touch, off"));
    run(["--set", "SIGWARD_STACK=much", "true"])
        .assert()
        .code(125)
        .stderr(contains("SIGWARD_STACK=much").and(contains("a number of bytes")));
    run(["true"])
        .env("SIGWARD_ALTSTAK", "lock")
        .assert()
        .code(125)
        .stderr(contains("SIGWARD_ALTSTAK=lock: no such variable"));
    // A name that Kubernetes makes from a Service's name is nobody's mistake.
    let link = |port: &str| {
        let mut run = run(["true"]);
        run.env("SIGWARD_SERVICE_HOST", "10.0.0.1").env("SIGWARD_PORT", port).assert()
    };
    link("tcp://10.0.0.1:80").success().stderr(contains("SIGWARD_").not());
    link("80").code(125).stderr(contains("SIGWARD_PORT=80: no such variable"));
    for setting in ["PATH=/", "SIGWARD_LOG", "=x"] {
        run(["--set", setting, "true"]).assert().code(125).stderr(contains(setting));
    }
    run(["true"]).env("SIGWARD_ALTSTACK", "lock").assert().success();
}

#[test]
fn help_names_every_variable() {
    let mut command = bare();
    command.arg("--help");
    let mut assert = limited(command).assert().success();
    for row in sigward::config::TABLE {
        assert = assert.stdout(contains(format!("{}: {}", row.name, row.accepted())));
    }
}

#[test]
fn help_says_what_each_command_does() {
    let help = |arguments: &[&str]| {
        let mut command = std::process::Command::new(cargo_bin!("sigward"));
        command.args(arguments).arg("--help");
        limited(command).assert().success()
    };
    for (command, summary, more) in [
        (&["run"][..], "Run a program with libsigward.so preloaded", "sigward becomes the program"),
        (&["check"], "Say whether this kernel is affected, and why", "judges another machine"),
        (&["probe"], "Provoke the defects on the running kernel", "one that is not seen may"),
        (&["bench", "syscalls"], "Compare the ways in which a call enters", "Calls getppid"),
    ] {
        let (name, group) = command.split_last().expect("a name");
        help(group).stdout(contains(format!("{name} ")).and(contains(summary)));
        help(command).stdout(contains(summary).and(contains(more)));
    }
    help(&["run"]).stdout(contains("The library itself must still be found"));
}

#[test]
fn options_override_the_environment() {
    run([
        "--mode",
        "observe",
        "--set",
        "SIGWARD_LOG=warn",
        "sh",
        "-c",
        "echo $SIGWARD $SIGWARD_LOG",
    ])
    .env("SIGWARD", "off")
    .env("SIGWARD_LOG", "bogus, but not used")
    .assert()
    .success()
    .stdout("observe warn\n");
}

#[test]
fn avoid_avx_extends_the_tunables() {
    let shown = |existing: Option<&str>, option: &[&str]| {
        let mut command = run(option.iter().chain(&["sh", "-c", "echo \"$GLIBC_TUNABLES\""]));
        if let Some(existing) = existing {
            command.env("GLIBC_TUNABLES", existing);
        }
        let output = command.assert().success().get_output().stdout.clone();
        String::from_utf8_lossy(&output).trim().to_owned()
    };
    let avoid = ["--avoid-avx"];
    assert_eq!(shown(None, &[]), "");
    assert!(shown(None, &avoid).starts_with("glibc.cpu.hwcaps=-AVX,-AVX2,"));
    let kept = shown(Some("glibc.malloc.check=1"), &avoid);
    assert!(kept.starts_with("glibc.malloc.check=1:glibc.cpu.hwcaps=-AVX,"), "{kept}");
    let extended = shown(Some("glibc.cpu.hwcaps=-FMA"), &avoid);
    assert!(extended.starts_with("glibc.cpu.hwcaps=-FMA,-AVX,"), "{extended}");
}

/// What glibc itself says about AVX2 (CPUID leaf 7, EBX bit 5).
#[test]
fn avoid_avx_reaches_glibc() {
    const LOADER: &str = "/lib64/ld-linux-x86-64.so.2";
    const LEAF_7_EBX: &str = "x86.cpu_features.features[0x1].active[0x1]=0x";
    let active = |option: &[&str]| {
        let list = format!("exec {LOADER} --list-diagnostics");
        let assert = run(option.iter().copied().chain(["sh", "-c", &list])).assert();
        let output = assert.get_output().stdout.clone();
        let text = String::from_utf8_lossy(&output).into_owned();
        let line = text.lines().find_map(|line| line.strip_prefix(LEAF_7_EBX))?.to_owned();
        u64::from_str_radix(&line, 16).ok().map(|bits| bits & 1 << 5 != 0)
    };
    let remedy = "run it with glibc 2.33 or later, on a processor with AVX2";
    if need::optional(active(&[]) == Some(true), "a glibc that reports AVX2", remedy) {
        assert_eq!(active(&["--avoid-avx"]), Some(false));
    }
}

#[test]
fn the_memlock_limit_is_raised_where_the_library_acts() {
    const SOFT: u64 = 64 << 10;
    const HARD: u64 = 1 << 20;
    let kib = |mode: &str| {
        let mut command = bare();
        command.arg("--library").arg(probe());
        command.args(["--mode", mode, "bash", "-c", "ulimit -l"]);
        let limit = libc::rlimit { rlim_cur: SOFT, rlim_max: HARD };
        // SAFETY: setrlimit is async-signal-safe and only reads `limit`.
        unsafe {
            command.pre_exec(move || {
                libc::setrlimit(libc::RLIMIT_MEMLOCK, &raw const limit);
                Ok(())
            });
        }
        let output = limited(command).assert().success().get_output().stdout.clone();
        String::from_utf8_lossy(&output).trim().to_owned()
    };
    assert_eq!(kib("on"), "1024");
    assert_eq!(kib("off"), "64");
    assert_eq!(kib("observe"), "64");
    let mut check = std::process::Command::new(cargo_bin!("sigward"));
    let report = check.args(["check", "--json"]).output().expect("sigward");
    if String::from_utf8_lossy(&report.stdout).contains("\"auto_acts\": false") {
        assert_eq!(kib("auto"), "64");
    }
}
