//! The child processes that provoke the defects. None outlives the probe.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::prctl;
use nix::sys::resource::{Resource, setrlimit};
use nix::sys::signal::{SigHandler, SigSet, Signal, kill, signal};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{ForkResult, Pid, alarm, fork, getpid, getppid};
use sigward::os::call;

/// How much longer than asked a process may take, on a slow machine.
const GRACE: Duration = Duration::from_secs(60);

/// A value shared with child processes. It stays mapped until the process ends.
pub fn shared<T: Default + Sync>() -> Result<&'static T, String> {
    let memory = call::map_shared(size_of::<T>())
        .map_err(|error| format!("no memory to share with children ({})", name(error.0)))?;
    let value = memory as *mut T;
    // SAFETY: fresh pages of at least that size, which nothing unmaps.
    unsafe {
        value.write(T::default());
        Ok(&*value)
    }
}

/// Child processes with one task each. Dropping this kills those that still run.
pub struct Children {
    pids: Vec<Pid>,
    limit: Duration,
}

impl Children {
    /// For work that takes `time`.
    pub fn new(time: Duration) -> Self {
        Self { pids: Vec::new(), limit: time + GRACE }
    }

    /// Starts a process that runs `task` and ends.
    ///
    /// The caller must have no other threads: the child allocates.
    pub fn start(&mut self, task: impl FnOnce() -> Result<(), Errno>) -> Result<Pid, String> {
        let parent = getpid();
        // SAFETY: this process has one thread, so the child may call anything.
        match unsafe { fork() } {
            Ok(ForkResult::Parent { child }) => {
                self.pids.push(child);
                Ok(child)
            }
            Ok(ForkResult::Child) => {
                let all = || restrict(parent, self.limit).and_then(|()| task());
                // Unwinding further would run the parent's code in the child.
                let ended = catch_unwind(AssertUnwindSafe(all));
                let code = ended.unwrap_or(Err(Errno::ENOTRECOVERABLE)).err();
                exit(code.map_or(0, |error| error as i32))
            }
            Err(error) => Err(format!("cannot start a process: {error}")),
        }
    }

    /// Waits until all have ended by themselves; `meanwhile` sets the pace.
    pub fn finish(mut self, mut meanwhile: impl FnMut()) -> Result<(), String> {
        let start = Instant::now();
        while let Some(&pid) = self.pids.last() {
            // A wait that does not sleep is not restarted, so the defect does not affect
            // it.
            match waitpid(pid, Some(WaitPidFlag::WNOHANG)) {
                Ok(WaitStatus::StillAlive) if start.elapsed() > self.limit => {
                    return Err("a process of the probe does not end".to_owned());
                }
                Ok(WaitStatus::StillAlive) => {
                    meanwhile();
                    continue;
                }
                Ok(WaitStatus::Exited(_, 0)) => {}
                Ok(WaitStatus::Exited(_, code)) => {
                    return Err(format!("a process of the probe failed ({})", name(code)));
                }
                Ok(WaitStatus::Signaled(_, signal, _)) => {
                    return Err(format!("a process of the probe died of {signal}"));
                }
                Ok(_) => continue,
                Err(error) => return Err(format!("a process of the probe was lost: {error}")),
            }
            self.pids.pop();
        }
        Ok(())
    }
}

impl Drop for Children {
    fn drop(&mut self) {
        for &pid in &self.pids {
            let _ = kill(pid, Signal::SIGKILL);
        }
        for &pid in &self.pids {
            let killed = Instant::now();
            while waitpid(pid, Some(WaitPidFlag::WNOHANG)) == Ok(WaitStatus::StillAlive)
                && killed.elapsed() < GRACE
            {
                std::thread::sleep(Duration::from_millis(1));
            }
        }
    }
}

/// Makes this child die with `parent` or after `limit`, and lowers its priority.
fn restrict(parent: Pid, limit: Duration) -> Result<(), Errno> {
    /// Others go first; only idle work is less important.
    const NICE: i32 = 10;
    prctl::set_pdeathsig(Signal::SIGKILL)?;
    if getppid() != parent {
        return Err(Errno::ESRCH);
    }
    // Both may have been inherited with other values.
    // SAFETY: the default action is no function.
    unsafe { signal(Signal::SIGALRM, SigHandler::SigDfl)? };
    SigSet::empty().thread_set_mask()?;
    alarm::set(limit.as_secs() as u32);
    setrlimit(Resource::RLIMIT_CORE, 0, 0)?;
    // SAFETY: takes three integers.
    unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, NICE) };
    Ok(())
}

/// Ends a child without running `exit`'s handlers a second time.
pub fn exit(code: i32) -> ! {
    // SAFETY: takes an integer.
    unsafe { libc::_exit(code) }
}

fn name(errno: i32) -> Errno {
    Errno::from_raw(errno)
}
