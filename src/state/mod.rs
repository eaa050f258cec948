//! What other processes may read of this one: the published block, with the
//! counters.

pub mod deepest;
pub mod published_block;
pub mod stats;
