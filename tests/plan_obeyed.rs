//! The library does in a program what `sigward run --dry-run` announces.

use serde_json::Value;
use sigward_harness::filter::Filter;
use sigward_harness::programs::{Libc, build};
use sigward_harness::{Run, artifacts};

/// The settings of each row.
const ROWS: &[&[(&str, &str)]] = &[
    &[],
    &[("SIGWARD", "on")],
    &[("SIGWARD", "on"), ("SIGWARD_FRAME", "5000")],
    &[("SIGWARD", "observe")],
    &[("SIGWARD_SIZE", "fix")],
    &[("SIGWARD", "on"), ("SIGWARD_STACK", "off"), ("SIGWARD_ALTSTACK", "touch")],
    &[("SIGWARD_WAIT", "two-phase")],
];

/// The plan for the program.
fn planned(run: &Run, program: &str) -> Value {
    let library = artifacts::preload();
    let run = run.clone().args(["run", "--dry-run", "--json", "--library"]).arg(library);
    let outcome = run.arg(program).output().unwrap();
    assert!(outcome.success(), "{outcome:?}");
    let json: Value = serde_json::from_str(&outcome.stdout).expect("JSON");
    json["plan"].clone()
}

#[test]
fn what_is_planned_is_done() {
    let program = build("confined", Libc::Glibc).unwrap();
    let name = program.to_str().expect("UTF-8");
    let filters = [
        None,
        Some(Filter::new()),
        Some(Filter::new().refuse(libc::SYS_tgkill, libc::ESRCH)),
        Some(Filter::new().kill(libc::SYS_mlock)),
    ];
    for settings in ROWS {
        for filter in &filters {
            let prepare = |run: Run| {
                let run = run.env("SIGWARD_STATS", "1").env("SIGWARD_LOG", "info");
                let run = settings.iter().fold(run, |run, (name, value)| run.env(name, value));
                filter.iter().fold(run, |run, filter| run.filter(filter.clone()))
            };
            let plan = planned(&prepare(Run::new(artifacts::command())), name);
            let run = Run::new(&program).args(["status", "locked"]).preload(artifacts::preload());
            let outcome = prepare(run).output().unwrap();
            let row = format!("{settings:?} {filter:?}\n{plan:#}\n{outcome:?}");
            assert!(outcome.success(), "{row}");

            let duty = plan["duty"]["value"].as_str().expect("a word");
            assert_eq!(outcome.figure("duty"), duty, "{row}");
            let because = plan["duty"]["because"].as_str().expect("words");
            if let Some(obstacle) = because.strip_prefix("standing down: ") {
                assert!(outcome.stderr.contains(&format!("{because}; duty: {duty}")), "{row}");
                assert!(obstacle.contains("seccomp"), "{row}");
            } else {
                assert!(!outcome.stderr.contains("standing down"), "{row}");
            }
            if let Some(bytes) = plan["frame"]["value"].as_u64().filter(|bytes| *bytes > 0) {
                assert!(outcome.stderr.contains(&format!("signal frame: {bytes} bytes")), "{row}");
            }
            let locks = plan["rung"]["value"] == "lock";
            assert_eq!(outcome.figure("lock") != "0", locks, "{row}");
            let touches = plan["rung"]["value"] == "touch";
            let armed = plan["ordinary_stacks"]["value"] == "armed";
            assert_eq!(outcome.figure("touch") != "0", touches || armed, "{row}");
        }
    }
}
