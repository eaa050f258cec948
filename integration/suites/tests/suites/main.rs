//! A short selection of the suites, and that they bite. One program, so that both run at the
//! same time. All suites: `make suites`.

mod short;
mod teeth;

use sigward_harness::need;
use sigward_suites::suite::Suite;

/// Whether what the suite needs is installed; it must be in CI.
fn runnable(suite: &Suite) -> bool {
    let what = format!("the suite '{}'", suite.name);
    need::required(suite.installed(), &what, "cargo run -p sigward-suites -- --short --install")
}
