//! What is true of the program: whose stack is where, which pages it locked.
//! All else that is locked is somebody's fault.

use std::collections::BTreeSet;
use std::ops::Range;

use crate::kernel::{self, PAGE};

/// How the memory of a stack was got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Memory {
    /// By mmap(2), for the stack alone.
    Mapped,
    /// By malloc(3).
    Allocated,
    /// A part of a region in which neighbours share pages.
    Shared,
}

/// An alternate stack in force.
#[derive(Clone, Copy, Debug)]
pub struct Stack {
    pub base: usize,
    pub size: usize,
    pub memory: Memory,
    /// Its memory was freed or unmapped: nothing is to be expected of it.
    pub gone: bool,
    /// The program locked or replaced a part: the kernel may keep the parts
    /// in mappings of their own ever after.
    pub cut: bool,
}

/// The program.
#[derive(Default)]
pub struct World {
    /// By worker.
    pub stacks: Vec<Option<Stack>>,
    /// The ordinary stacks of all threads, a window of which may be held.
    pub ordinary: Vec<Range<usize>>,
    /// Pages that the program locked.
    pub programs: BTreeSet<usize>,
    /// Whether locks are never refused.
    pub unlimited: bool,
}

/// Bytes at the top of a stack that a frame and one nested in it may need: less than is held
/// whatever frame is pretended, and no more than this CPU's frames are.
fn frames() -> usize {
    // SAFETY: a plain query; 0 where the kernel does not tell.
    let frame = unsafe { libc::getauxval(libc::AT_MINSIGSTKSZ) } as usize;
    if frame == 0 { 2 * 1776 } else { 8192.min(2 * frame) }
}

impl World {
    /// Compares all that is locked and resident with what should be.
    ///
    /// # Errors
    /// What is wrong.
    pub fn check(&self) -> Result<(), String> {
        let locked = kernel::locked();
        let mut allowed = self.programs.clone();
        for (worker, stack) in self.stacks.iter().enumerate() {
            let Some(stack) = stack else { continue };
            allowed.extend(kernel::pages(stack.base, stack.size));
            if stack.gone {
                continue;
            }
            let length = stack.size.min(frames());
            let start = stack.base + stack.size - length;
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
            Some(first) => {
                Err(format!("{} pages from {first:#x} are locked by none", strange.len()))
            }
        }
    }
}

/// The ordinary stack of the calling thread, by page.
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
