//! The terminal, which the program gets, and job control of whoever started sigward.

use std::ffi::c_int;

use libc::pid_t;

/// The descriptor of our controlling terminal.
#[derive(Clone, Copy)]
pub struct Terminal(c_int);

impl Terminal {
    /// It is one of the standard descriptors.
    pub fn controlling() -> Option<Self> {
        // SAFETY: plain queries.
        (0..=2).find(|fd| unsafe { libc::tcgetpgrp(*fd) } >= 0).map(Self)
    }

    /// Whether the process group may read and write it.
    pub fn is_with(self, group: pid_t) -> bool {
        // SAFETY: a plain query.
        unsafe { libc::tcgetpgrp(self.0) == group }
    }

    /// Gives it to a process group. SIGTTOU is blocked, so this does not stop us.
    /// Async-signal-safe.
    pub fn give(self, group: pid_t) {
        // SAFETY: a plain call.
        unsafe { libc::tcsetpgrp(self.0, group) };
    }
}

/// Our process group.
pub fn own_group() -> pid_t {
    // SAFETY: a plain query.
    unsafe { libc::getpgrp() }
}

/// Whether a shell watches us that would continue us if we stopped: not if we are the first
/// process, or the session's.
pub fn has_job_control() -> bool {
    // SAFETY: plain queries.
    unsafe { libc::getpid() != 1 && libc::getsid(0) != libc::getpid() }
}

/// Stops our whole job, as the terminal would have done, until the shell continues it.
pub fn stop_job() {
    // SAFETY: plain calls. SIGTSTP is blocked here, for the other processes of a pipeline; it does
    // not stay pending, because SIGCONT clears it.
    unsafe {
        libc::kill(0, libc::SIGTSTP);
        libc::raise(libc::SIGSTOP);
    }
}
