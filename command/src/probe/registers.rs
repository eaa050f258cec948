//! `linux-sigframe-fpu`: do vector registers survive a signal?

#[cfg_attr(target_arch = "x86_64", path = "registers/x86_64.rs")]
#[cfg_attr(not(target_arch = "x86_64"), path = "registers/not_x86.rs")]
mod vectors;

use std::convert::Infallible;
use std::ffi::{c_int, c_void};
use std::num::NonZeroUsize;
use std::ptr::NonNull;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::thread;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::sys::mman::{MapFlags, MmapAdvise, ProtFlags, madvise, mlock, mmap_anonymous, mprotect};
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction};
use nix::unistd::Pid;
use serde::Serialize;

use super::children::{Children, shared};
use vectors::{keep_in_registers, pass};

/// Room for the largest known frame and a handler.
const STACK: usize = 32 * 1024;
/// The probe keeps at most this many processors busy.
const MOST_CPUS: usize = 16;
/// Processes per processor that take signals.
const WORKERS: usize = 2;
/// Fewer deliveries prove nothing; on a slow machine the probe waits for them.
const LEAST: u64 = 50;
const READ_WRITE: ProtFlags = ProtFlags::PROT_READ.union(ProtFlags::PROT_WRITE);

/// What is done to the pages of the alternate stack before each signal.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum StackPages {
    /// `MADV_DONTNEED`: the frame faults.
    Discarded,
    /// Nothing. They were locked once, so the frame does not fault.
    Locked,
}

/// How long to try.
#[derive(Clone, Copy)]
pub struct Length {
    pub time: Duration,
    /// Whether to go on after the first loss.
    pub whole: bool,
    /// Whether the library is in this process, so that frames should not fault.
    pub hardened: bool,
}

/// A register that held another value after a signal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Loss {
    register: &'static str,
    /// In hexadecimal digits, the first byte first.
    expected: String,
    found: String,
}

impl std::fmt::Display for Loss {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} held {}, now {}", self.register, self.expected, self.found)
    }
}

/// The registers that are watched.
const REGISTERS: [&str; 3] = ["ymm0", "ymm3", "ymm7"];

/// The result.
#[derive(Serialize)]
pub struct Trial {
    pub deliveries: u64,
    /// Trial during which the thread's page-fault count rose.
    pub faulted: u64,
    /// Trial after which a register held another value.
    pub corrupted: u64,
    pub seconds: f64,
    /// Why the figures are lower than they should be.
    pub trouble: Option<String>,
    /// The registers after the first loss. Reported in a place of their own.
    #[serde(skip)]
    pub losses: Vec<Loss>,
}

#[derive(Default)]
struct Counts {
    deliveries: AtomicU64,
    faulted: AtomicU64,
    corrupted: AtomicU64,
    /// Set by whoever writes the first loss, and again when it is written.
    claimed: AtomicBool,
    written: AtomicBool,
    expected: [AtomicU64; 4],
    found: [AtomicU64; 12],
}

impl Counts {
    /// Keeps the registers of the first loss.
    fn note(&self, expected: &Value, found: &[Value; 3]) {
        if self.claimed.swap(true, Relaxed) {
            return;
        }
        for (place, word) in self.expected.iter().zip(words(expected)) {
            place.store(word, Relaxed);
        }
        for (place, word) in self.found.iter().zip(found.iter().flat_map(words)) {
            place.store(word, Relaxed);
        }
        self.written.store(true, Release);
    }

    /// The registers of the first loss that hold another value.
    fn losses(&self) -> Vec<Loss> {
        if !self.written.load(Acquire) {
            return Vec::new();
        }
        let text = |words: &[AtomicU64]| -> String {
            let bytes = words.iter().flat_map(|word| word.load(Relaxed).to_le_bytes());
            bytes.map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().concat()
        };
        let expected = text(&self.expected);
        let found = self.found.chunks(4).map(text);
        let lost = REGISTERS.into_iter().zip(found).filter(|(_, found)| *found != expected);
        lost.map(|(register, found)| Loss { register, expected: expected.clone(), found }).collect()
    }
}

/// The contents of a YMM register.
type Value = [u8; 32];

fn words(value: &Value) -> impl Iterator<Item = u64> + '_ {
    value.chunks(8).map(|bytes| bytes.try_into().map_or(0, u64::from_le_bytes))
}

/// Signals taken in this process.
static TAKEN: AtomicU64 = AtomicU64::new(0);

extern "C" fn count_signal(_: c_int) {
    TAKEN.fetch_add(1, Relaxed);
}

/// Takes signals on all processors for `time`.
///
/// It ends with the first loss, unless `length` asks for the whole time.
pub fn measure(pages: StackPages, length: Length, progress: impl Fn()) -> Trial {
    let start = Instant::now();
    let mut result = Trial {
        deliveries: 0,
        faulted: 0,
        corrupted: 0,
        seconds: 0.0,
        trouble: None,
        losses: Vec::new(),
    };
    let counts = match vectors::are_there().and_then(|()| shared::<Counts>()) {
        Ok(counts) => counts,
        Err(error) => {
            result.trouble = Some(error);
            return result;
        }
    };
    result.trouble = run(pages, length, counts, progress).err();
    result.seconds = start.elapsed().as_secs_f64();
    result.deliveries = counts.deliveries.load(Relaxed);
    result.faulted = counts.faulted.load(Relaxed);
    result.corrupted = counts.corrupted.load(Relaxed);
    result.losses = counts.losses();
    let should_fault = pages == StackPages::Discarded && !length.hardened;
    if should_fault && result.faulted == 0 && result.trouble.is_none() {
        result.trouble = Some("no frame faulted, although its pages were given back".to_owned());
    }
    result
}

