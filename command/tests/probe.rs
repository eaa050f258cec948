//! `sigward probe`, on a healthy kernel and behind a library that imitates a defective
//! one.

use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::thread;
use std::time::{Duration, Instant};

use assert_cmd::Command;
use assert_cmd::cargo::{cargo_bin, cargo_bin_cmd};
use predicates::prelude::*;
use predicates::str::contains;
use serde_json::Value;
use sigward_harness::need;
use tempfile::TempDir;

const REGISTERS: &str = "linux-sigframe-fpu";
const WAITS: &str = "freebsd-restart-r10";
/// File names by which `probe` recognizes our library: as installed, and as the command puts it.
const OURS: [&str; 2] = ["libsigward.so", "libsigward-0123456789abcdef.so"];

/// One second in all, or longer on a busy machine.
fn probe(arguments: &[&str]) -> Command {
    let mut command = cargo_bin_cmd!("sigward");
    command.args(["probe", "--seconds", "1"]).args(arguments).timeout(Duration::from_secs(200));
    command
}

fn json(command: &mut Command) -> Value {
    let output = command.output().expect("it runs");
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"))
}

fn count(report: &Value, path: &str) -> u64 {
    report.pointer(path).and_then(Value::as_u64).unwrap_or_else(|| panic!("no {path}: {report}"))
}

fn has_avx() -> bool {
    std::arch::is_x86_feature_detected!("avx")
}

/// On a kernel that has a defect this test fails, as it should.
#[test]
fn a_healthy_kernel_shows_no_defect() {
    let code = if has_avx() { 0 } else { 2 };
    probe(&[])
        .assert()
        .code(code)
        .stderr("")
        .stdout(contains(format!("{REGISTERS}: ")))
        .stdout(contains(format!("{WAITS}: ")))
        .stdout(contains("    failed 0 of "))
        .stdout(contains(" seconds (which is no proof)\n"))
        .stdout(contains("\nsigward check calls this kernel "))
        .stdout(contains("HAS the defect").not());
}

/// Each arm does what it says: one faults, the other does not. Each ran long enough.
#[test]
fn json_has_the_counts_and_the_arms_differ() {
    let report = json(&mut probe(&["--json"]));
    assert_eq!(report["seen"], Value::Array(vec![]));
    assert!(count(&report, "/waits/calls") >= 20, "{report}");
    assert!(count(&report, "/waits/interruptions") > 0, "{report}");
    assert_eq!(count(&report, "/waits/failed"), 0);
    assert!(report["check"]["comparison"].is_string());
    assert_eq!(report["check"]["defect"], REGISTERS);
    if !need::optional(has_avx(), "AVX registers", "a CPU that has them") {
        assert_eq!(report["complete"], false);
        return;
    }
    assert_eq!(report["complete"], true);
    for arm in ["faulting", "locked"] {
        assert!(count(&report, &format!("/registers/{arm}/deliveries")) >= 50, "{report}");
        assert_eq!(count(&report, &format!("/registers/{arm}/corrupted")), 0);
    }
    let rate = |arm| {
        let count = |name| count(&report, &format!("/registers/{arm}/{name}"));
        count("faulted") * 100 / count("deliveries")
    };
    assert!(rate("faulting") > 90 && rate("locked") < 10, "{report}");
}

/// Imitates a kernel with both defects: corrupts a register in each signal frame, reaps the
/// child and then returns EFAULT.
const UNHEALTHY: &str = r#"
    #define _GNU_SOURCE
    #include <dlfcn.h>
    #include <errno.h>
    #include <signal.h>
    #include <string.h>
    #include <sys/wait.h>
    #include <ucontext.h>
    static void (*theirs)(int);
    static void corrupt(int sig, siginfo_t *info, void *context) {
        ucontext_t *interrupted = context;
        (void)info;
        memset(&interrupted->uc_mcontext.fpregs->_xmm[3], 0x55, 16);
        theirs(sig);
    }
    int sigaction(int sig, const struct sigaction *new, struct sigaction *old) {
        int (*next)(int, const struct sigaction *, struct sigaction *) = dlsym(RTLD_NEXT, "sigaction");
        struct sigaction mine;
        if (sig == SIGUSR1 && new && new->sa_flags & SA_ONSTACK) {
            theirs = new->sa_handler;
            mine = *new;
            mine.sa_sigaction = corrupt;
            mine.sa_flags |= SA_SIGINFO;
            new = &mine;
        }
        return next(sig, new, old);
    }
    pid_t wait4(pid_t pid, int *status, int options, struct rusage *usage) {
        pid_t (*next)(pid_t, int *, int, struct rusage *) = dlsym(RTLD_NEXT, "wait4");
        pid_t got = next(pid, status, options, usage);
        if (got <= 0 || options)
            return got;
        errno = EFAULT;
        return -1;
    }
