//! Whether this process may use `int 0x80`.

use core::fmt;

use crate::arch;
use crate::os::call;
use crate::os::errno::Errno;
use crate::os::trials::unfiltered;

/// Why `int 0x80` must not be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unusable {
    /// There may be a seccomp filter. One that checks the architecture kills
    /// the process for `int 0x80`, and we cannot tell which kind it is.
    Filter,
    /// No disposable child could be made or waited for.
    Untried(Errno),
    /// The disposable child did not get the answer of a kernel that has the
    /// entry.
    NoEntry,
}

impl fmt::Display for Unusable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Unusable::Filter => {
                f.write_str("/proc/self/status shows a seccomp filter or cannot be read")
            }
            Unusable::Untried(error) => write!(f, "no child could be made to try it: {error}"),
            Unusable::NoEntry => f.write_str("the kernel has no 32-bit system calls"),
        }
    }
}

/// Whether `int 0x80` waitid works here and harms nobody: no seccomp filter is
/// in place, and a disposable child survives the call. For use at load: it
/// forks.
///
/// # Errors
/// The reason if not.
pub fn works() -> Result<(), Unusable> {
    if unfiltered() { disposable_child_survives() } else { Err(Unusable::Filter) }
}

/// Exit code of a child that got the right answer.
const RIGHT: usize = 77;

fn disposable_child_survives() -> Result<(), Unusable> {
    // The child's memory is a copy, so its death harms nobody.
    let status = match call::clone_process() {
        Ok(0) => try_in_child(),
        Ok(child) => call::wait_for_clone(child),
        Err(error) => Err(error),
    };
    match status {
        Ok(status) if status == (RIGHT << 8) as i32 => Ok(()),
        Ok(_) => Err(Unusable::NoEntry),
        Err(error) => Err(Unusable::Untried(error)),
    }
}

fn try_in_child() -> ! {
    call::forbid_core_dump();
    let options = libc::WEXITED | libc::WNOHANG | libc::WNOWAIT;
    // SAFETY: waitid(P_ALL, 0, NULL, options, NULL) in a process without
    // children. At worst the kernel kills this child.
    let result = unsafe { arch::int80(arch::INT80_WAITID, [libc::P_ALL, 0, 0, options as u32, 0]) };
    let code = if result == -libc::ECHILD { RIGHT } else { 1 };
    call::exit(code)
}

#[cfg(test)]
mod tests {
    use crate::arch;

    #[test]
    fn the_trial_leaves_no_trace() {
        // Debian's kernels have the entry; a test under a filter may not use
        // it.
        let works = super::works().is_ok();
        let mut status = 0;
        // SAFETY: a live status.
        let child = unsafe { libc::waitpid(-1, &raw mut status, libc::WNOHANG | libc::__WALL) };
        assert_eq!(child, -1, "the trial's child was reaped");
        let filtered = !crate::os::trials::unfiltered();
        assert!(works || filtered || !entry_exists());
    }

    /// Whether a child gets its own pid by getpid(2) of the 32-bit table, whose
    /// number means another call by SYSCALL.
    fn entry_exists() -> bool {
        // SAFETY: the child makes only system calls.
        let child = unsafe { libc::fork() };
        if child == 0 {
            // SAFETY: at worst the kernel kills this child.
            let pid = unsafe { arch::int80(20, [0; 5]) };
            // SAFETY: none of the arguments is an address.
            unsafe { libc::_exit(i32::from(pid != libc::getpid())) };
        }
        let mut status = 0;
        // SAFETY: a live status.
        assert_eq!(unsafe { libc::waitpid(child, &raw mut status, 0) }, child);
        status == 0
    }
}
