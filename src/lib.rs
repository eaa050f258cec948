//! The core of sigward: policy and mechanisms, without an allocator and without std.
#![cfg_attr(not(test), no_std)]
