//! `sigward check`: what it prints and how it exits.

use std::process::Stdio;

use assert_cmd::Command;
use assert_cmd::cargo::{cargo_bin, cargo_bin_cmd};
use predicates::prelude::*;
use predicates::str::contains;
use sigward_harness::Run;
use sigward_harness::filter::Filter;
use sigward_harness::need;

const GCC9: &str = "Linux version 5.3.5 (a@b) (gcc version 9.2.1 20190827 (Red Hat 9.2.1-1)) #1";

fn check(arguments: &[&str]) -> Command {
    let mut command = cargo_bin_cmd!("sigward");
    command.arg("check").args(arguments);
    command
}

#[test]
fn an_affected_kernel_exits_1_and_says_why() {
    check(&["--kernel", GCC9])
        .assert()
        .code(1)
        .stdout(contains("affected: 3 listed defects are here; sigward helps against 1\n"))
        .stdout(contains("judged: linux-sigframe-fpu: affected (high confidence)"))
        .stdout(contains("fixed in 5.3.15"))
        .stdout(contains("built by GCC 9, whose code shows the defect"))
        .stdout(contains("SIGWARD=auto hardens programs here.\n"))
        .stdout(contains("risk is reduced").not());
}

#[test]
fn a_preemptible_kernel_remains_at_risk() {
    check(&["--kernel", &format!("{GCC9} SMP PREEMPT")])
        .assert()
        .code(1)
        .stdout(contains("upgrade the kernel"))
        .stdout(contains("the risk is reduced, not removed."));
}

/// No listed defect that every program can meet: neither its own, nor one of its kin.
#[test]
fn a_fixed_kernel_exits_0() {
    check(&["--kernel", "7.1.2"])
        .assert()
        .code(0)
        .stdout(contains("not affected by any listed defect"))
        .stdout(contains("\njudged: linux-sigframe-fpu: not affected (high confidence)"))
        .stdout(contains("SIGWARD=auto does nothing here."));
    // The library has nothing to do, but the kernel has defects that it can only name.
    check(&["--kernel", "5.3.15"])
        .assert()
        .code(1)
        .stdout(contains("\njudged: linux-sigframe-fpu: not affected (high confidence)"))
        .stdout(contains("x86-xrstor-fault: affected: no fix listed for 5.3.y"))
        .stdout(contains("SIGWARD=auto does nothing here."));
}

/// `5.3.0` is every Ubuntu kernel of that series, fixed or not.
#[test]
fn ubuntus_signature_decides() {
    let text = GCC9.replace("5.3.5", "5.3.0-26-generic");
    check(&["--kernel", &text]).assert().code(2).stdout(contains("/proc/version_signature would"));
    for (signature, code, state) in [
        ("Ubuntu 5.3.0-40.32-generic 5.3.18", 0, "not affected"),
        ("Ubuntu 5.3.0-18.19-generic 5.3.1", 1, "affected"),
    ] {
        check(&["--kernel", &text, "--version-signature", signature])
            .assert()
            .code(code)
            .stdout(contains(format!("judged: linux-sigframe-fpu: {state} (")))
            .stdout(contains(", from /proc/version_signature"));
    }
}

#[test]
fn undecided_texts_exit_2() {
    check(&["--kernel", "mystery"])
        .assert()
        .code(2)
        .stdout(contains("unknown: the texts do not decide it"))
        .stdout(contains("SIGWARD=auto does nothing"));
    // Its kin are here anyway.
    check(&["--kernel", "5.3.5"])
        .assert()
        .code(1)
        .stdout(contains("compiler is unknown: give the whole text of /proc/version"))
        .stdout(contains("linux-sigframe-fpu: undecided: the compiler is unknown"));
}

#[test]
fn freebsd_can_be_judged_too() {
    check(&["--kernel", "FreeBSD 9.2-RELEASE", "--arch", "amd64"])
        .assert()
        .code(1)
        .stdout(contains("freebsd-restart-r10"))
        .stdout(contains("plan").not());
}

/// What happens under an emulator says nothing about a kernel.
#[test]
fn an_emulator_gives_no_evidence() {
    for (text, name) in [
        ("Linux version 4.4.0 #1 SMP Sun Jan 10 15:06:54 PST 2016", "gVisor"),
        ("4.4.0-18362-Microsoft", "WSL1"),
        ("7.1.5-microsoft-standard-WSL2", "WSL2"),
        ("Linux version 5.15.0 (des@freebsd.org) (gcc version 13) #4", "FreeBSD's Linux emulation"),
    ] {
        check(&["--kernel", text])
            .assert()
            .code(2)
            .stdout(contains(format!("no evidence: this is {name}, which gives no evidence")));
    }
    check(&["--kernel", "4.19.0-gvisor"]).assert().stdout(contains("  gvisor-trapno: affected\n"));
}

