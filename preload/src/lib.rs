//! `libsigward.so`: the hooks that `LD_PRELOAD` puts in front of libc.
//!
//! Only the edges are here; the crate `sigward` does the work. `hooks/list.rs`
//! is the list of hooks, and a test compares the exported symbols with it. The
//! folder has their bodies, one file per family of libc functions.
//!
//! The library is `no_std`, allocates nothing, needs no other library, and
//! links only if it contains no panic path (see [`no_panic`]).
#![no_std]
#![cfg_attr(
    target_pointer_width = "32",
    allow(clippy::useless_conversion, reason = "c_long may be wider than c_int")
)]

mod arch;
#[cfg(target_os = "linux")]
mod fallbacks;
#[cfg(target_os = "freebsd")]
mod freebsd;
#[cfg(target_os = "linux")]
mod hooks;
#[cfg(target_os = "linux")]
mod init;
#[cfg(target_os = "linux")]
mod memory_calls;
mod no_panic;
#[cfg(target_os = "linux")]
mod note;
#[cfg(target_os = "linux")]
mod originals;
#[cfg(target_os = "linux")]
mod process_facts;
mod weak_symbols;
