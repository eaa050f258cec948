//! Which kernel this is, whether it is affected, and why.
//!
//! This is a pure function of the kernel's texts; reading them is done
//! elsewhere. Everything here is async-signal-safe: no allocation, no panic, no
//! system call. It accepts any bytes of any length.
//!
//! A caller can save work by asking [`needs_proc`] first: if that is false, the
//! verdict from `uname` alone is final, and no file has to be opened.

mod answer;
mod argument;
mod build;
mod judge;
mod scan;
mod texts;
mod version;

pub use answer::{Standing, Verdict};
pub use argument::{Argument, Compiler, Step, Text};
pub use judge::{judge, judge_running, needs_proc};
pub use texts::{CpuTraits, KernelTexts};
pub use version::upstream_version;

#[cfg(test)]
mod tests;
