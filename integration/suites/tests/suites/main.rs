//! A short selection of the suites, and a test that they can fail. One test program, so that
//! both run at the same time. All suites: `make suites`.

mod deep;
mod injected;
mod short;

use sigward_harness::need;
use sigward_suites::suite::Suite;

/// Whether the suite's requirements are installed; in CI they must be.
fn runnable(suite: &Suite) -> bool {
    let what = format!("the suite '{}'", suite.name);
    need::required(suite.installed(), &what, "cargo run -p sigward-suites -- --short --install")
}
