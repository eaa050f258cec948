//! What may run inside a hook.
//!
//! Everything below this module, and every caller of it that a hook can
//! reach, obeys these rules:
//!
//! 1. Async-signal-safe, re-entrant and fork-safe; callable before our
//!    constructor, in a vfork child, after `main`, in a cancelled thread.
//! 2. No allocation, no thread-local storage, no lock that a signal handler
//!    or a forked child could meet held (see [`lock`]).
//! 3. Only raw system calls ([`call`]) or originals, found in the objects that
//!    were there at load ([`crate::recorded`]), which takes no lock. A libc call
//!    of our own would run into our own hooks.
//! 4. `errno` is what the original left: raw calls never write it, and what
//!    calls an original on the side holds an [`errno::Kept`].
//! 5. No panic path: the link of `libsigward.so` fails if there is one.
//!    Never abort, block, print (by default), or fail a call that would have
//!    succeeded.
//! 6. In doubt stand down: return what the original returns and do no more.
//! 7. Nothing is believed because our table says so: what the kernel can be
//!    asked, it is asked.
//! 8. A vfork child shares our memory but not our kernel state: it must not
//!    change the tables.
//! 9. Memory calls are hot: they are turned away by a few relaxed loads, at
//!    any size and beside any number of stacks.
//! 10. No libc function that allocates or opens files.
//! 11. Signals are blocked once in a hook, by [`signals::Blocked`], which makes
//!     sure of the stack first. Much is done only on a lock's own stack: who
//!     asks for the stack pointer asks before.

#[cfg(target_os = "linux")]
pub mod call;
pub mod errno;
#[cfg(target_os = "freebsd")]
pub mod freebsd;
#[cfg(target_os = "linux")]
pub mod futex;
#[cfg(target_os = "linux")]
pub mod kernel;
#[cfg(target_os = "linux")]
pub mod line;
#[cfg(target_os = "linux")]
pub mod lock;
#[cfg(target_os = "linux")]
pub mod owner;
#[cfg(target_os = "linux")]
pub mod page;
#[cfg(target_os = "linux")]
pub mod probe;
#[cfg(target_os = "linux")]
pub mod signals;
#[cfg(target_os = "linux")]
pub mod startup;
#[cfg(target_os = "linux")]
pub mod stderr;
#[cfg(target_os = "linux")]
pub mod touch;
