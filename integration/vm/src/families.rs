//! The fault scenarios of the harness, run inside the virtual machine. This program is
//! copied there, together with the scenarios' programs.

use sigward_harness::scenarios::{self, ALL, Scenario};
use std::io;
use std::path::Path;
use std::time::Duration;

/// The folder of the scenarios' programs and the library in the machine.
pub const PROGRAMS: &str = "/programs";
pub const LIBRARY: &str = "/lib/libsigward.so";

/// An emulated machine is slow.
const DEADLINE: Duration = Duration::from_secs(60);

/// Runs every scenario of `program` without and with the library, and prints the sums in
/// one line. Failures go to standard error.
///
/// # Errors
/// If there is no such family, or a program cannot be run.
pub fn run(program: &str) -> io::Result<()> {
    let unknown = || io::Error::other(format!("no scenarios of {program}"));
    let family = ALL.iter().find(|family| family.program == program).ok_or_else(unknown)?;
    let (mut deliveries, mut faults) = ([0, 0], [0, 0]);
    let (mut with_faults, mut without_faults, mut broken) = (0, 0, 0);
    for scenario in family.scenarios {
        let run = scenarios::run(Path::new(PROGRAMS).join(program), scenario.name);
        let run = run.deadline(DEADLINE);
        let without = scenarios::observe(&run)?;
        let with = scenarios::observe(&run.preload(LIBRARY).env("SIGWARD", "on"))?;
        for (arm, seen) in [&without, &with].into_iter().enumerate() {
            deliveries[arm] += seen.frames.len();
            faults[arm] += seen.faults();
        }
        with_faults += u64::from(without.faults() > 0);
        // A small frame may fit beside memory that is touched anyway.
        if scenario.shown && without.faults() == 0 {
            without_faults += 1;
            eprintln!("{}: the control takes no fault", scenario.name);
        }
        if let Err(words) = (Scenario { shown: false, ..*scenario }).judge(&without, &with) {
            broken += 1;
            eprintln!("{}: {words}\nwithout: {without:?}\nwith: {with:?}", scenario.name);
        }
    }
    let ([plain, hardened], [plain_faults, hardened_faults]) = (deliveries, faults);
    println!(
        "frame={} scenarios={} deliveries={plain} faults={plain_faults} with_faults={with_faults} without_faults={without_faults} \
         hardened.deliveries={hardened} hardened.faults={hardened_faults} broken={broken}",
        frame_size(),
        family.scenarios.len(),
    );
    Ok(())
}

/// The most bytes that the kernel writes for a signal.
fn frame_size() -> u64 {
    // SAFETY: no memory is touched.
    unsafe { libc::getauxval(libc::AT_MINSIGSTKSZ) }
}
