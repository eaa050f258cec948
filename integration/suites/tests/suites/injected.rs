//! The suites can fail: with a fault injected behind the library, verdicts differ.

use sigward_harness::artifacts;
use sigward_suites::arm::{Arm, Bench};
use sigward_suites::suite::SUITES;
use sigward_suites::{row, session};

/// The library with the fault injector behind it: the errors of its originals become its own.
const fn broken(label: &'static str, settings: &'static [(&'static str, &'static str)]) -> Arm {
    Arm { label, libraries: &["libsigward.so", "libchaos.so"], settings, duty: "act" }
}

/// What is broken, and the suite that must notice it.
const FAULTS: [(&str, Arm); 3] = [
    (
        "job control; make -j",
        broken(
            "a child lost in 50 waits",
            &[("SIGWARD", "on"), ("CHAOS", "waitpid:after-ECHILD:every50")],
        ),
    ),
    (
        "kernel selftests",
        broken("MADV_DONTNEED refused", &[("SIGWARD", "on"), ("CHAOS", "madvise@DONTNEED:EINVAL")]),
    ),
    (
        "CPython: signals and crashes, a selection",
        broken("oact filled in wrongly", &[("SIGWARD", "on"), ("CHAOS", "sigaction:garbled")]),
    ),
];

#[test]
fn planted_faults_are_found() {
    let bench = Bench::new().unwrap();
    bench.lay_out(artifacts::chaos()).unwrap();
    session::run(&FAULTS, 3, |&(name, arm)| {
        let suite = SUITES.iter().find(|suite| suite.name == name).unwrap();
        if !super::runnable(suite) {
            return;
        }
        let sound = broken("no fault", &[("SIGWARD", "on")]);
        let row = row::compare(&bench, suite, 1..=2, &[sound, arm]).unwrap();
        let found = |label| row.differing.iter().filter(move |found| found.arm == label).count();
        eprintln!("{}: {} verdicts of {name} differ", arm.label, found(arm.label));
        assert_eq!(found(sound.label), 0, "without a fault: {:#?}", row.differing);
        assert!(found(arm.label) > 0, "{name} did not notice: {}", arm.label);
    });
}
