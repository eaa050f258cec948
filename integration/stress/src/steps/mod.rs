//! What a worker may do, one random step at a time.

mod memory;
mod tasks;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError, RwLock};

use fastrand::Rng;
use libc::{c_int, c_void};

use crate::kernel::{self, PAGE};
use crate::signal;
use crate::world::{Memory, Stack, World};

/// What all workers share.
pub struct Shared {
    world: Mutex<World>,
    /// The region in which stacks share pages; each worker has one piece.
    region: usize,
    /// The number of steps in progress that disturb others' pages, and of all so far.
    disturbing: AtomicUsize,
    disturbances: AtomicUsize,
    /// A thread with a frame on a stack holds the read lock.
    frames: RwLock<()>,
    /// The total number of forks.
    pub forks: AtomicUsize,
}

/// Bytes per piece of the shared region: never whole pages.
const PIECE: usize = 3 * PAGE + 1234;
const SIZES: [usize; 6] = [8192, 3 * PAGE, 16 << 10, 64 << 10, 68 << 10, 256 << 10];
const WRITABLE: c_int = libc::PROT_READ | libc::PROT_WRITE;
const PRIVATE: c_int = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;

type Outcome = Result<(), String>;

fn errno() -> c_int {
    // SAFETY: libc's own errno.
    unsafe { *libc::__errno_location() }
}

fn demand(good: bool, what: &str) -> Outcome {
    if good { Ok(()) } else { Err(format!("{what} (errno {})", errno())) }
}

fn at(address: usize) -> *mut c_void {
    address as *mut c_void
}

/// New memory between two unmapped pages, so that it is a separate mapping.
fn fresh(size: usize) -> usize {
    // SAFETY: fresh memory.
    unsafe {
        let around = libc::mmap(at(0), size + 2 * PAGE, libc::PROT_NONE, PRIVATE, -1, 0);
        assert_ne!(around, libc::MAP_FAILED);
        libc::munmap(around, size + 2 * PAGE);
        let flags = PRIVATE | libc::MAP_FIXED_NOREPLACE;
        let start = libc::mmap(around.add(PAGE), size, WRITABLE, flags, -1, 0);
        // Another thread may have taken that place.
        if start == libc::MAP_FAILED { fresh(size) } else { start as usize }
    }
}

/// Frees the memory of a stack that is no longer set.
pub fn discard(stack: Stack, world: &mut World) {
    let pages = kernel::pages(stack.base, stack.size);
    let programs = pages.clone().any(|page| world.programs.contains(&page));
    // SAFETY: memory from `set` that is no longer in use.
    unsafe {
        match stack.memory {
            _ if stack.gone => return,
            Memory::Shared => return,
            Memory::Mapped => drop(libc::munmap(at(stack.base), stack.size)),
            Memory::Allocated => {
                // As a program does before it frees locked memory.
                if programs {
                    libc::munlock(at(stack.base), stack.size);
                }
                libc::free(at(stack.base));
            }
        }
    }
    world.programs.retain(|page| !pages.contains(page));
}

impl Shared {
    pub fn new(workers: usize, unlimited: bool) -> Self {
        let stacks = (0..workers).map(|_| None).collect();
        Shared {
            world: Mutex::new(World { stacks, unlimited, ..World::default() }),
            region: fresh((workers * PIECE).next_multiple_of(PAGE)),
            frames: RwLock::new(()),
            disturbing: AtomicUsize::new(0),
            disturbances: AtomicUsize::new(0),
            forks: AtomicUsize::new(0),
        }
    }

    pub fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn disturb<R>(&self, step: impl FnOnce() -> R) -> R {
        self.disturbing.fetch_add(1, Ordering::SeqCst);
        self.disturbances.fetch_add(1, Ordering::SeqCst);
        let result = step();
        self.disturbing.fetch_sub(1, Ordering::SeqCst);
        result
    }
}

/// A worker, in its thread.
pub struct Worker<'a> {
    pub shared: &'a Shared,
    pub index: usize,
    /// Whether the others work at the same time.
    pub storm: bool,
    pub rng: Rng,
}

