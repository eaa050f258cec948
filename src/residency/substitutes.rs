//! Stacks of ours that replace stacks of the program's that are too small: the
//! records. [`crate::small_stacks`] decides which.

use core::ffi::c_int;

use super::hash_table::{Entry, HashTable};
use super::ladder::Stack;
use super::origin;
use crate::os::{call, page};

/// One of our stacks that replaces a thread's own.
#[derive(Clone, Copy)]
pub(crate) struct Substitute {
    /// The thread; 0 in an empty slot.
    pub(crate) tid: usize,
    /// The stack that the program registered.
    pub(crate) believed: Stack,
    /// The stack that the kernel has.
    pub(crate) actual: Stack,
    /// Whether the kernel has it now; if not, it is kept for the next time.
    pub(crate) in_force: bool,
}

// SAFETY: zeroes are a substitute of thread 0, which does not exist.
unsafe impl Entry for Substitute {
    fn key(&self) -> usize {
        self.tid
    }
}

/// All substitutes.
pub(crate) struct Substitutes {
    pub(crate) of: HashTable<Substitute>,
    /// Where the search for dead threads continues.
    hand: usize,
}

impl Substitutes {
    pub(crate) const fn new() -> Self {
        Substitutes { of: HashTable::new(), hand: 0 }
    }

    /// Adapts to the child of a fork: thread `old` is now `new`, and the stacks
    /// of all other threads are unmapped.
    pub(crate) fn in_child(&mut self, old: c_int, new: c_int) {
        for index in 0..self.of.capacity() {
            if let Some(other) = self.of.at(index).copied().filter(|it| it.tid != old as usize) {
                give_back(other.actual);
            }
        }
        let own = self.of.get(old as usize).copied();
        *self = Substitutes::new();
        if let Some(own) = own {
            let _ = self.of.insert(Substitute { tid: new as usize, ..own });
        }
    }

    /// Unmaps the stacks of threads that have ended.
    pub(crate) fn sweep(&mut self, exists: impl Fn(c_int) -> bool) {
        for _ in 0..8 {
            match self.of.at(self.hand).copied() {
                Some(it) if !exists(it.tid as c_int) => {
                    give_back(it.actual);
                    self.of.remove(it.tid);
                }
                _ => self.hand = self.hand.wrapping_add(1),
            }
        }
    }
}

/// Maps a stack of at least `size` bytes above a guard page.
pub(crate) fn make(size: usize) -> Option<Stack> {
    let size = size.next_multiple_of(page::SIZE);
    let start = call::map_memory(size.checked_add(page::SIZE)?).ok()?;
    // Without the guard an overflow would go unnoticed: no stack is better.
    if call::protect(start, page::SIZE, libc::PROT_NONE).is_err() {
        give_back(Stack { base: start.wrapping_add(page::SIZE), size });
        return None;
    }
    origin::mapped(start, size.wrapping_add(page::SIZE));
    Some(Stack { base: start.wrapping_add(page::SIZE), size })
}

pub(crate) fn give_back(stack: Stack) {
    let start = stack.base.wrapping_sub(page::SIZE);
    origin::forget(start);
    // SAFETY: `make` mapped it, and no thread uses it as its stack any more.
    let _ = unsafe { call::unmap_memory(start, stack.size.wrapping_add(page::SIZE)) };
}