"#;

/// Builds that library under the given file name.
fn unhealthy(folder: &Path, name: &str) -> PathBuf {
    shared(folder, name, UNHEALTHY)
}

fn shared(folder: &Path, name: &str, text: &str) -> PathBuf {
    let (source, library) = (folder.join("source.c"), folder.join(name));
    std::fs::write(&source, text).expect("a file in the temporary folder");
    let status = std::process::Command::new("gcc")
        .args(["-shared", "-fPIC", "-o"])
        .args([&library, &source])
        .arg("-ldl")
        .status();
    assert!(status.expect("gcc").success());
    library
}

#[test]
fn a_defective_kernel_is_detected() {
    let folder = TempDir::new().expect("a temporary folder");
    let library = unhealthy(folder.path(), "libunhealthy.so");
    probe(&[])
        .env("LD_PRELOAD", &library)
        .assert()
        .code(1)
        .stdout(contains("this kernel HAS the defect (EFAULT "))
        .stdout(contains("corrupted 0 of").or(contains("failed 0 of")).not())
        .stdout(contains("what was seen counts more"));

    let report = json(probe(&["--json", "--whole"]).env("LD_PRELOAD", &library));
    assert!(count(&report, "/waits/calls") >= 20, "{report}");
    let calls = count(&report, "/waits/calls");
    for name in ["failed", "efault", "lost"] {
        assert_eq!(count(&report, &format!("/waits/{name}")), calls);
    }
    let seen: &[&str] = if has_avx() { &[REGISTERS, WAITS] } else { &[WAITS] };
    assert_eq!(report["seen"], Value::from(seen));
    if has_avx() {
        let all = count(&report, "/registers/faulting/deliveries");
        assert_eq!(count(&report, "/registers/faulting/corrupted"), all);
    }
}

/// Nobody waits for the rest of the minute; the control leg is as long as the first.
#[test]
fn the_first_loss_ends_a_part_and_its_registers_are_shown() {
    let folder = TempDir::new().expect("a temporary folder");
    let library = unhealthy(folder.path(), "libunhealthy.so");
    let report = json(probe(&["--json"]).env("LD_PRELOAD", &library));
    // One for each process that was at it.
    assert!(count(&report, "/waits/failed") <= 2, "{report}");
    if !has_avx() {
        return;
    }
    for arm in ["faulting", "locked"] {
        let corrupted = count(&report, &format!("/registers/{arm}/corrupted"));
        assert!((1..=32).contains(&corrupted), "{report}");
    }
    let loss = &report["losses"][0];
    assert_eq!(loss["register"], "ymm3", "{report}");
    let (expected, found) = (&loss["expected"], &loss["found"]);
    let (expected, found) = (expected.as_str().expect("digits"), found.as_str().expect("digits"));
    assert_eq!((expected.len(), found.len()), (64, 64), "{report}");
    // The lower half was overwritten in the frame, the upper half was not.
    assert_eq!(found.split_at(32), (&*"55".repeat(16), &expected[32..]), "{report}");
    probe(&[])
        .env("LD_PRELOAD", &library)
        .assert()
        .code(1)
        .stdout(contains("the first loss: ymm3 held "));
}

/// A kernel that tells a size without room for all of the frame.
#[test]
fn a_kernel_that_lies_about_the_size_of_a_frame_is_caught() {
    let honest = json(&mut probe(&["--json"]));
    let (depth, told) = (count(&honest, "/frame/depth"), count(&honest, "/frame/told"));
    assert!(depth > 1000 && depth <= told, "{honest}");
    let folder = TempDir::new().expect("a temporary folder");
    let source = r#"
        #define _GNU_SOURCE
        #include <dlfcn.h>
        #include <sys/auxv.h>
        unsigned long getauxval(unsigned long type) {
            unsigned long (*next)(unsigned long) = dlsym(RTLD_NEXT, "getauxval");
            return type == 51 ? 1000 : next(type);
        }
    "#;
    let library = shared(folder.path(), "liblying.so", source);
    let report = json(probe(&["--json"]).env("LD_PRELOAD", &library));
    assert_eq!(report["frame"]["told"], 1000);
    assert_eq!(report["seen"], Value::from(&["altstack-size"][..]), "{report}");
    let lying = probe(&[]).env("LD_PRELOAD", &library).assert().code(1);
    lying.stdout(contains("the kernel says 1000, which is TOO FEW"));
}

