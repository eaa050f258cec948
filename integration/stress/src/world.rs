//! What is true of the program: where each stack is, and which pages it locked. Anything
//! else that is locked is an error.

use std::collections::BTreeSet;
use std::ops::Range;

use crate::kernel::{self, PAGE};

/// How the stack's memory was obtained.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Memory {
    /// By mmap(2), for this stack alone.
    Mapped,
    /// By malloc(3).
    Allocated,
    /// Part of a region in which neighbours share pages.
    Shared,
}

/// An alternate stack that is set.
#[derive(Clone, Copy, Debug)]
pub struct Stack {
    pub base: usize,
    pub size: usize,
    pub memory: Memory,
    /// Where the kernel has it: there, or in a larger one of the library's.
    pub actual: (usize, usize),
    /// Its memory was freed or unmapped: nothing is expected of it.
    pub gone: bool,
    /// The program locked or replaced a part: the kernel may keep the parts in separate
    /// mappings from then on.
    pub cut: bool,
}

/// The state of the program.
#[derive(Default)]
pub struct World {
    /// By worker.
    pub stacks: Vec<Option<Stack>>,
    /// The ordinary stacks of all threads, parts of which may be held.
    pub ordinary: Vec<Range<usize>>,
    /// Pages that the program locked.
    pub programs: BTreeSet<usize>,
    /// Whether locks are never refused.
    pub unlimited: bool,
}

/// Bytes at the top of a stack that a frame and a nested one may need: less than what is
/// held for any pretended frame size, and no more than this CPU's frames take.
fn frames() -> usize {
    // SAFETY: a plain query; it returns 0 if the kernel does not provide the size.
    let frame = unsafe { libc::getauxval(libc::AT_MINSIGSTKSZ) } as usize;
    if frame == 0 { 2 * 1776 } else { 8192.min(2 * frame) }
}

impl World {
    /// Compares all locked and resident memory with what is expected.
    ///
    /// # Errors
    /// The difference.
    pub fn check(&self) -> Result<(), String> {
        let locked = kernel::locked();
        let mut allowed = self.programs.clone();
        for (worker, stack) in self.stacks.iter().enumerate() {
            let Some(stack) = stack else { continue };
            let (base, size) = stack.actual;
            allowed.extend(kernel::pages(base, size));
            if stack.gone {
                continue;
            }
            let length = size.min(frames());
            let start = base + size - length;
            if !kernel::resident(start, length) {
                return Err(format!("worker {worker}: {stack:x?} is not resident"));
            }
            let lost = kernel::pages(start, length).find(|page| !locked.contains(page));
            if let Some(page) = lost.filter(|_| self.unlimited) {
                return Err(format!("worker {worker}: {stack:x?}: page {page:x} is not locked"));
            }
        }
        if let Some(page) = self.programs.iter().find(|page| !locked.contains(page)) {
            return Err(format!("the program's lock on page {page:x} is gone"));
        }
        let ordinary = |page: &usize| self.ordinary.iter().any(|stack| stack.contains(page));
        let strange: Vec<_> = locked
            .difference(&allowed)
            .filter(|page| !ordinary(page))
            .map(|page| page * PAGE)
            .collect();
        match strange.first() {
            None => Ok(()),
            Some(first) => Err(format!(
                "{} pages from {first:#x} are locked although they should not be",
                strange.len()
            )),
        }
    }
}

/// The calling thread's ordinary stack, in pages.
pub fn ordinary_stack() -> Range<usize> {
    // SAFETY: plain C data, filled in by libc.
    unsafe {
        let mut attributes: libc::pthread_attr_t = std::mem::zeroed();
        let (mut base, mut size) = (std::ptr::null_mut(), 0);
        assert_eq!(libc::pthread_getattr_np(libc::pthread_self(), &raw mut attributes), 0);
        assert_eq!(
            libc::pthread_attr_getstack(&raw const attributes, &raw mut base, &raw mut size),
            0
        );
        libc::pthread_attr_destroy(&raw mut attributes);
        kernel::pages(base as usize, size)
    }
}
