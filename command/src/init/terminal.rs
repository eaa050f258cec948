//! The terminal, which the program gets, and job control of whoever started sigward.

use std::ffi::c_int;

use libc::pid_t;

/// The descriptor of our controlling terminal.
#[derive(Clone, Copy)]
pub struct Terminal(c_int);

impl Terminal {
    /// It is one of the standard descriptors. None for a job that a script has put into the
    /// background: without job control it is in the script's own group, and only its standard
    /// input, which is not the terminal, tells that it must leave that to the script.
    pub fn controlling() -> Option<Self> {
        // SAFETY: plain queries.
        let found = (0..=2).find(|fd| unsafe { libc::tcgetpgrp(*fd) } >= 0).map(Self)?;
        (found.0 == 0 || !is_in_parents_group()).then_some(found)
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

/// Whether whoever started us is in our group: not a shell with job control.
fn is_in_parents_group() -> bool {
    // SAFETY: plain queries. In a container, the parent may have no number: 0 would mean us.
    unsafe {
        let parent = libc::getppid();
        parent != 0 && libc::getpgid(parent) == libc::getpgrp()
    }
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
