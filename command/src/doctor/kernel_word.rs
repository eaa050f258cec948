//! What the kernel says about a process as a whole.

use serde::Serialize;

use super::kernel_view::{self, Status};

/// `CAP_IPC_LOCK`.
const IPC_LOCK: u32 = 14;

/// What the kernel says about a process; `None` where it does not.
#[derive(Default, Serialize)]
pub struct KernelWord {
    pub locked_bytes: Option<u64>,
    pub swapped_bytes: Option<u64>,
    /// Those with a handler, libc's own not counted.
    pub caught_signals: Option<Vec<String>>,
    pub seccomp: Option<bool>,
    pub no_new_privs: Option<bool>,
    /// `AT_SECURE`: the loader ignored `LD_PRELOAD`.
    pub secure_execution: Option<bool>,
    /// `AT_MINSIGSTKSZ`.
    pub frame: Option<u64>,
    pub memlock_soft: Option<u64>,
    pub memlock_hard: Option<u64>,
    /// Whether that limit does not count for it (`CAP_IPC_LOCK`).
    pub memlock_privileged: Option<bool>,
}

impl KernelWord {
    /// Of process `pid`, whose status this is.
    pub fn of(pid: u32, status: &Status) -> Self {
        let kib = |name: &str| status.number(name).map(|kib| kib << 10);
        let signals = status.caught();
        let limits = kernel_view::memlock(pid);
        KernelWord {
            locked_bytes: kib("VmLck"),
            swapped_bytes: kib("VmSwap"),
            caught_signals: signals
                .map(|all| all.into_iter().map(kernel_view::signal_name).collect()),
            seccomp: status.number("Seccomp").map(|mode| mode != 0),
            no_new_privs: status.number("NoNewPrivs").map(|is| is != 0),
            secure_execution: kernel_view::auxiliary(pid, libc::AT_SECURE).map(|is| is != 0),
            frame: kernel_view::auxiliary(pid, libc::AT_MINSIGSTKSZ),
            memlock_soft: limits.and_then(|(soft, _)| soft),
            memlock_hard: limits.and_then(|(_, hard)| hard),
            memlock_privileged: status.capability(IPC_LOCK),
        }
    }
}
