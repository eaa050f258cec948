//! The core of sigward: policy and mechanisms, without an allocator and without
//! std, for use inside a hook.
//!
//! Data flows one way: environment -> config -> verdict -> plan -> mechanism.
//! Each defect has one home. Modules use only what stands above them here.
//!
//! | module | owns |
//! |---|---|
//! | [`arch`] | what depends on the processor |
//! | [`quirks`] | the table of kernel defects, as data |
//! | [`config`] | every `SIGWARD_*` variable: one table, one parser |
//! | [`verdict`] | which kernel this is, whether it is affected, and why (pure) |
//! | [`os`] | what may run in a hook: rules, raw calls, guards, lock |
//! | [`loaded`], [`startup_objects`] | names in loaded objects: a `dlsym` for hooks |
//! | [`log`] | messages, off by default |
//! | [`plan`] | what to do in a process, and why (pure) |
//! | [`state`] | what other processes may read of this one: the block, the counters |
//! | [`residency`] | `linux-sigframe-fpu`: which stacks are held, and how; `stack-bounds` |
//! | [`small_stacks`] | `altstack-size`: stacks too small for a frame |
//! | [`events`] | what may undo residency: sigaltstack, memory calls, forks, ends of threads |
//! | [`wait`] | `freebsd-restart-r10`: waits that are never restarted |
//! | [`summary`] | the line of counts at exit, off by default |
//! | [`standdown`] | what in a process makes us stand down |
#![cfg_attr(not(test), no_std)]

pub mod arch;
pub mod config;
#[cfg(target_os = "linux")]
pub mod events;
#[cfg(target_os = "linux")]
pub mod loaded;
#[cfg(target_os = "linux")]
pub mod log;
pub mod os;
pub mod plan;
pub mod quirks;
#[cfg(target_os = "linux")]
pub mod residency;
#[cfg(target_os = "linux")]
pub mod small_stacks;
#[cfg(target_os = "linux")]
pub mod standdown;
#[cfg(target_os = "linux")]
pub mod startup_objects;
#[cfg(target_os = "linux")]
pub mod state;
#[cfg(target_os = "linux")]
pub mod summary;
pub mod verdict;
pub mod wait;