impl Worker<'_> {
    fn stack(&self) -> Option<Stack> {
        self.shared.world().stacks[self.index]
    }

    /// Takes one step and returns its name.
    pub fn step(&mut self) -> Result<&'static str, String> {
        let (name, outcome) = match self.rng.u8(..100) {
            0..20 => ("set", self.set()),
            20..26 => ("disable", self.disable()),
            26..40 => ("raise", self.raise()),
            40..52 => ("fork", self.fork()),
            52..70 => ("madvise", self.advise()),
            70..76 => ("mlock", self.lock()),
            76..82 => ("munlock", self.unlock()),
            82..84 => ("mlockall", self.lock_all()),
            84..89 => ("replace", self.replace()),
            89..92 => ("unmap", self.unmap()),
            92..95 => ("mprotect", self.protect()),
            95..97 => ("mremap", self.remap()),
            _ => ("thread", self.short_thread()),
        };
        outcome.map(|()| name).map_err(|error| format!("worker {}: {name}: {error}", self.index))
    }

    fn set(&mut self) -> Outcome {
        let size = *self.rng.choice(SIZES.iter()).unwrap_or(&8192);
        let (base, size, memory) = match self.rng.u8(..4) {
            0 | 1 => (fresh(size.next_multiple_of(PAGE)), size, Memory::Mapped),
            // SAFETY: plain memory, freed when the stack is replaced.
            2 => (unsafe { libc::malloc(size) } as usize, size, Memory::Allocated),
            _ => (self.shared.region + self.index * PIECE, PIECE, Memory::Shared),
        };
        let actual = (base, size);
        let now = Stack { base, size, memory, actual, gone: false, cut: false };
        self.put(Some(now))
    }

    pub fn disable(&mut self) -> Outcome {
        self.put(None)
    }

    /// sigaltstack(2), then frees the memory of the previous stack.
    fn put(&mut self, mut stack: Option<Stack>) -> Outcome {
        let new = stack.map_or(
            libc::stack_t { ss_sp: at(0), ss_flags: libc::SS_DISABLE, ss_size: 0 },
            |stack| libc::stack_t { ss_sp: at(stack.base), ss_flags: 0, ss_size: stack.size },
        );
        // SAFETY: the memory stays until another stack is set.
        demand(unsafe { libc::sigaltstack(&raw const new, at(0).cast()) } == 0, "sigaltstack")?;
        if let Some(stack) = &mut stack {
            let Some(actual) = kernel::alternate_stack() else {
                return Err(format!("the kernel has no stack: {stack:x?}"));
            };
            stack.actual = (actual.start, actual.len());
        }
        let mut world = self.shared.world();
        let old = std::mem::replace(&mut world.stacks[self.index], stack);
        if let Some(old) = old {
            discard(old, &mut world);
        }
        Ok(())
    }

    /// Takes signals on the own stack; their frames must not fault.
    pub fn raise(&mut self) -> Outcome {
        let Some(stack) = self.stack().filter(|stack| !stack.gone) else { return Ok(()) };
        let forks = !self.storm && self.shared.world().unlimited && self.rng.u8(..8) == 0;
        let forks = forks && stack.size <= 64 << 10 && stack.size >= 16 << 10;
        let nested = usize::from(stack.size > 12 << 10 && self.rng.bool());
        let began = self.shared.disturbances.load(Ordering::SeqCst);
        let undisturbed = self.shared.disturbing.load(Ordering::SeqCst) == 0;
        let moved = kernel::moved();
        let faults = {
            let _frames = self.shared.frames.read();
            let (base, size) = stack.actual;
            signal::raise(base, size, nested, forks)?
        };
        let undisturbed = undisturbed && self.shared.disturbances.load(Ordering::SeqCst) == began;
        demand(
            faults == 0 || self.storm && !undisturbed || kernel::has_moved_since(moved),
            &format!("{faults} faults on {stack:x?}"),
        )
    }
}