#[test]
fn json_holds_the_same() {
    let output = check(&["--json", "--kernel", GCC9]).assert().code(1).get_output().stdout.clone();
    let json: serde_json::Value = serde_json::from_slice(&output).expect("JSON");
    assert_eq!(json["format_version"], 1);
    assert_eq!(json["overall"], "affected");
    assert_eq!(json["standing"], "affected");
    assert_eq!(json["defect"], "linux-sigframe-fpu");
    assert_eq!(json["upstream"], "5.3.5");
    assert_eq!(json["upstream_from"], "uname -r");
    assert_eq!(json["compiler"], "GCC 9");
    assert_eq!(json["auto_acts"], true);
    assert_eq!(json["only_reduces"], false);
    assert_eq!(json["machine"]["elsewhere"], true);
    assert_eq!(json["rows"][0]["id"], "linux-sigframe-fpu");
    assert_eq!(json["rows"][0]["fixed_in"], "5.3.15");
    assert_eq!(json["rows"][0]["reach"], "cured");
    assert!(json["reasons"].as_array().is_some_and(|reasons| !reasons.is_empty()));
    let plan = &json["plan"];
    assert_eq!(plan["duty"]["value"], "act");
    assert_eq!(plan["duty"]["because"], "the kernel is affected");
    assert_eq!(plan["rung"]["value"], "lock");
    assert_eq!(plan["ordinary_stacks"]["value"], "armed");
    assert!(plan["ordinary_stacks"]["bytes"].as_u64() > plan["window"]["value"].as_u64());
    assert_eq!(plan["syscalls_seen"]["value"][0], "stacks");
}

#[test]
fn a_row_is_explained_by_its_id_or_its_cve_number() {
    for name in ["arm64-sve-restore", "CVE-2026-23102", "cve-2026-23102"] {
        check(&["--kernel", "6.12.60", "--arch", "aarch64", "--explain", name])
            .assert()
            .code(0)
            .stdout(contains("arm64-sve-restore: "))
            .stdout(contains("no fix listed for 6.12.y"))
            .stdout(contains("fixed in 6.1.162, 6.6.123, 6.18.8, 6.19.0\n"))
            .stdout(contains("fixed by: 9bc3adba8c35"));
    }
    check(&["--explain", "bogus"]).assert().code(125).stderr(contains("--all lists them"));
}

/// `check` without the settings of the user who runs the tests.
fn unset(arguments: &[&str]) -> Command {
    let mut command = check(arguments);
    for row in sigward::config::TABLE {
        command.env_remove(row.name);
    }
    command
}

/// The report shows what the library would do under the settings in the environment.
#[test]
fn the_plan_is_that_of_the_environment() {
    let affected = ["--kernel", GCC9];
    let healthy = ["--kernel", "7.1.2"];
    unset(&affected)
        .assert()
        .stdout(contains("\n  duty: act (the kernel is affected)\n"))
        .stdout(contains("\n  rung: lock (by default)\n"))
        .stdout(contains("\n  messages: none (nothing needs any)\n"));
    let idle = unset(&healthy).assert().code(0);
    idle.stdout(contains("\n  duty: inert (the kernel is not affected)\n"))
        .stdout(contains("  rung:").or(contains("  window:")).not());
    unset(&healthy)
        .env("SIGWARD", "on")
        .env("SIGWARD_STACK", "full")
        .env("SIGWARD_FRAME", "5000")
        .env("SIGWARD_ONLY", "one,other")
        .env("SIGWARD_LOG", "loud")
        .assert()
        .code(0)
        .stdout(contains("SIGWARD=auto does nothing here.\n"))
        .stdout(contains("\n  duty: act (SIGWARD=on)\n"))
        .stdout(contains("\n  frame: 5000 bytes (SIGWARD_FRAME=5000)\n"))
        .stdout(contains("\n  window: 12176 bytes ("))
        .stdout(contains("\n  ordinary stacks: locked, 67108864 bytes (SIGWARD_STACK=full)\n"))
        .stdout(contains("\n  complaint: SIGWARD_LOG=loud: not accepted; accepted: off, warn,"));
    unset(&healthy)
        .env("SIGWARD_SIZE", "fix")
        .assert()
        .stdout(contains("\n  duty: observe (SIGWARD_SIZE asks for it, on every kernel)\n"));
    unset(&healthy)
        .env("SIGWARD_ONSTACK", "SIGSEGV,BUS")
        .assert()
        .stdout(contains("\n  duty: observe (SIGWARD_ONSTACK asks for it, on every kernel)\n"))
        .stdout(contains("\n  onstack: BUS,SEGV (SIGWARD_ONSTACK=BUS,SEGV)\n"))
        .stdout(contains("altstack all:").not());
    unset(&affected)
        .env("SIGWARD", "off")
        .assert()
        .code(1)
        .stdout(contains("SIGWARD=auto hardens programs here.\n"))
        .stdout(contains("\n  duty: inert (SIGWARD=off)\n"));
}

