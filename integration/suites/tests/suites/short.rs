//! The short selection: no verdict differs with the library.

use std::fs;

use sigward_suites::arm::{ARMS, Bench, PLAIN};
use sigward_suites::session;
use sigward_suites::suite::{SUITES, Suite};
use sigward_suites::table;

#[test]
fn no_verdict_differs_in_the_short_selection() {
    let selection = SUITES.iter().filter(|suite| suite.selected(true));
    let suites: Vec<&Suite> = selection.filter(|suite| super::runnable(suite)).collect();
    let bench = Bench::new().unwrap();
    let results = session::run(&suites, 3, |suite| session::compare(&bench, suite, 1));
    let lines = results.iter().map(|result| &*result.line);
    eprint!("{}{}", table::HEAD, lines.collect::<String>());
    for (suite, _) in suites.iter().zip(&results).filter(|(_, result)| !result.holds) {
        for arm in [PLAIN].iter().chain(ARMS) {
            let log = fs::read_to_string(bench.log(suite.name, arm.label)).unwrap_or_default();
            eprintln!("--- {}, {}:\n{log}", suite.name, arm.label);
        }
    }
    let wrong = results.iter().filter(|result| !result.holds).map(|result| &*result.remarks);
    assert_eq!(wrong.collect::<String>(), "");
}
