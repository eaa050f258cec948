//! `FreeBSD`'s calls, translated to Linux.

use libc::{c_long, pid_t};
use sigward_emulators::kernel::{self, Entry, Registers};

/// A pointer into the kernel.
pub const GARBAGE: u64 = 0xffff_8880_1234_5678;

const WAIT4: u64 = 7;
const SYSCTL: u64 = 202;
const NANOSLEEP: u64 = 240;
const SIGACTION: u64 = 416;
const WAIT6: u64 = 532;

/// The calls that are emulated.
pub const PLAYED: [u64; 5] = [WAIT4, SYSCTL, NANOSLEEP, SIGACTION, WAIT6];

/// The options of wait4(2) and their Linux equivalents.
const OPTIONS: [(u64, i32); 3] = [(1, libc::WNOHANG), (2, libc::WUNTRACED), (4, libc::WCONTINUED)];
/// `WNOWAIT`, `WEXITED`, `WTRAPPED`, which only wait6(2) has.
const WEXITED: u64 = 16;

/// The emulated kernel.
pub struct Kernel {
    /// `kern.osreldate`.
    pub osreldate: i32,
    /// Whether it has INT 0x80.
    pub int80: bool,
    /// Whether restarting a call entered by SYSCALL loses R8 to R10.
    pub loses: bool,
}

/// The instruction that entered the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum By {
    Syscall,
    Int80,
}

impl By {
    pub fn of(tid: pid_t, registers: &Registers) -> Option<Self> {
        match kernel::entry(tid, registers) {
            Entry::Syscall => Some(By::Syscall),
            Entry::Int80 => Some(By::Int80),
            Entry::Unknown => None,
        }
    }
}

/// How a call is answered.
pub enum Answer {
    /// The supervisor has the result.
    Done(Result<u64, i32>),
    /// Linux must carry out this call.
    Linux(c_long, [u64; 4]),
}

/// A call with its arguments.
pub struct Call {
    pub by: By,
    number: u64,
    arguments: [u64; 6],
    /// Whether a restart has lost arguments.
    pub lost: bool,
}

impl Call {
    pub fn entered(by: By, registers: &Registers) -> Self {
        // INT 0x80 takes the fourth argument in RCX, which SYSCALL overwrites.
        let fourth = if by == By::Int80 { registers.rcx } else { registers.r10 };
        let arguments =
            [registers.rdi, registers.rsi, registers.rdx, fourth, registers.r8, registers.r9];
        Self { by, number: registers.orig_rax & 0xffff_ffff, arguments, lost: false }
    }

    pub fn answer(&self, tid: pid_t, kernel: &Kernel) -> Answer {
        let [a, b, c, d, e, _] = self.arguments;
        if self.by == By::Int80 && !kernel.int80 {
            // There is no such gate: FreeBSD sends SIGBUS and does not return.
            nix::sys::signal::kill(nix::unistd::Pid::from_raw(tid), nix::sys::signal::SIGKILL).ok();
            return Answer::Done(Err(libc::ENOSYS));
        }
        match self.number {
            WAIT4 => match options(c & 0xffff_ffff) {
                Some(options) => Answer::Linux(libc::SYS_wait4, [a, b, options, d]),
                None => Answer::Done(Err(libc::EINVAL)),
            },
            WAIT6 => {
                let pid = match (a as u32, b as i64) {
                    (0, pid) => pid as i32,
                    (2, group) => -(group as i32),
                    (7, _) => -1,
                    _ => return Answer::Done(Err(libc::EINVAL)),
                };
                match options(d & !WEXITED) {
                    Some(options) if d & WEXITED != 0 => {
                        Answer::Linux(libc::SYS_wait4, [pid as u64, c, options, e])
                    }
                    _ => Answer::Done(Err(libc::EINVAL)),
                }
            }
            NANOSLEEP => Answer::Linux(libc::SYS_nanosleep, [a, b, 0, 0]),
            SIGACTION if b == 0 => Answer::Linux(libc::SYS_rt_sigaction, [a, 0, c, 8]),
            SYSCTL => Answer::Done(self.sysctl(tid, kernel)),
            _ => Answer::Done(Err(libc::ENOSYS)),
        }
    }

    /// kern.osreldate; the MIB of kern.features.compat_freebsd_32bit, which we choose to
    /// be {7, 7}, and its value.
    fn sysctl(&self, tid: pid_t, kernel: &Kernel) -> Result<u64, i32> {
        let [name, _, old, old_length, _, _] = self.arguments;
        let put = |word: u64, length: u64| {
            kernel::poke(tid, old, word);
            kernel::poke(tid, old_length, length);
            Ok(0)
        };
        let name = kernel::peek(tid, name).ok_or(libc::EFAULT)?;
        let keep = kernel::peek(tid, old).ok_or(libc::EFAULT)? & !0xffff_ffff;
        match (name & 0xffff_ffff, name >> 32) {
            (1, 24) => put(keep | kernel.osreldate as u64, 4),
            (0, 3) if kernel.int80 => put(7 << 32 | 7, 8),
            (7, 7) => put(keep | 1, 4),
            _ => Err(libc::ENOENT),
        }
    }

    /// The kernel has restarted the call and lost arguments.
    pub fn lose(&mut self, tid: pid_t, mut registers: Registers) {
        self.lost = true;
        match self.number {
            // FreeBSD's fourth argument, the usage, is Linux's fourth too.
            WAIT4 => registers.r10 = GARBAGE,
            // The options are Linux's third argument.
            WAIT6 => registers.rdx = GARBAGE,
            _ => return,
        }
        kernel::set_registers(tid, registers);
    }

    /// Linux's result, as `FreeBSD` would return it.
    pub fn result(&self, tid: pid_t, returned: i64) -> Result<u64, i32> {
        if (-4095..0).contains(&returned) {
            return Err(-returned as i32);
        }
        if self.number == SIGACTION {
            // Linux has 64 bits of flags after the handler; FreeBSD has 32, with other
            // values.
            let flags = self.arguments[2] + 8;
            let linux = kernel::peek(tid, flags).unwrap_or(0);
            let restart = u64::from(linux & libc::SA_RESTART as u64 != 0) << 1;
            kernel::poke(tid, flags, restart);
        }
        Ok(returned as u64)
    }
}

/// Linux's options; `None` if one is invalid.
fn options(options: u64) -> Option<u64> {
    let known = OPTIONS.iter().fold(0, |known, (freebsd, _)| known | freebsd);
    (options & !known == 0).then(|| {
        OPTIONS
            .iter()
            .filter(|(freebsd, _)| options & freebsd != 0)
            .fold(0, |all, (_, linux)| all | *linux as u64)
    })
}