/// Under the library the same signals fault no more. Without it they did, or nothing is shown.
#[test]
fn under_the_library_frames_do_not_fault() {
    let library = sigward_harness::artifacts::preload().to_str().expect("UTF-8");
    frames_do_not_fault(&mut probe(&["--json", "--hardened", "--library", library]));
}

/// Into which no loader puts the library: it starts a dynamic one.
#[test]
fn nor_under_the_static_command() {
    // Alone in a folder, as one copied file.
    let folder = TempDir::new().expect("a temporary folder");
    let alone = folder.path().join("sigward");
    std::fs::copy(sigward_harness::artifacts::command(), &alone).expect("a copy");
    let mut probe = Command::new(alone);
    probe.args(["probe", "--seconds", "1", "--json", "--hardened"]);
    frames_do_not_fault(probe.timeout(Duration::from_secs(200)));
}

fn frames_do_not_fault(probe: &mut Command) {
    let report = json(probe);
    assert_eq!(report["hardened"], true);
    if has_avx() {
        assert!(count(&report, "/registers/faulting/deliveries") >= 50, "{report}");
        let faulted = count(&report, "/registers/faulting/faulted");
        assert!(faulted * 10 < count(&report, "/registers/faulting/deliveries"), "{report}");
        assert_eq!(report["complete"], true, "{report}");
    }
}

/// What is seen counts more than what the version says.
#[test]
fn check_can_probe() {
    let folder = TempDir::new().expect("a temporary folder");
    let library = unhealthy(folder.path(), "libunhealthy.so");
    let check = || {
        let mut command = cargo_bin_cmd!("sigward");
        command.args(["check", "--json", "--probe", "1"]).timeout(Duration::from_secs(200));
        command
    };
    let state = |report: &Value| {
        let mut rows = report["rows"].as_array().expect("rows").iter();
        rows.find(|row| row["id"] == REGISTERS)
            .map(|row| (row["state"].clone(), row["alarms"].clone()))
    };
    if has_avx() {
        let report = json(check().env("LD_PRELOAD", &library));
        assert_eq!(state(&report), Some(("seen".into(), true.into())), "{report}");
        assert_eq!(report["overall"], "affected");
        check().env("LD_PRELOAD", &library).assert().code(1);
    }
    let report = json(&mut check());
    assert_ne!(state(&report).map(|(state, _)| state), Some("seen".into()), "{report}");
    assert!(report["probe"]["frame"]["depth"].is_u64(), "{report}");
}

/// The same library under our names: `probe` removes a preloaded libsigward.so and says
/// so.
#[test]
fn our_library_does_not_hide_the_defects() {
    let folder = TempDir::new().expect("a temporary folder");
    for name in OURS {
        let library = unhealthy(folder.path(), name);
        probe(&[])
            .env("LD_PRELOAD", &library)
            .assert()
            .code(if has_avx() { 0 } else { 2 })
            .stderr(contains("libsigward.so is preloaded"))
            .stdout(contains("HAS the defect").not());
    }
}

/// The running processes of a process group.
fn members(group: u32) -> usize {
    let stat = |entry: std::fs::DirEntry| {
        let text = std::fs::read_to_string(entry.path().join("stat")).ok()?;
        // PID (NAME) STATE PPID PGRP
        let mut fields = text.rsplit_once(')')?.1.split_whitespace();
        let running = fields.next()? != "Z";
        (running && fields.nth(1)? == group.to_string()).then_some(())
    };
    std::fs::read_dir("/proc").expect("/proc").flatten().filter_map(stat).count()
}

fn wait_until(what: &str, reached: impl Fn() -> bool) {
    let start = Instant::now();
    while !reached() {
        assert!(start.elapsed() < Duration::from_secs(50), "{what}");
        thread::sleep(Duration::from_millis(20));
    }
}

/// The children's own alarm would end them only later than this.
#[test]
fn nothing_outlives_a_probe_that_is_killed() {
    let mut probe = std::process::Command::new(cargo_bin("sigward"))
        .args(["probe", "--seconds", "600"])
        .process_group(0)
        .stdout(Stdio::null())
        .spawn()
        .expect("it runs");
    let group = probe.id();
    wait_until("it starts processes", || members(group) > 2);
    probe.kill().expect("SIGKILL");
    probe.wait().expect("its end");
    wait_until("processes are left", || members(group) == 0);
}

#[test]
fn no_time_is_refused() {
    cargo_bin_cmd!("sigward")
        .args(["probe", "--seconds", "0"])
        .assert()
        .code(125)
        .stderr(contains("--seconds"));
}
