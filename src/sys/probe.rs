//! Trying out what a seccomp filter does to our system calls, in a child that
//! may die of it.

use core::ffi::c_int;
use core::sync::atomic::{AtomicI32, AtomicU32, Ordering};

use super::call::{self, Outcome};
use super::errno::Errno;
use super::signals::{self, Blocked, Mask};
use super::{futex, page};

/// What came of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Finding {
    /// All calls are as without a filter.
    Able,
    /// This one is fatal.
    Killed(&'static str),
    /// This one is refused.
    Refused(&'static str, Errno),
}

/// Whether the kernel says that no filter is in place. Asked by the calls
/// that the loader has made already: prctl(2) might be what is killed for.
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
        // A kernel without seccomp has no such line; nor has a text cut short.
        None => text.len() < room,
    }
}

/// What is to be tried out.
#[derive(Clone, Copy, Debug)]
pub enum Calls {
    /// What holding stacks takes.
    Work,
    /// What a line on standard error takes.
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

/// One call, made so that it changes nothing, and what the kernel answers if
/// no filter does; `None` where any answer will do.
struct Trial {
    name: &'static str,
    make: fn() -> Outcome,
    answers: Option<Outcome>,
}

const DONE: Option<Outcome> = Some(Ok(0));
const ANY: Option<Outcome> = None;
const NOT_NOW: Option<Outcome> = Some(Err(Errno::EAGAIN));

/// The calls without which nothing can be done safely, then those that have a
/// substitute where they fail: these may be refused, but not killed for.
const TRIALS: &[Trial] = &[
    Trial { name: "rt_sigprocmask", make: block_all, answers: DONE },
    Trial { name: "getpid", make: || known(call::getpid()), answers: DONE },
    Trial { name: "gettid", make: || known(call::gettid()), answers: DONE },
    Trial { name: "sigaltstack", make: || call::current_altstack().map(|_| 0), answers: DONE },
    Trial { name: "prlimit64", make: || call::getrlimit(0).map(|_| 0), answers: DONE },
    Trial { name: "futex", make: touch, answers: DONE },
    Trial { name: "tgkill", make: find_self, answers: DONE },
    Trial { name: "mmap", make: map_and_forbid, answers: DONE },
    Trial { name: "msync", make: || call::msync_invalidate(0, 0), answers: DONE },
    Trial { name: "munlock", make: || call::munlock(0, 0), answers: DONE },
    Trial { name: "mlock", make: || call::mlock(0, 0), answers: ANY },
    Trial { name: "madvise", make: || call::wipe_on_fork(0, 0, false), answers: ANY },
    Trial { name: "process_vm_writev", make: write_zeroes, answers: ANY },
];

/// The calls of [`super::stderr`] and of the line's beginning. What the filter
/// refuses of the first ones drops the line; the others must do their part, or
/// a signal that a write raises could not be caught.
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
    let told = signals::write_mask(core::ptr::from_mut(&mut mask) as usize);
    if told && mask.count_ones() > 60 { Ok(0) } else { Err(Errno::EPERM) }
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

fn map_and_forbid() -> Outcome {
    let memory = call::map_memory(page::SIZE)?;
    call::forbid(memory, page::SIZE)?;
    // SAFETY: a fresh page that nobody knows.
    unsafe { call::unmap_memory(memory, page::SIZE) }
}

fn write_zeroes() -> Outcome {
    let mut word = 0_u64;
    // SAFETY: our own bytes.
    unsafe { call::write_zeroes(core::ptr::from_mut(&mut word) as usize, 8) }.map(|()| 0)
}

/// What the child tells.
#[derive(Default)]
struct Report {
    /// The trial that it is at.
    at: AtomicU32,
    /// The error that ended it, 0 for none.
    error: AtomicI32,
}

/// Tries `calls` out.
///
/// The child is a copy, not a sharer of our memory: kernels before 5.16 kill
/// all who share the memory of one that dumps core.
///
/// # Errors
/// Where no child can be made or waited for.
pub fn attempt(calls: Calls) -> Result<Finding, Errno> {
    let memory = call::map_shared(size_of::<Report>())?;
    // SAFETY: a fresh page, of which zeroes are a `Report`; unmapped below.
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

/// The child's life.
fn make_trials(report: &Report, calls: Calls) -> ! {
    // A death by SIGSYS is no news for whoever collects core dumps.
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