fn run(
    pages: StackPages,
    length: Length,
    counts: &'static Counts,
    progress: impl Fn(),
) -> Result<(), String> {
    let time = length.time;
    let allowed = sched_getaffinity(Pid::from_raw(0))
        .map_err(|error| format!("cannot find out which processors we may use: {error}"))?;
    let cpus = (0..CpuSet::count()).filter(|&cpu| allowed.is_set(cpu) == Ok(true));
    let deadline = Instant::now() + time;
    let (mut noise, mut workers) = (Children::new(time), Children::new(time));
    for cpu in cpus.take(MOST_CPUS) {
        for wakes in [false, true] {
            noise.start(|| make_noise(cpu, wakes))?;
        }
        for _ in 0..WORKERS {
            workers.start(|| work(cpu, pages, (deadline, length.whole), counts))?;
        }
    }
    workers.finish(|| {
        thread::sleep(Duration::from_millis(20));
        progress();
    })
}

fn stay_on(cpu: usize) -> Result<(), Errno> {
    let mut only = CpuSet::new();
    only.set(cpu)?;
    sched_setaffinity(Pid::from_raw(0), &only)
}

/// Keeps other values in a processor's registers: a worker that loses its own finds
/// these. One process is always ready to run; the other wakes up often and preempts.
fn make_noise(cpu: usize, wakes: bool) -> Result<(), Errno> {
    stay_on(cpu)?;
    loop {
        keep_in_registers(&[0xa5; 32], if wakes { 1 } else { 100_000 });
        if wakes {
            thread::sleep(Duration::from_micros(100));
        }
    }
}

fn work(
    cpu: usize,
    pages: StackPages,
    (deadline, whole): (Instant, bool),
    counts: &'static Counts,
) -> Result<(), Errno> {
    if pages == StackPages::Discarded {
        // Before this thread is bound to its processor, so that the new one may run
        // elsewhere.
        thread::Builder::new()
            .spawn(delay_faults)
            .map_err(|error| Errno::from_raw(error.raw_os_error().unwrap_or(libc::EAGAIN)))?;
    }
    stay_on(cpu)?;
    let stack = map(STACK)?;
    if pages == StackPages::Locked {
        // SAFETY: the whole mapping, which nothing uses yet.
        unsafe {
            stack.cast::<u8>().write_bytes(1, STACK);
            // Even if the limit forbids it, the pages are present now, and faults are
            // counted.
            let _ = mlock(stack, STACK);
        }
    }
    let alternate = libc::stack_t { ss_sp: stack.as_ptr(), ss_flags: 0, ss_size: STACK };
    // SAFETY: a live structure; its memory lives as long as the process.
    Errno::result(unsafe { libc::sigaltstack(&raw const alternate, std::ptr::null_mut()) })?;
    let action =
        SigAction::new(SigHandler::Handler(count_signal), SaFlags::SA_ONSTACK, SigSet::empty());
    // SAFETY: the handler adds to an atomic.
    unsafe { sigaction(Signal::SIGUSR1, &action)? };

    // After the fork our own first writes fault too. They must not be counted.
    let mut warm = false;
    let mut serial = 0_u8;
    let enough = || counts.deliveries.load(Relaxed) >= LEAST;
    let lost = || !whole && counts.corrupted.load(Relaxed) > 0;
    while !lost() && (Instant::now() < deadline || !enough()) {
        if pages == StackPages::Discarded {
            // SAFETY: no handler is running, so nothing on this stack is needed.
            unsafe { madvise(stack, STACK, MmapAdvise::MADV_DONTNEED)? };
        }
        serial = serial.wrapping_add(1);
        let (taken, faults) = (TAKEN.load(Relaxed), page_faults()?);
        let lost = pass(serial);
        let faulted = page_faults()? > faults;
        if warm {
            if let Some((expected, found)) = &lost {
                counts.note(expected, found);
            }
            counts.deliveries.fetch_add(TAKEN.load(Relaxed) - taken, Relaxed);
            counts.faulted.fetch_add(u64::from(faulted), Relaxed);
            counts.corrupted.fetch_add(u64::from(lost.is_some()), Relaxed);
        }
        warm = true;
    }
    Ok(())
}

fn map(length: usize) -> Result<NonNull<c_void>, Errno> {
    let length = NonZeroUsize::new(length).ok_or(Errno::EINVAL)?;
    // SAFETY: new memory.
    unsafe { mmap_anonymous(None, length, READ_WRITE, MapFlags::MAP_PRIVATE) }
}

/// Keeps this process's address-space lock busy, so that a page fault sleeps on it, as it
/// would for a disk. Then another task gets the processor; without kernel preemption
/// hardly anything else causes that.
fn delay_faults() -> Result<Infallible, Errno> {
    /// Many pages, but not a huge one, which could be changed in one step.
    const MEMORY: usize = 1 << 20;
    let memory = map(MEMORY)?;
    loop {
        // SAFETY: our own fresh memory, written only while it is writable. Changing each
        // present page takes the kernel a moment.
        unsafe {
            memory.cast::<u8>().write_bytes(1, MEMORY);
            for _ in 0..100 {
                mprotect(memory, MEMORY, ProtFlags::PROT_READ)?;
                mprotect(memory, MEMORY, READ_WRITE)?;
            }
        }
    }
}

fn page_faults() -> Result<i64, Errno> {
    Ok(getrusage(UsageWho::RUSAGE_THREAD)?.minor_page_faults())
}
