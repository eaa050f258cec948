//! What a worker may do, one random step at a time.

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
    /// The region in which stacks share pages; one piece for each worker.
    region: usize,
    /// Steps under way that disturb the pages of others, and how many began.
    disturbing: AtomicUsize,
    disturbances: AtomicUsize,
    /// Held to read by who has a frame on a stack.
    frames: RwLock<()>,
    /// Forks made in all.
    pub forks: AtomicUsize,
}

/// Bytes of a piece of the shared region: never whole pages.
const PIECE: usize = 3 * PAGE + 1234;
const SIZES: [usize; 6] = [8192, 3 * PAGE, 16 << 10, 64 << 10, 68 << 10, 256 << 10];
const WRITABLE: c_int = libc::PROT_READ | libc::PROT_WRITE;
const PRIVATE: c_int = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
const FILL: u8 = 0xa5;

type Outcome = Result<(), String>;

fn errno() -> c_int {
    // SAFETY: libc's own place.
    unsafe { *libc::__errno_location() }
}

fn demand(good: bool, what: &str) -> Outcome {
    if good { Ok(()) } else { Err(format!("{what} (errno {})", errno())) }
}

fn at(address: usize) -> *mut c_void {
    address as *mut c_void
}

/// Fresh memory between two unmapped pages, so that it is a mapping of its own.
fn fresh(size: usize) -> usize {
    // SAFETY: fresh memory.
    unsafe {
        let around = libc::mmap(at(0), size + 2 * PAGE, libc::PROT_NONE, PRIVATE, -1, 0);
        assert_ne!(around, libc::MAP_FAILED);
        libc::munmap(around, size + 2 * PAGE);
        let flags = PRIVATE | libc::MAP_FIXED_NOREPLACE;
        let start = libc::mmap(around.add(PAGE), size, WRITABLE, flags, -1, 0);
        // Another thread may have been faster.
        if start == libc::MAP_FAILED { fresh(size) } else { start as usize }
    }
}

/// The pages on which nothing lies but stacks: beside a malloc'ed one is the heap.
fn own_pages(stack: &Stack) -> std::ops::Range<usize> {
    match stack.memory {
        Memory::Allocated => (stack.base.div_ceil(PAGE))..((stack.base + stack.size) / PAGE),
        _ => kernel::pages(stack.base, stack.size),
    }
}

