//! An alternate stack that its thread unmaps while the kernel still has it. The
//! next signal would kill the process, or write over whatever is mapped there
//! by then. So the stack is taken from the kernel first, and the handler runs
//! on the ordinary stack. It is put back if the call fails, or when the thread
//! maps memory there again. The program sees what it would see without us.

use core::sync::atomic::{AtomicBool, AtomicI32, AtomicUsize, Ordering};

use crate::arch;
use crate::os::page::{self, Pages};
use crate::os::{call, signals};
use crate::residency::charge::ours;
use crate::residency::ladder::Stack;

/// A stack that was taken from the kernel.
pub(super) struct Gone {
    /// The pointer of its thread, or 0.
    thread: AtomicUsize,
    base: AtomicUsize,
    size: AtomicUsize,
    flags: AtomicI32,
}

/// Threads that keep a stack in this state are few. If there are more, the
/// others' stacks stay as they are.
static GONE: [Gone; 16] = [const {
    Gone {
        thread: AtomicUsize::new(0),
        base: AtomicUsize::new(0),
        size: AtomicUsize::new(0),
        flags: AtomicI32::new(0),
    }
}; 16];

/// Whether there was ever one.
static ANY: AtomicBool = AtomicBool::new(false);

impl Gone {
    fn stack(&self) -> libc::stack_t {
        libc::stack_t {
            ss_sp: self.base.load(Ordering::Relaxed) as *mut _,
            ss_flags: self.flags.load(Ordering::Relaxed),
            ss_size: self.size.load(Ordering::Relaxed),
        }
    }

    fn pages(&self) -> Pages {
        let Stack { base, size } = Stack::of(&self.stack());
        Pages::around(base, base.saturating_add(size))
    }

    fn forget(&self) {
        self.thread.store(0, Ordering::Release);
    }

    /// Gives the stack back to the kernel.
    pub(super) fn put_back(&self) {
        let stack = self.stack();
        self.forget();
        // SAFETY: what the program registered, which is mapped again or still.
        let _ = unsafe { call::set_altstack(&stack) };
    }
}

/// What was taken from the calling thread.
fn own() -> Option<&'static Gone> {
    if !ANY.load(Ordering::Relaxed) {
        return None;
    }
    let thread = arch::thread_pointer();
    GONE.iter().find(|gone| gone.thread.load(Ordering::Acquire) == thread)
}

/// The calling thread is about to unmap `[start, start + length)`: takes its
/// alternate stack from the kernel if its top is there, where the next frame
/// goes, and the thread is not running on it.
pub(super) fn disarm(start: usize, length: usize) -> Option<&'static Gone> {
    let now = call::current_altstack().ok()?;
    let stack = Stack::of(&now);
    let removed = Pages::around(start, start.saturating_add(length));
    let last = stack.top()?.checked_sub(1)? / page::size();
    let is_used = now.ss_flags & (libc::SS_DISABLE | libc::SS_ONSTACK) == 0;
    // An overflow of the ordinary stack in our code needs the alternate one.
    if !is_used || !removed.numbers().contains(&last) || !signals::have_room() || !ours() {
        return None;
    }
    let thread = arch::thread_pointer();
    let take = |gone: &&Gone| {
        gone.thread.compare_exchange(0, thread, Ordering::Acquire, Ordering::Relaxed).is_ok()
    };
    let gone = own().or_else(|| GONE.iter().find(take))?;
    gone.base.store(stack.base, Ordering::Relaxed);
    gone.size.store(stack.size, Ordering::Relaxed);
    gone.flags.store(now.ss_flags, Ordering::Relaxed);
    if call::disable_altstack().is_err() {
        gone.forget();
        return None;
    }
    ANY.store(true, Ordering::Relaxed);
    Some(gone)
}

/// The call that removed the memory was successful.
pub(super) fn tell() {
    static TOLD: AtomicBool = AtomicBool::new(false);
    if !TOLD.swap(true, Ordering::Relaxed) {
        log::warn!(
            "an alternate stack was unmapped while it was set: its thread's handlers run on the \
             ordinary stack. Remedy: disable a stack before you unmap it"
        );
    }
}

/// The calling thread mapped `[start, start + length)`: its stack may be there
/// again. Async-signal-safe.
#[inline]
pub fn returned(start: usize, length: usize) {
    if ANY.load(Ordering::Relaxed) {
        put_back_if_there(start, length);
    }
}

#[cold]
#[inline(never)]
fn put_back_if_there(start: usize, length: usize) {
    let Some(gone) = own() else { return };
    let pages = gone.pages();
    let mapped = Pages::around(start, start.saturating_add(length));
    let there = !pages.common(mapped).is_empty() && call::is_mapped(pages.address(), pages.bytes());
    if there && ours() {
        gone.put_back();
    }
}

/// The calling thread has set or disabled its stack, or is ending.
pub(crate) fn forget() {
    if let Some(gone) = own() {
        gone.forget();
    }
}

/// Shows the stack that the calling thread believes to have.
pub(crate) fn translate(old: *mut libc::stack_t) {
    let Some(gone) = own().filter(|_| !old.is_null()) else { return };
    // SAFETY: the kernel has just written it.
    let said = unsafe { old.read_unaligned() };
    if said.ss_flags & libc::SS_DISABLE != 0 {
        // SAFETY: as above.
        unsafe { old.write_unaligned(gone.stack()) };
    }
}
