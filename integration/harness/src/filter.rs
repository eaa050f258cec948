//! Seccomp filters, installed in a program before its exec.
//!
//! # References
//! - seccomp(2)

use std::io;
use std::mem::offset_of;

use libc::{c_long, seccomp_data, sock_filter, sock_fprog};

/// A filter that allows all system calls except those named. It needs no privilege
/// (`PR_SET_NO_NEW_PRIVS`), so a setuid program under it does not get its owner's rights.
#[derive(Clone, Debug)]
pub struct Filter {
    code: Vec<sock_filter>,
}

impl Default for Filter {
    fn default() -> Self {
        Self::new()
    }
}

impl Filter {
    /// Allows everything. For most programs, a container runtime's default filter does
    /// the same.
    #[must_use]
    pub fn new() -> Self {
        let number = offset_of!(seccomp_data, nr) as u32;
        Self { code: vec![instruction(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, number)] }
    }

    /// Makes the system call `number` (`SYS_*`) fail with `errno`.
    #[must_use]
    pub fn refuse(self, number: c_long, errno: i32) -> Self {
        self.judge(number, libc::SECCOMP_RET_ERRNO | errno as u32)
    }

    /// Kills the process when it makes the system call `number`.
    #[must_use]
    pub fn kill(self, number: c_long) -> Self {
        self.judge(number, libc::SECCOMP_RET_KILL_PROCESS)
    }

    /// Raises a SIGSYS that the process could handle.
    #[must_use]
    pub fn trap(self, number: c_long) -> Self {
        self.judge(number, libc::SECCOMP_RET_TRAP)
    }

    fn judge(mut self, number: c_long, action: u32) -> Self {
        // If it is another call, skip the return instruction.
        let compare = libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K;
        self.code.push(instruction(compare, 1, number as u32));
        self.code.push(instruction(libc::BPF_RET | libc::BPF_K, 0, action));
        self
    }

    /// Installs the filter on the calling thread. Makes only system calls, so it can run
    /// between fork and exec.
    ///
    /// # Errors
    ///
    /// Those of prctl(2).
    pub fn install(&self) -> io::Result<()> {
        let allow = instruction(libc::BPF_RET | libc::BPF_K, 0, libc::SECCOMP_RET_ALLOW);
        let mut code = [allow; 64];
        let used = code.get_mut(..self.code.len()).ok_or(io::ErrorKind::InvalidInput)?;
        used.copy_from_slice(&self.code);
        let program = sock_fprog { len: self.code.len() as u16 + 1, filter: code.as_mut_ptr() };
        // SAFETY: integers only.
        let first = unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) };
        let mode = libc::SECCOMP_MODE_FILTER;
        // SAFETY: the program and its code are live.
        let second = unsafe { libc::prctl(libc::PR_SET_SECCOMP, mode, &raw const program) };
        if first == 0 && second == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
    }
}

fn instruction(code: u32, otherwise: u8, value: u32) -> sock_filter {
    sock_filter { code: code as u16, jt: 0, jf: otherwise, k: value }
}
