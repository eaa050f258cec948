//! What the library itself needs from the processor: functions that must leave
//! no frame and change no register, and what the link needs. The rest is in the
//! crate `sigward`, in its own `arch`.
//!
//! An architecture is one folder beside this file, named in the two lines
//! below. Most of its items are macros, the bodies of naked functions, which
//! take the names that they use as arguments.
//!
//! | item | used by |
//! |---|---|
//! | `jump`: an export that is a bare jump | `hooks/wait.rs`, `freebsd.rs` |
//! | `resolve_and_jump`: finds out first where to jump to | `hooks/wait.rs` |
//! | `jump_by_number`: the entry of `syscall` | `hooks/syscall.rs` |
//! | `call_and_compare`: the entry of `sigaltstack` | `hooks/signal.rs` |
//! | `jump_unless`: the entry of `prctl` | `hooks/seccomp.rs` |
//! | `begin_and_jump`: where a new thread starts | `hooks/thread.rs` |
//! | `align_and_call`: for calls by libc with an unaligned stack pointer | `hooks/thread.rs` |
//! | `choose_and_jump`: the entry of `madvise`, where compilers leave a frame | `hooks/memory.rs` |
//! | `bound_address`: the address that the loader bound to a weak name | `weak_symbols.rs` |
//! | `memcpy` and the like, `rust_eh_personality` | the compiler |
//!
//! Where waits need no cure, `jump` and `resolve_and_jump` are not needed;
//! where `sigaltstack` is not written in assembly, neither is `call_and_compare`.
//! Only 32-bit x86 needs `choose_and_jump`.
//! `FreeBSD` needs `jump`, `bound_address` and the last row.

#[cfg(target_arch = "aarch64")]
pub(crate) mod aarch64;
#[cfg(target_arch = "aarch64")]
pub(crate) use aarch64::*;
#[cfg(target_arch = "riscv64")]
pub(crate) mod riscv64;
#[cfg(target_arch = "riscv64")]
pub(crate) use riscv64::*;
#[cfg(target_arch = "x86")]
pub(crate) mod x86;
#[cfg(target_arch = "x86")]
pub(crate) use x86::*;
#[cfg(target_arch = "x86_64")]
pub(crate) mod x86_64;
#[cfg(target_arch = "x86_64")]
pub(crate) use x86_64::*;
