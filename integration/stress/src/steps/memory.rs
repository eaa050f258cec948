//! What a worker does to the memory of stacks, usually its own.

use libc::c_int;

use super::{Outcome, PRIVATE, WRITABLE, Worker, at, demand, errno};
use crate::kernel::{self, PAGE};
use crate::world::{Memory, Stack};

const FILL: u8 = 0xa5;

/// The pages with nothing but stacks on them: beside a stack from malloc is the heap.
fn own_pages(stack: &Stack) -> std::ops::Range<usize> {
    match stack.memory {
        Memory::Allocated => (stack.base.div_ceil(PAGE))..((stack.base + stack.size) / PAGE),
        _ => kernel::pages(stack.base, stack.size),
    }
}

impl Worker<'_> {
    /// A range in or around a stack: usually the own one.
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

    pub(super) fn advise(&mut self) -> Outcome {
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
            // Meanwhile nobody may free a stack or have a frame on it, because then its
            // content would matter.
            let _frames = self.shared.frames.write();
            let world = self.shared.world();
            let pages = kernel::pages(start, length);
            let within = |stack: &Stack| {
                let own = own_pages(stack);
                !stack.gone && own.start <= pages.start && pages.end <= own.end
            };
            if world.stacks.iter().flatten().any(within) {
                // SAFETY: the memory of stacks without a frame.
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
        // SAFETY: memory that is mapped.
        let bytes = unsafe { std::slice::from_raw_parts(start as *const u8, length) };
        let expected = if advice == libc::MADV_DONTNEED { 0 } else { FILL };
        let kept = advice == libc::MADV_FREE || bytes.iter().all(|byte| *byte == expected);
        demand(kept, &format!("contents after advice {advice}"))
    }

    pub(super) fn lock(&mut self) -> Outcome {
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

    pub(super) fn unlock(&mut self) -> Outcome {
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

    /// Locks all memory, sets a stack meanwhile, and unlocks all.
    pub(super) fn lock_all(&mut self) -> Outcome {
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
    pub(super) fn replace(&mut self) -> Outcome {
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
        // SAFETY: the content of the stack does not matter now.
        let new = self.shared.disturb(|| unsafe {
            libc::mmap(at(start), length, WRITABLE, PRIVATE | libc::MAP_FIXED, -1, 0)
        });
        self.shared.world().programs.retain(|page| !(first..pages.end).contains(page));
        demand(new as usize == start, "mmap over the stack")
    }

    /// Unmaps or frees the memory of the stack that is set.
    pub(super) fn unmap(&mut self) -> Outcome {
        let Some(stack) = self.stack().filter(|stack| !stack.gone) else { return Ok(()) };
        let pages = kernel::pages(stack.base, stack.size);
        let mut world = self.shared.world();
        let programs = pages.clone().any(|page| world.programs.contains(&page));
        match stack.memory {
            Memory::Mapped => {
                // SAFETY: memory from `set` without a frame on it.
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

    /// Makes the stack unwritable for a moment.
    pub(super) fn protect(&mut self) -> Outcome {
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

    /// Moves the stack and registers it at its new address.
    pub(super) fn remap(&mut self) -> Outcome {
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
        // SAFETY: no frame is on it, and nothing expects it at its old address.
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
}

/// The soft limit on locked memory, in bytes.
fn lock_limit() -> u64 {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: a live variable.
    unsafe { libc::getrlimit(libc::RLIMIT_MEMLOCK, &raw mut limit) };
    limit.rlim_cur
}
