//! The tests of real software, run without and with `libsigward.so`, verdict by verdict.
//!
//! | module | owns |
//! |---|---|
//! | [`suite`] | the table of suites: one row of data each; how each is run is in `scripts/` |
//! | [`arm`] | one run of one suite, with one choice of libraries; its verdicts and calls |
//! | [`calls`] | how often hooked functions were called, by families |
//! | [`row`] | all runs of one suite, and what differs between them |
//! | [`session`] | many suites, some at the same time |
//! | [`table`] | what is written to `docs/suites.md` |
//!
//! A script runs the software's tests and prints a line for each: `ok NAME`, `not ok NAME` or
//! `skip NAME`. It puts `$UNDER` before what is tested, and before nothing else: that preloads
//! the libraries of the arm. `calls.c` stands in front in every arm and counts the calls of
//! what sigward hooks. A suite that makes no such call proves nothing, and fails.

pub mod arm;
pub mod calls;
pub mod row;
pub mod session;
pub mod suite;
pub mod table;
