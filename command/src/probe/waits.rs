//! `freebsd-restart-r10`: does a restarted wait keep its arguments?

use std::ffi::c_int;
use std::mem::MaybeUninit;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, kill, sigaction};
use nix::unistd::Pid;
use serde::Serialize;

use super::children::{self, Children, shared};
use super::registers::Length;

/// How long each awaited child lives.
const LIFE: Duration = Duration::from_millis(5);
/// Fewer waits prove nothing; on a slow machine the probe waits for them.
const LEAST: u64 = 20;

/// The result.
#[derive(Default, Serialize)]
pub struct Waits {
    pub calls: u64,
    /// Stops and signals that the waiting process received.
    pub interruptions: u64,
    /// Calls that failed, or that succeeded with a wrong result.
    pub failed: u64,
    pub efault: u64,
    pub einval: u64,
    /// Children that a failing call reaped.
    pub lost: u64,
    pub seconds: f64,
    /// Why the figures are lower than they should be.
    pub trouble: Option<String>,
}

#[derive(Default)]
struct Counts {
    ready: AtomicBool,
    calls: AtomicU64,
    failed: AtomicU64,
    efault: AtomicU64,
    einval: AtomicU64,
    lost: AtomicU64,
}

extern "C" fn ignore(_: c_int) {}

/// For `time`, disturbs a process that waits.
///
/// It ends with the first failure, unless `length` asks for the whole time.
pub fn measure(length: Length, progress: impl Fn()) -> Waits {
    let time = length.time;
    let start = Instant::now();
    let counts = match shared::<Counts>() {
        Ok(counts) => counts,
        Err(error) => return Waits { trouble: Some(error), ..Waits::default() },
    };
    let mut interruptions = 0;
    let mut children = Children::new(time);
    let ended = children
        .start(|| wait_in_two_threads((start + time, length.whole), counts))
        .and_then(|waiter| {
            children.finish(|| {
                if counts.ready.load(Relaxed) {
                    interrupt(waiter, interruptions);
                    interruptions += 1;
                }
                thread::sleep(Duration::from_millis(1));
                progress();
            })
        });
    Waits {
        calls: counts.calls.load(Relaxed),
        interruptions,
        failed: counts.failed.load(Relaxed),
        efault: counts.efault.load(Relaxed),
        einval: counts.einval.load(Relaxed),
        lost: counts.lost.load(Relaxed),
        seconds: start.elapsed().as_secs_f64(),
        trouble: ended.err(),
    }
}

/// Sends a stop and a continue, or a signal whose handler has `SA_RESTART`.
fn interrupt(waiter: Pid, turn: u64) {
    // If it has just ended it is still a zombie: its pid cannot be another process's.
    let _ = match turn % 4 {
        0 => kill(waiter, Signal::SIGUSR1),
        1 => kill(waiter, Signal::SIGCHLD),
        _ => {
            let stopped = kill(waiter, Signal::SIGSTOP);
            thread::sleep(Duration::from_micros(300));
            stopped.and(kill(waiter, Signal::SIGCONT))
        }
    };
}

/// Waits in two threads: the defect affects a waiting thread while another one takes the
/// signal.
fn wait_in_two_threads(until: (Instant, bool), counts: &'static Counts) -> Result<(), Errno> {
    let action = SigAction::new(SigHandler::Handler(ignore), SaFlags::SA_RESTART, SigSet::empty());
    for signal in [Signal::SIGUSR1, Signal::SIGCHLD] {
        // SAFETY: the handler does nothing.
        unsafe { sigaction(signal, &action)? };
    }
    let other = thread::Builder::new()
        .spawn(move || wait_for_children(until, counts))
        .map_err(|error| Errno::from_raw(error.raw_os_error().unwrap_or(libc::EAGAIN)))?;
    counts.ready.store(true, Relaxed);
    wait_for_children(until, counts)?;
    other.join().unwrap_or(Err(Errno::ENOTRECOVERABLE))
}

fn wait_for_children((deadline, whole): (Instant, bool), counts: &Counts) -> Result<(), Errno> {
    let mut code = 0;
    let enough = || counts.calls.load(Relaxed) >= LEAST;
    let failed = || !whole && counts.failed.load(Relaxed) > 0;
    while !failed() && (Instant::now() < deadline || !enough()) {
        code = (code + 1) % 100;
        // SAFETY: the child makes two calls, both async-signal-safe.
        let child = Errno::result(unsafe { libc::fork() })?;
        if child == 0 {
            thread::sleep(LIFE);
            children::exit(code);
        }
        let right = wait_for(child, code, counts)?;
        counts.failed.fetch_add(u64::from(!right), Relaxed);
        counts.calls.fetch_add(1, Relaxed);
    }
    Ok(())
}

/// Whether a wait for `child` returned what it should.
fn wait_for(child: c_int, code: c_int, counts: &Counts) -> Result<bool, Errno> {
    let mut status = -1;
    let mut usage = MaybeUninit::<libc::rusage>::uninit();
    // SAFETY: all bit patterns are valid in a `rusage`; both pointers are to live values.
    let (got, usage) = unsafe {
        usage.as_mut_ptr().write_bytes(0xff, 1);
        let got = libc::wait4(child, &raw mut status, 0, usage.as_mut_ptr());
        (Errno::result(got), usage.assume_init())
    };
    let error = match got {
        // A call that succeeds has also filled the rusage it was given.
        Ok(pid) => {
            let exited = libc::WIFEXITED(status) && libc::WEXITSTATUS(status) == code;
            return Ok(pid == child && exited && usage.ru_utime.tv_usec != -1);
        }
        Err(error) => error,
    };
    match error {
        Errno::EFAULT => counts.efault.fetch_add(1, Relaxed),
        Errno::EINVAL => counts.einval.fetch_add(1, Relaxed),
        _ => 0,
    };
    // A wait that does not sleep is never restarted.
    loop {
        // SAFETY: no status is asked for.
        match Errno::result(unsafe { libc::waitpid(child, std::ptr::null_mut(), libc::WNOHANG) }) {
            Ok(0) => thread::sleep(Duration::from_millis(1)),
            Ok(_) => return Ok(false),
            Err(Errno::ECHILD) => {
                counts.lost.fetch_add(1, Relaxed);
                return Ok(false);
            }
            Err(error) => return Err(error),
        }
    }
}
