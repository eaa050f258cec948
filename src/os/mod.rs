//! What may run inside a hook.
//!
//! Code in this module, and every caller of it that a hook can reach, obeys
//! these rules:
//!
//! 1. Async-signal-safe, re-entrant and fork-safe; callable before our
//!    constructor, in a vfork child, after `main`, in a cancelled thread.
//! 2. No allocation, no thread-local storage, no lock that a signal handler or
//!    a forked child could find held (see [`lock`]).
//! 3. Only raw system calls ([`call`]), or originals resolved without a lock
//!    from the objects that were there at load ([`crate::startup_objects`]). A libc
//!    call of our own would run into our own hooks.
//! 4. `errno` is what the original left: raw calls never write it, and code
//!    that calls an original for its own purposes holds an [`errno::Kept`].
//! 5. No panic path: the link of `libsigward.so` fails if there is one. Never
//!    abort, block, print (by default), or fail a call that would have
//!    succeeded.
//! 6. If in doubt, stand down: return what the original returns and do nothing
//!    else.
//! 7. Never trust our own table where the kernel can be asked: ask the kernel.
//! 8. A vfork child shares our memory but not our kernel state: it must not
//!    change the tables.
//! 9. Memory calls are hot: a few relaxed loads reject them, at any size and
//!    beside any number of stacks.
//! 10. No libc function that allocates or opens files.
//! 11. A hook blocks signals once, by [`signals::Blocked`], which first makes
//!     sure that the stack has room. Much of the work runs on a lock's own
//!     stack, so code that needs the program's stack pointer reads it earlier.

#[cfg(target_os = "linux")]
pub mod call;
pub mod errno;
#[cfg(target_os = "freebsd")]
pub mod freebsd;
#[cfg(target_os = "linux")]
pub mod futex;
#[cfg(target_os = "linux")]
pub mod kernel_texts;
#[cfg(target_os = "linux")]
pub mod line;
#[cfg(target_os = "linux")]
pub mod lock;
#[cfg(target_os = "linux")]
pub mod owner;
#[cfg(target_os = "linux")]
pub mod page;
#[cfg(target_os = "linux")]
pub mod signals;
#[cfg(target_os = "linux")]
pub mod startup;
#[cfg(target_os = "linux")]
pub mod stderr;
#[cfg(target_os = "linux")]
pub mod tlb;
#[cfg(target_os = "linux")]
pub mod touch;
#[cfg(target_os = "linux")]
pub mod trials;
#[cfg(target_os = "linux")]
pub mod user_memory;
