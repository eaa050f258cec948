//! Programs that die without the library when their handlers are as deep as beside a large frame.

use sigward_harness::need;
use sigward_suites::arm::Bench;
use sigward_suites::suite::installed;
use sigward_suites::{deep, session};

#[test]
fn deep_handlers_have_room() {
    let programs: Vec<_> = deep::PROGRAMS.iter().filter(|program| program.short).collect();
    let remedy = "cargo run -p sigward-suites -- --short --install";
    let programs = programs.into_iter().filter(|program| {
        need::required(installed(program.needs), &format!("'{}'", program.name), remedy)
    });
    let programs: Vec<_> = programs.collect();
    let bench = Bench::new().unwrap();
    let rows = session::run(&programs, 2, |program| deep::measure(&bench, program).unwrap());
    let lines: String = rows.iter().map(deep::line).collect();
    eprint!("{}{lines}", deep::HEAD);
    let wrong: Vec<_> = rows.iter().flat_map(|row| &row.wrong).collect();
    assert!(wrong.is_empty(), "{lines}{wrong:#?}");
}
