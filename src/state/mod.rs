//! What other processes may read of this one: the published block, with the
//! counters.

pub mod block;
pub mod deepest;
pub mod stats;
