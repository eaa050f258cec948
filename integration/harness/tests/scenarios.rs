//! The table and the programs list the same scenarios: one that is missing in the table would never
//! run.

use sigward_harness::programs::{Libc, build};
use sigward_harness::run::Run;
use sigward_harness::scenarios::ALL;

#[test]
fn the_table_names_all_scenarios_of_its_programs() {
    for family in ALL {
        let listed = Run::new(build(family.program, Libc::Glibc).unwrap()).output().unwrap();
        // These only print what they see, and have tests of their own.
        let scenarios = listed.stdout.lines().filter(|name| !name.starts_with("report-"));
        let mut listed: Vec<_> = scenarios.collect();
        let mut named: Vec<_> = family.scenarios.iter().map(|scenario| scenario.name).collect();
        listed.sort_unstable();
        named.sort_unstable();
        named.dedup();
        assert_eq!(named, listed, "{}", family.program);
    }
}
