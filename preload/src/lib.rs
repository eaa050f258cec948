//! `libsigward.so`: the hooks that `LD_PRELOAD` puts in front of libc.
//!
//! Only the edges live here; what they do is in the crate `sigward`. The
//! folder `hooks/` is the hook list, one file per family of libc functions;
//! `originals.rs` repeats it as one plain list, and a test holds the exported
//! symbols against it.
//!
//! The library is `no_std`, allocates nothing, needs no other library, and
//! links only if no panic path is in it (see [`link`]).
#![no_std]

#[cfg(target_os = "linux")]
mod facts;
#[cfg(target_os = "freebsd")]
mod freebsd;
#[cfg(target_os = "linux")]
mod hooks;
#[cfg(target_os = "linux")]
mod init;
mod link;
#[cfg(target_os = "linux")]
mod memory;
#[cfg(target_os = "linux")]
mod note;
#[cfg(target_os = "linux")]
mod originals;
#[cfg(target_os = "linux")]
mod substitutes;
mod weak;
