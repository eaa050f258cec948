//! The short selection: no verdict differs with the library. All suites: `make suites`.

use sigward_harness::need;
use sigward_suites::arm::{Bench, INT80, ON, TWO_PHASE};
use sigward_suites::row;
use sigward_suites::suite::SUITES;
use sigward_suites::table;

#[test]
#[ignore = "minutes of other software's tests, and packages to install: make suites"]
fn no_verdict_differs_in_the_short_selection() {
    let bench = Bench::new().unwrap();
    let mut wrong = Vec::new();
    eprint!("{}", table::HEAD);
    for suite in SUITES.iter().filter(|suite| suite.selected(true)) {
        let packages = suite.packages().collect::<Vec<_>>().join(" ");
        let what = format!("the suite '{}'", suite.name);
        if !need::required(suite.installed(), &what, &format!("apt-get install {packages}")) {
            continue;
        }
        let row = row::compare(&bench, suite, 1..=4, &[ON, INT80, TWO_PHASE]).unwrap();
        eprint!("{}", table::line(&row));
        if !row.holds() {
            wrong.extend(row.remarks());
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}
