//! What the library itself needs of the processor: functions that must leave no
//! frame and no register changed, and what the link asks for. The crate
//! `sigward` has the rest, in its own `arch`.
//!
//! An architecture is one folder beside this file, named in the two lines below.
//! Most of it are macros, the bodies of naked functions: what they name is given
//! to them.
//!
//! | what | used by |
//! |---|---|
//! | `jump`: an export that is a bare jump | `hooks/wait.rs`, `freebsd.rs` |
//! | `ask`, `ask_and_jump`: a question before one | `hooks/wait.rs` |
//! | `jump_by_number`: the entry of `syscall` | `hooks/syscall.rs` |
//! | `jump_unless`: the entry of `prctl` | `hooks/confine.rs` |
//! | `begin_and_jump`: where a new thread starts | `hooks/thread.rs` |
//! | `align_and_call`: where libc calls us with any stack pointer | `hooks/thread.rs` |
//! | `bound_address`: what the loader bound a weak name to | `weak.rs` |
//! | `memcpy` and its like, `rust_eh_personality` | the compiler |
//!
//! `FreeBSD` needs `jump`, `bound_address` and the last.

#[cfg(target_arch = "x86_64")]
mod x86_64;
#[cfg(target_arch = "x86_64")]
pub(crate) use x86_64::*;
