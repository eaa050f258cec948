//! What is shipped for monitoring asks for what the command writes. The rest of `packaging/fleet`
//! is checked by `make fleet`.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

use assert_cmd::cargo::cargo_bin;
use sigward_harness::artifacts::workspace;
use sigward_harness::need;

fn fleet(path: &str) -> PathBuf {
    workspace().join("packaging/fleet").join(path)
}

#[test]
fn the_alerts_fire_when_they_should() {
    let promtool = need::installed("promtool").is_some();
    if !need::required(promtool, "promtool", "apt install prometheus") {
        return;
    }
    let mut promtool = Command::new("promtool");
    let output =
        promtool.args(["test", "rules"]).arg(fleet("prometheus/alerts-test.yaml")).output();
    let output = output.unwrap();
    assert!(output.status.success(), "{output:?}");
}

/// The names after `sigward_`, up to what cannot be part of one.
fn metrics(text: &str) -> BTreeSet<String> {
    let is_part = |letter: char| letter.is_ascii_lowercase() || letter == '_';
    let names = text.split("sigward_").skip(1);
    let names = names.map(|rest| rest.chars().take_while(|letter| is_part(*letter)).collect());
    names.filter(|name: &String| !name.is_empty()).collect()
}

#[test]
fn alerts_and_dashboard_ask_for_metrics_that_are_written() {
    let output = Command::new(cargo_bin("sigward"))
        .args(["check", "--format", "prometheus", "--arch", "x86_64", "--kernel", "5.3.1"])
        .output()
        .unwrap();
    let mut written = metrics(&String::from_utf8_lossy(&output.stdout));
    let output =
        Command::new(cargo_bin("sigward")).args(["doctor", "--format", "prometheus"]).output();
    let of_doctor = metrics(&String::from_utf8_lossy(&output.unwrap().stdout));
    // The two files are in one folder, where no metric may be in both.
    assert!(of_doctor.len() > 3 && of_doctor.is_disjoint(&written), "{of_doctor:?}");
    written.extend(of_doctor);
    for file in ["helm/sigward/files/alerts.yaml", "helm/sigward/files/dashboard.json"] {
        let asked = metrics(&fs::read_to_string(fleet(file)).unwrap());
        assert!(asked.len() > 1, "{file}: {asked:?}");
        let missing: Vec<_> = asked.difference(&written).collect();
        assert!(missing.is_empty(), "{file}: {missing:?}");
    }
}

/// `watch` in place of a shell: both files are there at once, and SIGTERM ends it.
#[test]
fn watch_writes_its_reports_and_ends_at_a_signal() {
    use nix::sys::signal::{Signal, kill};
    use nix::unistd::Pid;
    use std::time::{Duration, Instant};
    let folder = tempfile::tempdir().unwrap();
    let (features, textfile) = (folder.path().join("sigward"), folder.path().join("sigward.prom"));
    let mut watch = Command::new(cargo_bin("sigward"));
    watch.args(["watch", "--every", "1s", "--", "check", "--format", "nfd", "--output"]);
    watch.arg(&features).args([",", "check", "--format", "prometheus", "--output"]).arg(&textfile);
    let mut watch = watch.spawn().unwrap();
    let end = Instant::now() + Duration::from_secs(60);
    let wait = |what: &dyn Fn() -> bool| {
        while !what() && Instant::now() < end {
            std::thread::sleep(Duration::from_millis(20));
        }
        what()
    };
    let are_there = || features.exists() && textfile.exists();
    assert!(wait(&are_there), "a first round");
    fs::remove_file(&features).unwrap();
    fs::remove_file(&textfile).unwrap();
    assert!(wait(&are_there), "a second round");
    kill(Pid::from_raw(watch.id().cast_signed()), Signal::SIGTERM).unwrap();
    assert!(watch.wait().unwrap().success());
    let text = fs::read_to_string(&textfile).unwrap();
    assert!(text.contains("\nsigward_check_overall{"), "{text}");
}

#[test]
fn watch_takes_reports_only() {
    for arguments in [&["--", "run", "true"][..], &["--", "check", ",", "probe"], &["--", ","]] {
        let output = Command::new(cargo_bin("sigward")).arg("watch").args(arguments).output();
        assert_eq!(output.unwrap().status.code(), Some(125), "{arguments:?}");
    }
}