/// A filter that is in place here would be in place in the program too.
#[test]
fn the_plan_knows_the_filter_that_a_program_would_inherit() {
    let run = Run::new(cargo_bin!("sigward")).args(["check", "--json"]).env("SIGWARD", "on");
    let plan = |run: &Run| {
        let outcome = run.output().expect("sigward");
        let json: serde_json::Value = serde_json::from_str(&outcome.stdout).expect("JSON");
        json["plan"].clone()
    };
    assert_eq!(plan(&run)["duty"]["value"], "act");
    let confined = plan(&run.filter(Filter::new().refuse(libc::SYS_tgkill, libc::ESRCH)));
    assert_eq!(confined["duty"]["value"], "inert");
    let because = "standing down: a seccomp filter refuses tgkill (ESRCH)";
    assert_eq!(confined["duty"]["because"], because);
}

/// Whatever the running kernel is, `check` gives one of the three answers.
#[test]
fn the_running_kernel_is_judged() {
    let answers = predicate::in_iter([0, 1, 2]);
    check(&[]).assert().code(answers).stdout(contains("because:"));
}

/// A script may read only the first line: the exit code still gives the result.
#[test]
fn a_closed_stdout_changes_nothing() {
    for format in [&[][..], &["--json"]] {
        let (reader, writer) = std::io::pipe().expect("a pipe");
        drop(reader);
        let output = std::process::Command::new(cargo_bin("sigward"))
            .args(["check", "--kernel", GCC9])
            .args(format)
            .stdout(writer)
            .stderr(Stdio::piped())
            .spawn()
            .and_then(std::process::Child::wait_with_output)
            .expect("sigward");
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        assert_eq!(output.stderr, b"", "{output:?}");
    }
}

#[test]
fn a_full_disk_is_a_failure() {
    let full = std::fs::File::options().write(true).open("/dev/full").expect("/dev/full");
    let mut command = std::process::Command::new(cargo_bin("sigward"));
    let output = command.arg("check").stdout(full).stderr(Stdio::piped()).spawn();
    let output = output.and_then(std::process::Child::wait_with_output).expect("sigward");
    assert_eq!(output.status.code(), Some(125), "{output:?}");
    assert!(output.stderr.starts_with(b"sigward: cannot write to standard output: "), "{output:?}");
}

/// A closed stderr must not make it panic.
#[test]
fn a_closed_stderr_changes_no_exit_code() {
    let (reader, writer) = std::io::pipe().expect("a pipe");
    drop(reader);
    let mut command = std::process::Command::new(cargo_bin("sigward"));
    let status = command.args(["run", "/no/such/program"]).stderr(writer).status();
    assert_eq!(status.expect("sigward").code(), Some(127));
}

#[test]
fn misuse_exits_125() {
    check(&["--arch", "x86_64"]).assert().code(125).stderr(contains("--kernel"));
    check(&["--kernel", "6.1", "--arch", "z80"]).assert().code(125).stderr(contains("z80"));
    check(&["--bogus"]).assert().code(125);
    cargo_bin_cmd!("sigward").arg("bogus").assert().code(125);
    cargo_bin_cmd!("sigward").assert().code(125);
    cargo_bin_cmd!("sigward").arg("--help").assert().code(0).stdout(contains("Exit codes:"));
}

/// One uname(2), and a small read here and there.
#[test]
fn looking_at_this_machine_takes_few_calls() {
    let Some(strace) = need::program("strace") else { return };
    let folder = tempfile::tempdir().expect("a temporary folder");
    let log = folder.path().join("log");
    let mut command = std::process::Command::new(strace);
    command.args(["-f", "-e", "trace=uname,openat,readlink,read,pread64", "-o"]).arg(&log);
    let output = command.arg(cargo_bin("sigward")).args(["check", "--format", "nrpe"]).output();
    assert!(output.expect("strace").status.code().is_some_and(|code| code <= 3));
    let log = std::fs::read_to_string(log).expect("the log");
    assert_eq!(log.matches("uname(").count(), 1, "{log}");
    let read =
        |line: &&str| line.contains("\"/proc") || line.contains("musl") || line.contains("/boot");
    assert!(log.lines().filter(read).count() <= 8, "{log}");
    // musl's version is in the last part of a file of 600 KiB.
    let calls = log.lines().filter(|line| line.contains("read(") || line.contains("pread64("));
    let bytes = calls.filter_map(|line| line.rsplit("= ").next()?.parse::<usize>().ok());
    assert!(bytes.sum::<usize>() < 100_000, "{log}");
}
