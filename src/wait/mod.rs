//! The second defect, id `freebsd-restart-r10`: a wait that the kernel restarts
//! loses arguments. `docs/wait.md` argues why the cure is correct.
//!
//! The plan selects a [`Strategy`]; here it is put in force and obeyed. The
//! affected kernels are `FreeBSD`'s, where the whole call can be made by
//! another entry. Linux has the same cure for a kernel that is given the same
//! defect, and for tests; it has to be imitated there.
//!
//! | module | |
//! | --- | --- |
//! | [`Strategy`] | the ways to carry out a wait, and the one in force |
//! | `freebsd` | waits on `FreeBSD` |
//! | `linux` | waits on Linux: sleep, then reap |
//! | `unaffected` | architectures whose waits cannot lose anything |

mod strategy;
pub use strategy::{Strategy, strategy};

#[cfg(target_os = "freebsd")]
mod freebsd;
#[cfg(target_os = "freebsd")]
pub use freebsd::{run, take_charge, wait4, wait6};

#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod linux;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
pub use linux::{
    Interrupted, acts, cancel, gate, halves, int80, request, retries, run, sleep, stand_down,
    stand_up, take_charge,
};

#[cfg(all(target_os = "linux", not(target_arch = "x86_64")))]
mod unaffected;
#[cfg(all(target_os = "linux", not(target_arch = "x86_64")))]
pub use unaffected::{Interrupted, acts, gate, retries, stand_down, stand_up, take_charge};
