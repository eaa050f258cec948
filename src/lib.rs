//! The core of sigward: policy and mechanisms, without an allocator and without std.
#![cfg_attr(not(test), no_std)]

/// The table of kernel defects, as data.
pub mod quirks;
/// Which kernel is this, is it affected, and why.
pub mod verdict;
