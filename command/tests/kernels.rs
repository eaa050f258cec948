//! The table, asked about kernels: those of `kernels.txt`, and the ones that it was made for.

use std::process::Command;

use assert_cmd::cargo::cargo_bin;
use serde_json::Value;

/// The report about another machine, as JSON.
fn check(arch: &str, kernel: &str) -> Value {
    let mut command = Command::new(cargo_bin("sigward"));
    command.args(["check", "--json", "--all", "--arch", arch, "--kernel", kernel]);
    let output = command.output().expect("sigward");
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"))
}

fn rows(report: &Value) -> &Vec<Value> {
    report["rows"].as_array().expect("rows")
}

fn row<'a>(report: &'a Value, id: &str) -> &'a Value {
    let found = rows(report).iter().find(|row| row["id"] == id);
    found.unwrap_or_else(|| panic!("no row {id}"))
}

/// What the row with this id says of the kernel.
fn says(arch: &str, kernel: &str, id: &str) -> String {
    row(&check(arch, kernel), id)["says"].as_str().expect("words").to_owned()
}

#[test]
fn real_kernels_get_the_rows_that_concern_them() {
    let texts = include_str!("kernels.txt").lines().filter(|line| !line.starts_with('#'));
    let mut seen = 0;
    for line in texts {
        let fields: Vec<&str> = line.splitn(4, " | ").collect();
        let [arch, overall, alarms, text] = fields[..] else { panic!("{line}") };
        let report = check(arch, text);
        assert_eq!(report["overall"], overall, "{text}");
        let counted = rows(&report).iter().filter(|row| row["alarms"] == true);
        let ids: Vec<&str> = counted.filter_map(|row| row["id"].as_str()).collect();
        let ids = if ids.is_empty() { "-".to_owned() } else { ids.join(",") };
        assert_eq!(ids, alarms, "{text}");
        for row in rows(&report).iter().filter(|row| row["state"] == "not-listed") {
            let words = row["says"].as_str().unwrap_or("");
            assert!(words.starts_with("not listed, which is not \"affected\": "), "{words}");
        }
        seen += 1;
    }
    assert!(seen >= 40, "{seen}");
}

#[test]
fn a_branch_without_a_fix_is_a_state_of_its_own() {
    let id = "arm64-sve-restore";
    let report = check("aarch64", "6.12.60");
    assert_eq!(row(&report, id)["state"], "no-fix-listed");
    assert_eq!(
        row(&report, id)["says"],
        "applies if the CPU has SME: affected: no fix listed for 6.12.y; the next version with one \
         is 6.18.8"
    );
    // Only checkpoint/restore meets it: nobody else is alarmed.
    assert_eq!(row(&report, id)["alarms"], false);
    assert_eq!(
        says("aarch64", "6.1.162", id),
        "fixed by 6.1.162 (concerns it only if the CPU has SME)"
    );
    let other = "arm64-sme-za-null";
    assert_eq!(
        says("aarch64", "6.12.60", other),
        "applies if the CPU has SME: affected, fixed in 6.12.68"
    );
    assert_eq!(row(&report, "kvm-host-sve")["state"], "fixed");
    // A row of every processor.
    assert_eq!(says("aarch64", "6.12.60", "signal-stop-exec"), "affected, fixed in 6.12.94");
    assert_eq!(row(&report, "linux-sigframe-fpu")["state"], "elsewhere");
}

/// Older texts said "before 6.8.5": the record begins with 6.8.
#[test]
fn riscv_loses_vectors_from_6_8_to_6_8_4_only() {
    let id = "riscv-v-sigreturn";
    assert_eq!(
        says("riscv64", "6.8.4", id),
        "applies if the CPU has the V extension: affected, fixed in 6.8.5"
    );
    for (kernel, state) in [
        ("6.7.12", "before"),
        ("6.8.0", "affected"),
        ("6.8.4", "affected"),
        ("6.8.5", "fixed"),
        ("6.9", "fixed"),
    ] {
        assert_eq!(row(&check("riscv64", kernel), id)["state"], state, "{kernel}");
    }
    assert_eq!(row(&check("x86_64", "6.8.4"), id)["state"], "elsewhere");
}

#[test]
fn a_stable_x86_kernel_is_told_what_its_branch_lacks() {
    let report = check("x86_64", "6.6.100");
    for (id, says) in [
        ("signal-stop-exec", "affected, fixed in 6.6.143"),
        ("x86-xfd-signal", "applies if the CPU has AMX: affected, fixed in 6.6.117"),
        (
            "x86-shstk-sigreturn",
            "applies if the CPU has user shadow stacks (CET): affected, fixed in 6.6.140",
        ),
        ("sigpending-limit", "fixed by 6.6.61"),
        ("x86-xsave-spin", "fixed by 6.6.18"),
        ("x86-xrstor-fault", "fixed by 5.13.0"),
    ] {
        assert_eq!(row(&report, id)["says"], says);
    }
    let report = check("x86_64", "6.1.110");
    assert_eq!(row(&report, "sigpending-limit")["says"], "affected, fixed in 6.1.117");
    assert_eq!(row(&report, "sigpending-limit")["reach"], "reduced");
    assert_eq!(
        row(&report, "x86-shstk-sigreturn")["says"].as_str().map(|says| &says[..12]),
        Some("not affected")
    );
}

#[test]
fn a_compiler_may_be_named_in_short() {
    for text in [
        "5.4.1 … gcc 9",
        "5.4.1 #1 SMP gcc-9",
        "Linux version 5.4.1 (a@b) (gcc version 9.2.1 20190827) #1 SMP",
    ] {
        let report = check("x86_64", text);
        assert_eq!(
            row(&report, "linux-sigframe-fpu")["says"],
            "affected, fixed in 5.4.2",
            "{text}"
        );
        assert_eq!(report["compiler"], "GCC 9", "{text}");
    }
    assert_eq!(row(&check("x86_64", "5.4.1 gcc 8"), "linux-sigframe-fpu")["state"], "not-affected");
    assert_eq!(row(&check("x86_64", "5.4.1"), "linux-sigframe-fpu")["state"], "unsure");
}

#[test]
fn a_vendors_notice_goes_before_the_number() {
    let report = check("x86_64", "4.18.0-193.el8");
    let words = row(&report, "linux-sigframe-fpu")["says"].as_str().expect("words");
    assert!(words.starts_with("not affected: ") && words.contains("RHSA-2020:4431"), "{words}");
    assert_eq!(row(&report, "signal-stop-exec")["state"], "not-listed");
    assert_eq!(report["overall"], "not-affected");
}

#[test]
fn a_release_candidate_of_the_fixed_version_is_not_decided() {
    let id = "signal-stop-exec";
    for (kernel, state) in [
        ("7.1.0-rc2", "unsure"),
        ("7.1.0", "fixed"),
        ("7.2.0-rc1", "fixed"),
        ("7.0.12", "affected"),
    ] {
        assert_eq!(row(&check("s390x", kernel), id)["state"], state, "{kernel}");
    }
}

/// Ranges that nobody published are never an alarm.
#[test]
fn an_inferred_range_does_not_say_affected() {
    let report = check("aarch64", "6.12.60");
    assert_eq!(row(&report, "arm64-fpsimd-signal")["state"], "unsure");
    let report = check("riscv64", "6.8.4");
    assert_eq!(row(&report, "riscv-minsigstksz")["state"], "unsure");
}

#[test]
fn the_whole_table_is_there() {
    let report = check("x86_64", "6.12.60");
    assert!(rows(&report).len() >= 60, "{}", rows(&report).len());
}
