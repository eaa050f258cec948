//! `--dry-run` prints the plan and runs nothing.

use predicates::prelude::*;
use predicates::str::contains;
use tempfile::TempDir;

use super::{LOADED, folder, probe, run, script, static_program};

#[test]
fn the_plan_is_printed_and_the_program_is_not_run() {
    let made = TempDir::new().expect("a folder");
    let program = script(made.path(), "program", "#!/bin/sh\n: >\"$0.was-run\"\n");
    let (library, program) = (probe().display().to_string(), program.display().to_string());
    run(["--mode", "on", "--set", "SIGWARD_STACK=64K", "--dry-run", &program, "argument"])
        .assert()
        .success()
        .stderr("")
        .stdout(contains(format!("program: {program}\nlibrary: {library}\n")))
        .stdout(contains(format!("\nLD_PRELOAD={library}\nplan:\n  duty: act (SIGWARD=on)\n")))
        .stdout(contains("\n  ordinary stacks: locked, 65536 bytes (SIGWARD_STACK=65536)\n"));
    assert!(!made.path().join("program.was-run").exists());
    // Without the option, the same command runs the program.
    run(["--mode", "on", &program]).assert().success().stderr(contains(LOADED));
    assert!(made.path().join("program.was-run").exists());
}

#[test]
fn json_holds_the_same() {
    let other = folder().join("libother.so").display().to_string();
    let mut command = run(["--mode", "observe", "--dry-run", "--json", "true"]);
    let assert = command.env("LD_PRELOAD", &other).assert().success();
    let json: serde_json::Value =
        serde_json::from_slice(&assert.get_output().stdout).expect("JSON");
    let library = probe().display().to_string();
    assert_eq!(json["library"], library);
    assert_eq!(json["ld_preload"], format!("{library}:{other}"));
    assert_eq!(json["plan"]["duty"]["value"], "observe");
    assert_eq!(json["plan"]["rung"]["because"], "the duty is observe");
    run(["--json", "true"]).assert().code(125).stderr(contains("--dry-run"));
}

/// Never by default.
#[test]
fn settings_of_runtimes_are_made_only_on_request() {
    let cures = |options: &[&str]| {
        let mut command = run(options.iter().copied().chain(["--dry-run", "--json", "true"]));
        let assert = command.assert().success();
        let json: serde_json::Value =
            serde_json::from_slice(&assert.get_output().stdout).expect("JSON");
        json["env_cures"].as_array().cloned().expect("a list")
    };
    assert!(cures(&[]).is_empty());
    for cure in cures(&["--env-cures"]) {
        for name in ["defect", "name", "value"] {
            assert!(cure[name].is_string(), "{cure}");
        }
    }
}

/// `SIGWARD_ONLY` and `SIGWARD_EXCEPT` are compared with the name of this program.
#[test]
fn an_excluded_program_has_the_reason_in_its_plan() {
    let dry = |setting: &str| run(["--set", setting, "--mode", "on", "--dry-run", "true"]).assert();
    let reason = "duty: inert (SIGWARD_ONLY or SIGWARD_EXCEPT leaves the program out)\n";
    dry("SIGWARD_EXCEPT=tru?").success().stdout(contains(reason));
    dry("SIGWARD_ONLY=other").success().stdout(contains(reason));
    dry("SIGWARD_ONLY=true").success().stdout(contains("duty: act (SIGWARD=on)\n"));
}

#[test]
fn what_run_refuses_is_refused() {
    let made = TempDir::new().expect("a folder");
    let program = static_program(made.path());
    let program = program.to_str().expect("UTF-8");
    run(["--dry-run", program]).assert().code(125).stdout("").stderr(contains("statically linked"));
    run(["--dry-run", "--force", program])
        .assert()
        .success()
        .stderr(contains("warning: ").and(contains("statically linked")));
    run(["--dry-run", "no-such-program"]).assert().code(127).stdout("");
    run(["--set", "SIGWARD_LOG=loud", "--dry-run", "true"]).assert().code(125).stdout("");
}