/// Frees the memory of a stack that is in force no more.
pub fn discard(stack: Stack, world: &mut World) {
    let pages = kernel::pages(stack.base, stack.size);
    let programs = pages.clone().any(|page| world.programs.contains(&page));
    // SAFETY: memory that `set` got, in use no more.
    unsafe {
        match stack.memory {
            _ if stack.gone => return,
            Memory::Shared => return,
            Memory::Mapped => drop(libc::munmap(at(stack.base), stack.size)),
            Memory::Allocated => {
                // As a program does that is to free locked memory.
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

/// A worker in its thread.
pub struct Worker<'a> {
    pub shared: &'a Shared,
    pub index: usize,
    /// Whether the others go on at the same time.
    pub storm: bool,
    pub rng: Rng,
}

impl Worker<'_> {
    fn stack(&self) -> Option<Stack> {
        self.shared.world().stacks[self.index]
    }

    /// Takes one step, and says which.
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
        let now = Stack { base, size, memory, gone: false, cut: false };
        self.put(Some(now))
    }

    pub fn disable(&mut self) -> Outcome {
        self.put(None)
    }

    /// sigaltstack(2), then frees the memory of the one before.
    fn put(&mut self, stack: Option<Stack>) -> Outcome {
        let new = stack.map_or(
            libc::stack_t { ss_sp: at(0), ss_flags: libc::SS_DISABLE, ss_size: 0 },
            |stack| libc::stack_t { ss_sp: at(stack.base), ss_flags: 0, ss_size: stack.size },
        );
        // SAFETY: memory that stays until another stack is put.
        demand(unsafe { libc::sigaltstack(&raw const new, at(0).cast()) } == 0, "sigaltstack")?;
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
        let quiet = self.shared.disturbing.load(Ordering::SeqCst) == 0;
        let faults = {
            let _frames = self.shared.frames.read();
            signal::raise(stack.base, stack.size, nested, forks)?
        };
        let quiet = quiet && self.shared.disturbances.load(Ordering::SeqCst) == began;
        demand(faults == 0 || (self.storm && !quiet), &format!("{faults} faults on {stack:x?}"))
    }

    /// The child must find its own stack held and nothing else.
    fn fork(&mut self) -> Outcome {
        let stack = self.stack();
        let ordinary = crate::world::ordinary_stack();
        let unlimited = self.shared.world().unlimited;
        self.shared.forks.fetch_add(1, Ordering::Relaxed);
        let code = self.shared.disturb(|| {
            // SAFETY: the child ends by _exit; glibc's fork keeps malloc usable.
            let child = unsafe { libc::fork() };
            if child == 0 {
                // SAFETY: as above.
                unsafe { libc::alarm(30) };
                let outcome = in_child(stack, &ordinary, unlimited);
                if let Err(error) = &outcome {
                    eprintln!("child {}: {error}", std::process::id());
                }
                // SAFETY: as above.
                unsafe { libc::_exit(i32::from(outcome.is_err())) }
            }
            signal::exit_code(child)
        });
        if code != 0 {
            return Err(format!("the child ended with {code}"));
        }
        if self.storm { Ok(()) } else { self.raise() }
    }

    /// Some range in or around a stack: mostly the own one.
    fn range(&mut self) -> Option<(usize, usize)> {
        let count = self.shared.world().stacks.len();
        let whose = if self.rng.u8(..3) == 0 { self.rng.usize(..count) } else { self.index };
        let stack = self.shared.world().stacks[whose].filter(|stack| !stack.gone)?;
        let pages = own_pages(&stack);
        let first = self.rng.usize(pages.clone());
        let end = self.rng.usize(first + 1..=pages.end);
        let whole = self.rng.bool();
        let range = if whole { pages } else { first..end };
        Some((range.start * PAGE, range.len() * PAGE))
    }

    fn advise(&mut self) -> Outcome {
        const ADVICE: [c_int; 7] = [
            libc::MADV_DONTNEED,
            libc::MADV_DONTNEED,
            libc::MADV_DONTNEED,
            libc::MADV_FREE,
            libc::MADV_PAGEOUT,
            libc::MADV_COLD,
            libc::MADV_WILLNEED,
        ];
        let Some((start, length)) = self.range() else { return Ok(()) };
        let advice = *self.rng.choice(ADVICE.iter()).unwrap_or(&libc::MADV_DONTNEED);
        let refusing = advice != libc::MADV_WILLNEED;
        if self.storm {
            // Nobody may free a stack meanwhile, or have a frame on it: what lies there
            // then means something.
            let _frames = self.shared.frames.write();
            let world = self.shared.world();
            let pages = kernel::pages(start, length);
            let within = |stack: &Stack| {
                let own = own_pages(stack);
                !stack.gone && own.start <= pages.start && pages.end <= own.end
            };
            if world.stacks.iter().flatten().any(within) {
                // SAFETY: memory of stacks without a frame.
                self.shared.disturb(|| unsafe { libc::madvise(at(start), length, advice) });
            }
            return Ok(());
        }
        let locked = {
            let world = self.shared.world();
            kernel::pages(start, length).any(|page| world.programs.contains(&page))
        };
        // SAFETY: as above.
        let outcome = unsafe {
            libc::memset(at(start), i32::from(FILL), length);
            *libc::__errno_location() = 0;
            libc::madvise(at(start), length, advice)
        };
        if refusing && locked {
            return demand(outcome == -1 && errno() == libc::EINVAL, "no EINVAL on locked memory");
        }
        demand(outcome == 0 && errno() == 0, &format!("madvise {advice} on {length:#x} bytes"))?;
        // SAFETY: memory that is there.
        let bytes = unsafe { std::slice::from_raw_parts(start as *const u8, length) };
        let expected = if advice == libc::MADV_DONTNEED { 0 } else { FILL };
        let kept = advice == libc::MADV_FREE || bytes.iter().all(|byte| *byte == expected);
        demand(kept, &format!("contents after advice {advice}"))
    }

    fn lock(&mut self) -> Outcome {
        if self.storm {
            return self.raise();
        }
        let Some((start, length)) = self.range() else { return Ok(()) };
        let mut world = self.shared.world();
        for stack in world.stacks.iter_mut().flatten() {
            stack.cut |= (stack.base..stack.base + stack.size).contains(&start);
        }
        let mut asked = world.programs.clone();
        asked.extend(kernel::pages(start, length));
        let fits = world.unlimited || asked.len() as u64 * PAGE as u64 <= lock_limit();
        // SAFETY: no memory is changed.
        let outcome = unsafe {
            if self.rng.bool() {
                libc::mlock(at(start), length)
            } else {
                libc::mlock2(at(start), length, 0)
            }
        };
        if fits {
            world.programs = asked;
            demand(outcome == 0, &format!("the program's lock on {length:#x} bytes"))
        } else {
            demand(outcome == -1 && errno() == libc::ENOMEM, "a lock beyond the limit")
        }
    }

    fn unlock(&mut self) -> Outcome {
        if self.rng.u8(..4) == 0 {
            // SAFETY: no memory is changed.
            let outcome = self.shared.disturb(|| unsafe { libc::munlockall() });
            self.shared.world().programs.clear();
            return demand(outcome == 0, "munlockall");
        }
        let Some((start, length)) = self.range() else { return Ok(()) };
        // SAFETY: no memory is changed.
        let outcome = self.shared.disturb(|| unsafe { libc::munlock(at(start), length) });
        let pages = kernel::pages(start, length);
        self.shared.world().programs.retain(|page| !pages.contains(page));
        demand(outcome == 0 || self.storm, "munlock")
    }

    /// All is locked, a stack is set meanwhile, and all is unlocked.
    fn lock_all(&mut self) -> Outcome {
        if self.storm || !self.shared.world().unlimited {
            return self.raise();
        }
        let flags = *self.rng.choice([libc::MCL_CURRENT, libc::MCL_FUTURE, 3].iter()).unwrap_or(&3);
        // SAFETY: no memory is changed.
        demand(unsafe { libc::mlockall(flags) } == 0, "mlockall")?;
        self.set()?;
        self.raise()?;
        // SAFETY: as above.
        let outcome = unsafe { libc::munlockall() };
        self.shared.world().programs.clear();
        demand(outcome == 0, "munlockall")
    }

    /// mmap(2) with `MAP_FIXED` over pages of the own stack.
    fn replace(&mut self) -> Outcome {
        let Some(stack) = self.stack() else { return Ok(()) };
        if stack.memory != Memory::Mapped || stack.gone {
            return Ok(());
        }
        let pages = kernel::pages(stack.base, stack.size);
        if let Some(stack) = &mut self.shared.world().stacks[self.index] {
            stack.cut = true;
        }
        let first = self.rng.usize(pages.clone());
        let (start, length) = (first * PAGE, (pages.end - first) * PAGE);
        // SAFETY: what lies in the stack means nothing now.
        let new = self.shared.disturb(|| unsafe {
            libc::mmap(at(start), length, WRITABLE, PRIVATE | libc::MAP_FIXED, -1, 0)
        });
        self.shared.world().programs.retain(|page| !(first..pages.end).contains(page));
        demand(new as usize == start, "mmap over the stack")
    }

    /// Takes the memory away from under the stack in force.
    fn unmap(&mut self) -> Outcome {
        let Some(stack) = self.stack().filter(|stack| !stack.gone) else { return Ok(()) };
        let pages = kernel::pages(stack.base, stack.size);
        let mut world = self.shared.world();
        let programs = pages.clone().any(|page| world.programs.contains(&page));
        match stack.memory {
            Memory::Mapped => {
                // SAFETY: memory that `set` got, and that no frame is on.
                let outcome = unsafe { libc::munmap(at(stack.base), stack.size) };
                world.programs.retain(|page| !pages.contains(page));
                demand(outcome == 0, "munmap")?;
            }
            Memory::Allocated if !programs => {
                // SAFETY: as above.
                unsafe { libc::free(at(stack.base)) }
            }
            _ => return Ok(()),
        }
        if let Some(stack) = &mut world.stacks[self.index] {
            stack.gone = true;
        }
        Ok(())
    }

    /// Unwritable for a moment.
    fn protect(&mut self) -> Outcome {
        let Some(stack) = self.stack() else { return Ok(()) };
        if stack.memory != Memory::Mapped || stack.gone {
            return Ok(());
        }
        let length = stack.size.next_multiple_of(PAGE);
        let protection = if self.rng.bool() { libc::PROT_READ } else { libc::PROT_NONE };
        // SAFETY: no frame is on it.
        let outcome = self.shared.disturb(|| unsafe {
            libc::mprotect(at(stack.base), length, protection)
                | libc::mprotect(at(stack.base), length, WRITABLE)
        });
        demand(outcome == 0, "mprotect")
    }

    /// The stack moves elsewhere, and is registered there.
    fn remap(&mut self) -> Outcome {
        let Some(stack) = self.stack() else { return Ok(()) };
        if stack.memory != Memory::Mapped || stack.gone {
            return Ok(());
        }
        let length = stack.size.next_multiple_of(PAGE);
        let pages = kernel::pages(stack.base, stack.size);
        let locked =
            pages.clone().filter(|page| self.shared.world().programs.contains(page)).count();
        if locked > 0 {
            return Ok(()); // the lock would move with it
        }
        let mut world = self.shared.world();
        // SAFETY: no frame is on it, and nobody else looks for it where it was.
        let moved =
            unsafe { libc::mremap(at(stack.base), length, 2 * length, libc::MREMAP_MAYMOVE) };
        if moved == libc::MAP_FAILED && (stack.cut || self.storm) {
            return Ok(());
        }
        demand(moved != libc::MAP_FAILED, &format!("mremap of {stack:x?}"))?;
        world.stacks[self.index] = Some(Stack { gone: true, ..stack });
        drop(world);
        let now = Stack { base: moved as usize, size: 2 * length, ..stack };
        self.put(Some(now))
    }

    /// A thread comes, sets a stack, takes a signal, and goes with its stack on.
    fn short_thread(&mut self) -> Outcome {
        extern "C" fn run(stack: *mut c_void) -> *mut c_void {
            // SAFETY: the creator's stack_t, which outlives this thread.
            let stack = unsafe { &*stack.cast::<libc::stack_t>() };
            // SAFETY: memory that outlives this thread.
            if unsafe { libc::sigaltstack(stack, at(0).cast()) } != 0 {
                return at(1);
            }
            let outcome = signal::raise(stack.ss_sp as usize, stack.ss_size, 0, false);
            at(usize::from(outcome.is_err()))
        }
        let size = 16 << 10;
        let base = fresh(size);
        let mut stack = libc::stack_t { ss_sp: at(base), ss_flags: 0, ss_size: size };
        // SAFETY: joined before its arguments go.
        let outcome = unsafe {
            let mut thread = 0;
            let argument = (&raw mut stack).cast();
            let created = libc::pthread_create(&raw mut thread, at(0).cast(), run, argument);
            demand(created == 0, "pthread_create")?;
            let mut outcome = at(1);
            libc::pthread_join(thread, &raw mut outcome);
            outcome
        };
        // It may lie where the stack of a worker was, which is in force still.
        let stacks: Vec<_> = self.shared.world().stacks.iter().flatten().copied().collect();
        let held = kernel::locked();
        let claimed = |page: &usize| {
            stacks.iter().any(|stack| kernel::pages(stack.base, stack.size).contains(page))
        };
        let left = kernel::pages(base, size).any(|page| held.contains(&page) && !claimed(&page));
        // SAFETY: nobody's any more.
        unsafe { libc::munmap(at(base), size) };
        demand(outcome.is_null(), "the short thread's signal")?;
        demand(!left, "the stack of a thread that ended is locked still")
    }
}

fn in_child(stack: Option<Stack>, ordinary: &std::ops::Range<usize>, unlimited: bool) -> Outcome {
    if let Some(stack) = stack.filter(|stack| !stack.gone) {
        let faults = signal::raise(stack.base, stack.size, 0, false)?;
        demand(faults == 0, &format!("{faults} faults"))?;
    }
    let world = World {
        stacks: vec![stack],
        ordinary: vec![ordinary.clone()],
        unlimited,
        ..World::default()
    };
    world.check()
}

/// The soft limit on locks, in bytes.
fn lock_limit() -> u64 {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: a live place.
    unsafe { libc::getrlimit(libc::RLIMIT_MEMLOCK, &raw mut limit) };
    limit.rlim_cur
}
