//! The core of sigward: policy and mechanisms, without an allocator and without std.
#![cfg_attr(not(test), no_std)]

/// Every `SIGWARD_*` variable: one table, one parser.
pub mod config;
/// The table of kernel defects, as data.
pub mod quirks;
/// Which kernel is this, is it affected, and why.
pub mod verdict;
