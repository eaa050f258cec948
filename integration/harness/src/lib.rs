//! Test support: builds what is tested, runs it with and without `libsigward.so`, and
//! counts the page faults that the kernel takes while it writes signal frames.
//!
//! | module | owns |
//! |---|---|
//! | [`artifacts`] | `libsigward.so` and the workspace's commands, never stale |
//! | [`programs`] | the C programs of `integration/programs`, for glibc and musl |
//! | [`run`] | one run of a program: library, user, limits, dead man's switch |
//! | [`outcome`] | what a run printed and how it ended |
//! | [`every_stack`] | tests with every alternate stack replaced |
//! | [`need`] | what a test needs of the machine, and how a missing item is reported |
//! | [`emulated`] | programs for other processors, under an emulator |
//! | [`filter`] | a seccomp filter that refuses system calls, or kills the process for them |
//! | [`frames`] | the ptrace meter: faults per signal delivery, from outside |
//! | [`scenarios`] | what programs do between two signals: the table of `docs/faults.md` |
//! | [`calls`] | the system calls of a program, from outside |
//! | [`counter`] | the user instructions of a whole program, by perf or by callgrind |
//! | [`cpu_time`] | the CPU time of children |
//! | [`signals`] | signals through an init, and what a program received |
//! | [`steps`] | instructions and system calls of part of a program, by single-stepping |
//!
//! None of this is shipped. Functions return errors that name the command that failed;
//! tests unwrap them.

pub mod artifacts;
pub mod calls;
pub mod counter;
pub mod cpu_time;
mod deadman;
pub mod emulated;
pub mod every_stack;
pub mod filter;
pub mod frames;
pub mod need;
pub mod outcome;
pub mod programs;
pub mod run;
pub mod scenarios;
pub mod signals;
pub mod steps;
mod tracee;

pub use outcome::Outcome;
pub use run::Run;
