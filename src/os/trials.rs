//! Tries out what a seccomp filter does to our system calls, in a child that
//! may die of it.

use core::ffi::c_int;
use core::sync::atomic::{AtomicI32, AtomicU32, Ordering};

use super::call::{self, Outcome};
use super::errno::Errno;
use super::signals::{self, Blocked, Mask};
use super::user_memory;
use super::{futex, page};

/// The result of an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Finding {
    /// All calls work as without a filter.
    Able,
    /// This call is fatal.
    Killed(&'static str),
    /// This call is refused.
    Refused(&'static str, Errno),
}

/// Whether the kernel reports that no filter is in place. Uses only calls that
/// the loader has made already: prctl(2) might itself be fatal.
#[must_use]
pub fn unfiltered() -> bool {
    let mut text = [0; 4096];
    let room = text.len();
    let Ok(text) = call::read_file(c"/proc/self/status", &mut text) else { return false };
    let mut modes = text
        .split(|&byte| byte == b'\n')
        .filter_map(|line| line.strip_prefix(b"Seccomp:"))
        .map(<[u8]>::trim_ascii);
    match modes.next() {
        Some(mode) => mode == b"0",
        // A kernel without seccomp has no such line. A text cut short may lack
        // it too.
        None => text.len() < room,
    }
}

/// The calls to try out.
#[derive(Clone, Copy, Debug)]
pub enum Calls {
    /// Those that holding stacks takes.
    Work,
    /// Those that a line on standard error takes.
    Words,
}

impl Calls {
    fn trials(self) -> &'static [Trial] {
        match self {
            Calls::Work => TRIALS,
            Calls::Words => WORDS,
        }
    }
}

/// One call, made so that it changes nothing, and the kernel's answer without a
/// filter; `None` if any answer will do.
struct Trial {
    name: &'static str,
    make: fn() -> Outcome,
    answers: Option<Outcome>,
}

const DONE: Option<Outcome> = Some(Ok(0));
const ANY: Option<Outcome> = None;
const NOT_NOW: Option<Outcome> = Some(Err(Errno::EAGAIN));

/// The calls without which nothing is safe, then those that have a substitute
/// if they fail: a filter may refuse these, but not kill for them.
const TRIALS: &[Trial] = &[
    Trial { name: "rt_sigprocmask", make: block_all, answers: DONE },
    Trial { name: "getpid", make: || known(call::getpid()), answers: DONE },
    Trial { name: "gettid", make: || known(call::gettid()), answers: DONE },
    Trial { name: "sigaltstack", make: || call::current_altstack().map(|_| 0), answers: DONE },
    Trial { name: "prlimit64", make: || call::getrlimit(0).map(|_| 0), answers: DONE },
    Trial { name: "futex", make: touch, answers: DONE },
    Trial { name: "tgkill", make: find_self, answers: DONE },
    Trial { name: "mmap", make: map_and_protect, answers: DONE },
    Trial { name: "msync", make: || call::msync_invalidate(0, 0), answers: DONE },
    Trial { name: "munlock", make: || call::munlock(0, 0), answers: DONE },
    Trial { name: "mlock", make: || call::mlock(0, 0), answers: ANY },
    Trial { name: "madvise", make: || call::wipe_on_fork(0, 0, false), answers: ANY },
    Trial { name: "process_vm_writev", make: write_zeroes, answers: ANY },
];

/// The calls of [`super::stderr`] and of the beginning of a line. If the filter
/// refuses one of the first, the line is dropped. The last three must work:
/// otherwise a signal raised by a write could not be caught.
const WORDS: &[Trial] = &[
    Trial { name: "fstat", make: || call::fstat(-1).map(|_| 0), answers: ANY },
    Trial { name: "poll", make: || Ok(call::has_room(-1).into()), answers: ANY },
    Trial { name: "write", make: || call::write(-1, b""), answers: ANY },
    Trial { name: "pwritev2", make: || call::write_at_once(-1, b""), answers: ANY },
    Trial { name: "sendto", make: || call::send_at_once(-1, b""), answers: ANY },
    Trial { name: "getpid", make: || Ok(call::getpid() as usize), answers: ANY },
    Trial { name: "gettid", make: || Ok(call::gettid() as usize), answers: ANY },
    Trial { name: "rt_sigprocmask", make: block_all, answers: DONE },
    Trial { name: "rt_sigpending", make: none_pending, answers: DONE },
    Trial { name: "rt_sigtimedwait", make: || signals::consume(0), answers: NOT_NOW },
];

