//! `sigward bench syscalls`: the shape of its report. The times depend on the machine.

use std::os::unix::process::CommandExt;
use std::process::Output;
use std::time::Duration;

use assert_cmd::Command;
use assert_cmd::cargo::cargo_bin;
use predicates::str::contains;
use serde_json::Value;

const PATHS: [&str; 7] =
    ["libc", "syscall", "int 0x80", "vDSO", "vsyscall", "sysenter (32-bit)", "vDSO (32-bit)"];

fn bench(arguments: &[&str]) -> Command {
    let mut command = Command::from_std(plain(arguments));
    command.timeout(Duration::from_secs(60));
    command
}

fn plain(arguments: &[&str]) -> std::process::Command {
    let mut command = std::process::Command::new(cargo_bin("sigward"));
    command.args(["bench", "syscalls", "--rounds", "5", "--calls", "20"]).args(arguments);
    command
}

fn paths(output: &Output) -> Vec<Value> {
    assert!(output.status.success(), "{output:?}");
    let report: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(report["rounds"], 5);
    assert_eq!(report["calls_per_round"], 20);
    assert_eq!(report["ratio_to"], "syscall");
    report["paths"].as_array().expect("a list").clone()
}

#[test]
fn the_table_has_every_path_and_says_what_it_is() {
    let mut assert = bench(&[]).assert().success().stderr("");
    for path in PATHS {
        assert = assert.stdout(contains(format!("\n{path} ")));
    }
    assert.stdout(contains("i7-5500U")).stdout(contains("5 rounds of 20 calls"));
}

#[test]
fn json_has_times_or_the_reason_for_each_path() {
    let rows = paths(&bench(&["--json"]).output().expect("it runs"));
    let names: Vec<&str> = rows.iter().filter_map(|row| row["path"].as_str()).collect();
    assert_eq!(names, PATHS);
    for row in &rows {
        if let Some(reason) = row["unavailable"].as_str() {
            assert!(!reason.is_empty() && row["minimum_ns"].is_null(), "{row}");
            continue;
        }
        let (least, median) = (row["minimum_ns"].as_f64(), row["median_ns"].as_f64());
        assert!(least > Some(0.0) && least <= median, "{row}");
        assert!(row["ratio"].as_f64() > Some(0.0), "{row}");
    }
    let syscall = rows.iter().find(|row| row["path"] == "syscall").expect("the reference");
    assert_eq!(syscall["ratio"], 1.0);
    assert_eq!(syscall["published_isolated_ns"], 278.0);
    let int80 = rows.iter().find(|row| row["path"] == "int 0x80").expect("a row");
    assert_eq!(int80["published_isolated_ratio"], 1.79);
}

#[test]
fn the_plot_has_a_bar_for_each_figure() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("chart.svg");
    let rows = paths(&bench(&["--json", "--plot"]).arg(&file).output().expect("it runs"));
    let figures = ["minimum_ns", "published_isolated_ns", "published_open_ns"];
    let bars = rows.iter().flat_map(|row| figures.map(|figure| row[figure].is_f64()));

    let text = std::fs::read_to_string(&file).expect("the chart");
    let chart = roxmltree::Document::parse(&text).expect("well-formed XML");
    assert!(chart.root_element().has_tag_name(("http://www.w3.org/2000/svg", "svg")));
    let rects = chart.descendants().filter(|node| node.tag_name().name() == "rect").count();
    // One is the background, three belong to the legend.
    assert_eq!(rects, 4 + bars.filter(|bar| *bar).count());
}

#[test]
fn a_chart_that_cannot_be_written_is_named() {
    bench(&["--plot", "/nowhere/chart.svg"])
        .assert()
        .code(125)
        .stderr(contains("--plot /nowhere/chart.svg: "));
}

/// Their times take more room than a pipe has.
#[test]
fn many_rounds_end() {
    let mut command = Command::new(cargo_bin("sigward"));
    command.args(["bench", "syscalls", "--rounds", "9000", "--calls", "1"]);
    command.timeout(Duration::from_secs(60)).assert().success();
}

#[test]
fn no_rounds_are_refused() {
    bench(&["--calls", "0"]).assert().code(125).stderr(contains("--calls"));
}

/// A filter like systemd's `SystemCallArchitectures=native`: a 32-bit call kills the process.
/// A child makes the calls, so the command itself survives.
#[test]
fn a_filter_that_kills_32_bit_calls_is_survived_and_named() {
    let mut command = plain(&["--json"]);
    // SAFETY: two system calls and no allocation.
    unsafe { command.pre_exec(only_64_bit) };
    let rows = paths(&Command::from_std(command).output().expect("it runs"));
    for row in &rows {
        let reason = row["unavailable"].as_str().unwrap_or("");
        match row["path"].as_str() {
            Some("int 0x80" | "sysenter (32-bit)" | "vDSO (32-bit)") => {
                assert!(reason.contains("SIGSYS: a seccomp filter forbids it"), "{row}");
            }
            _ => assert!(!reason.contains("seccomp"), "{row}"),
        }
    }

    let free = paths(&bench(&["--json"]).output().expect("it runs"));
    let named = |row: &Value| row["unavailable"].as_str().is_some_and(|r| r.contains("seccomp"));
    assert!(!free.iter().any(named), "without the filter nothing speaks of one: {free:?}");
}

fn only_64_bit() -> std::io::Result<()> {
    const AUDIT_ARCH_X86_64: u32 = 0xc000_003e;
    const ARCH: u32 = 4; // offset in struct seccomp_data
    let step = |code: u32, jt, jf, k| libc::sock_filter { code: code as u16, jt, jf, k };
    let mut filter = [
        step(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0, ARCH),
        step(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, 1, 0, AUDIT_ARCH_X86_64),
        step(libc::BPF_RET | libc::BPF_K, 0, 0, libc::SECCOMP_RET_KILL_PROCESS),
        step(libc::BPF_RET | libc::BPF_K, 0, 0, libc::SECCOMP_RET_ALLOW),
    ];
    let program = libc::sock_fprog { len: filter.len() as u16, filter: filter.as_mut_ptr() };
    // SAFETY: the program and its filter are live; the kernel copies both.
    let done = unsafe {
        libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0
            && libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &raw const program) == 0
    };
    if done { Ok(()) } else { Err(std::io::Error::last_os_error()) }
}
