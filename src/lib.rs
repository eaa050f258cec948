//! The core of sigward: policy and mechanisms, without an allocator and without
//! std, for use inside a hook.
//!
//! Data flows one way: environment -> config -> verdict -> plan -> mechanism.
//! Each defect has one home.
//!
//! | module | owns |
//! |---|---|
//! | [`config`] | every `SIGWARD_*` variable: one table, one parser |
//! | [`quirks`] | the table of kernel defects, as data |
//! | [`verdict`] | which kernel this is, whether it is affected, and why (pure) |
//! | [`plan`] | what to do in a process, and why (pure) |
//! | [`altstack`] | `linux-sigframe-fpu`: residency of signal stacks |
//! | [`bounds`] | `stack-bounds`: where a thread's stack really ends |
//! | [`wait`] | `freebsd-restart-r10`: waits that are never restarted |
//! | [`standdown`] | what in a process makes us stand down |
//! | [`loaded`], [`recorded`] | names in loaded objects: a `dlsym` for hooks |
//! | [`arch`] | what depends on the processor |
//! | [`sys`] | what may run in a hook: rules, raw calls, guards, lock |
//! | [`block`] | what other processes may read of this one: one record |
//! | [`stats`] | the counters |
//! | [`log`], [`summary`] | the two kinds of output, both off by default |
#![cfg_attr(not(test), no_std)]

#[cfg(target_os = "linux")]
pub mod altstack;
pub mod arch;
#[cfg(target_os = "linux")]
pub mod block;
#[cfg(target_os = "linux")]
pub mod bounds;
pub mod config;
#[cfg(target_os = "linux")]
pub mod loaded;
#[cfg(target_os = "linux")]
pub mod log;
pub mod plan;
pub mod quirks;
#[cfg(target_os = "linux")]
pub mod recorded;
#[cfg(target_os = "linux")]
pub mod standdown;
#[cfg(target_os = "linux")]
pub mod stats;
#[cfg(target_os = "linux")]
pub mod summary;
pub mod sys;
pub mod verdict;
pub mod wait;