fn none_pending() -> Outcome {
    if signals::pending() == Mask::MAX { Err(Errno::EPERM) } else { Ok(0) }
}

fn block_all() -> Outcome {
    core::mem::forget(Blocked::all());
    let mut mask: Mask = 0;
    let written = user_memory::write_mask(core::ptr::from_mut(&mut mask) as usize);
    if written && mask.count_ones() > 60 { Ok(0) } else { Err(Errno::EPERM) }
}

fn known(id: c_int) -> Outcome {
    if id > 0 { Ok(0) } else { Err(Errno::EPERM) }
}

fn touch() -> Outcome {
    let word = AtomicU32::new(0);
    futex::touch(core::ptr::from_ref(&word) as usize)
}

fn find_self() -> Outcome {
    if call::thread_exists(call::getpid(), call::gettid()) { Ok(0) } else { Err(Errno::ESRCH) }
}

fn map_and_protect() -> Outcome {
    let memory = call::map_memory(page::size())?;
    call::protect(memory, page::size(), libc::PROT_NONE)?;
    call::protect(memory, page::size(), libc::PROT_READ)?;
    // SAFETY: a fresh page that nobody else knows.
    unsafe { call::unmap_memory(memory, page::size()) }
}

fn write_zeroes() -> Outcome {
    let mut word = 0_u64;
    // SAFETY: our own bytes.
    unsafe { call::write_zeroes(core::ptr::from_mut(&mut word) as usize, 8) }.map(|()| 0)
}

/// The child's report.
#[derive(Default)]
struct Report {
    /// The index of the current trial.
    at: AtomicU32,
    /// The error that ended it, 0 for none.
    error: AtomicI32,
}

/// Tries out `calls`.
///
/// The child is a copy and does not share our memory: when a process dumps
/// core, kernels before 5.16 kill all processes that share its memory.
///
/// # Errors
/// If no child can be made or waited for.
pub fn attempt(calls: Calls) -> Result<Finding, Errno> {
    let memory = call::map_shared(size_of::<Report>())?;
    // SAFETY: a fresh page, and zeroes are a valid `Report`; unmapped below.
    let report = unsafe { &*(memory as *const Report) };
    let ended = match call::clone_process() {
        Ok(0) => make_trials(report, calls),
        Ok(child) => call::wait_for_clone(child),
        Err(error) => Err(error),
    };
    let at = report.at.load(Ordering::Relaxed) as usize;
    let error = Errno(report.error.load(Ordering::Relaxed));
    // SAFETY: `report` is not used any more.
    let _ = unsafe { call::unmap_memory(memory, size_of::<Report>()) };
    ended?;
    Ok(match calls.trials().get(at) {
        None => Finding::Able,
        Some(trial) if error == Errno(0) => Finding::Killed(trial.name),
        Some(trial) => Finding::Refused(trial.name, error),
    })
}

/// Runs in the child.
fn make_trials(report: &Report, calls: Calls) -> ! {
    // Collectors of core dumps need not hear of a death by SIGSYS.
    call::forbid_core_dump();
    for (at, trial) in calls.trials().iter().enumerate() {
        report.at.store(at as u32, Ordering::Relaxed);
        let outcome = (trial.make)();
        let expected = trial.answers.is_none_or(|answer| answer == outcome);
        if let (Err(error), false) = (outcome, expected) {
            report.error.store(error.0 as c_int, Ordering::Relaxed);
            call::exit(0);
        }
    }
    report.at.store(u32::MAX, Ordering::Relaxed);
    call::exit(0)
}
