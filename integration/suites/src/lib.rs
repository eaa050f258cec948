//! Tests of other software, run without and with `libsigward.so`, and compared verdict by
//! verdict.
//!
//! | module | owns |
//! |---|---|
//! | [`suite`] | the table of suites, one row of data each; `scripts/` has how each one runs |
//! | [`arm`] | one run of one suite, with one choice of libraries; its verdicts and calls |
//! | [`calls`] | how often hooked functions were called, by families |
//! | [`row`] | all runs of one suite, and what differs between them |
//! | [`deep`] | programs whose handlers are as deep as beside larger frames; `deep.c` makes them so |
//! | [`session`] | runs many suites, some at the same time |
//! | [`table`] | the text of `docs/suites.md` |
//!
//! A script runs the software's tests and prints a line for each: `ok NAME`, `not ok NAME` or
//! `skip NAME`. It puts `$UNDER` before the tested program, and before nothing else: that
//! preloads the libraries of the arm. In every arm `calls.c` comes first and counts the calls
//! of the functions that sigward hooks. A suite that makes no such call proves nothing, and
//! fails.

pub mod arm;
pub mod calls;
pub mod deep;
pub mod row;
pub mod session;
pub mod suite;
pub mod table;
