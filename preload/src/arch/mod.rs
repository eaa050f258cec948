//! What the library itself needs of the processor: functions that must leave no
//! frame and no register changed, and what the link asks for. The crate
//! `sigward` has the rest, in its own `arch`.
//!
//! An architecture is one file beside this one, named in the two lines below.
//! The macros are bodies of naked functions; what they name is given to them.
//!
//! | what | used by |
//! |---|---|
//! | `jump!` to the address in a slot | `hooks/wait.rs`, `freebsd.rs` |
//! | `ask`, `ask_and_jump!`: to the address that a function returns | `hooks/wait.rs`, `hooks/syscall.rs` |
//! | `turn_off_by_number!`: the entry of `syscall` | `hooks/syscall.rs` |
//! | `turn_off_for!`: the entry of `prctl` | `hooks/confine.rs` |
//! | `enter_thread!`: where a new thread starts | `hooks/thread.rs` |
//! | `align_stack!` for a call from anywhere | `hooks/thread.rs` |
//! | `bound_address!` of a weak name | `weak.rs` |
//! | `memcpy` and the like, `rust_eh_personality` | the compiler |
//!
//! `FreeBSD` needs `jump!`, `bound_address!` and the last.

#[cfg(target_arch = "x86_64")]
mod x86_64;
#[cfg(target_arch = "x86_64")]
pub(crate) use x86_64::*;
