//! The core of sigward: policy and mechanisms, without an allocator and without std.
#![cfg_attr(not(test), no_std)]

pub mod altstack;
pub mod loaded;
pub mod log;
pub mod stats;
pub mod sys;
