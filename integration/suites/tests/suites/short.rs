//! The short selection: no verdict differs with the library.

use sigward_suites::arm::Bench;
use sigward_suites::session;
use sigward_suites::suite::{SUITES, Suite};
use sigward_suites::table;

#[test]
fn no_verdict_differs_in_the_short_selection() {
    let selection = SUITES.iter().filter(|suite| suite.selected(true));
    let suites: Vec<&Suite> = selection.filter(|suite| super::runnable(suite)).collect();
    let bench = Bench::new().unwrap();
    let told = session::run(&suites, 3, |suite| session::compare(&bench, suite, 1));
    let lines = told.iter().map(|told| &*told.line);
    eprint!("{}{}", table::HEAD, lines.collect::<String>());
    let wrong = told.iter().filter(|told| !told.holds).map(|told| &*told.remarks);
    assert_eq!(wrong.collect::<String>(), "");
}
