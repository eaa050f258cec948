//! A program asks for a processor feature with a large state (AMX), by
//! arch_prctl(2) through syscall(2). The kernel refuses while any thread has an
//! alternate stack that is too small for a frame with that state, and does not
//! say which thread. We do, at `SIGWARD_LOG=warn`.

use core::ffi::{c_int, c_long};
use core::fmt::Write;
use core::sync::atomic::{AtomicBool, AtomicI32, AtomicUsize, Ordering};

use crate::arch;
use crate::os::call;
use crate::os::errno;
use crate::os::line::Line;
use crate::residency::charge::OWNER;
use crate::residency::frame;

/// Stacks of this size or more are never too small, in bytes.
const ENOUGH: usize = 64 << 10;

/// The most threads with a small stack that are known at a time.
const MOST: usize = 64;

/// Whether stacks are followed.
static FOLLOWED: AtomicBool = AtomicBool::new(false);

struct Small {
    /// Its thread, 0 for none.
    thread: AtomicI32,
    /// What the kernel has, in bytes.
    size: AtomicUsize,
}

static SMALL: [Small; MOST] =
    [const { Small { thread: AtomicI32::new(0), size: AtomicUsize::new(0) } }; MOST];

/// Follows which stacks are small from now on. Call this once, at load.
pub(super) fn follow() {
    FOLLOWED.store(true, Ordering::Relaxed);
}

/// The calling thread has registered a stack of `size` bytes, or none.
pub(super) fn after_change(size: Option<usize>) {
    if !FOLLOWED.load(Ordering::Relaxed) {
        return;
    }
    let thread = call::gettid();
    let of = |wanted| SMALL.iter().find(|it| it.thread.load(Ordering::Relaxed) == wanted);
    match (size.filter(|&size| size < ENOUGH), of(thread)) {
        (None, Some(known)) => known.thread.store(0, Ordering::Relaxed),
        (None, None) => {}
        (Some(size), known) => {
            // Two threads may take the same one: then one is missing.
            let Some(place) = known.or_else(|| of(0)) else { return };
            place.size.store(size, Ordering::Relaxed);
            place.thread.store(thread, Ordering::Relaxed);
        }
    }
}

/// arch_prctl(2) by `commit`, with this first argument. Async-signal-safe.
pub fn ask(code: usize, commit: impl FnOnce() -> c_long) -> c_long {
    let result = commit();
    if code == arch::REQUEST_FEATURE && result == -1 && errno::get() == libc::ENOSPC {
        let _errno = errno::Kept::now();
        tell();
    }
    result
}

fn tell() {
    if !log::log_enabled!(log::Level::Warn) {
        return;
    }
    let (pid, needed) = (OWNER.pid(), frame::size());
    let mut who = Line::default();
    let mut separator = "";
    let threads =
        SMALL.iter().map(|it| (it.thread.load(Ordering::Relaxed), it.size.load(Ordering::Relaxed)));
    let exists = |thread: c_int| thread != 0 && call::thread_exists(pid, thread);
    for (thread, size) in threads.filter(|&(thread, size)| size < needed && exists(thread)).take(8)
    {
        // Writing to a `Line` cannot fail.
        let _ = write!(who, "{separator}thread {thread} has {size} bytes");
        separator = ", ";
    }
    let who = core::str::from_utf8(who.as_bytes()).unwrap_or("");
    if who.is_empty() {
        log::warn!(
            "the kernel refuses a processor feature because of a small alternate stack, which was \
             not set through libc; a frame needs {needed} bytes"
        );
    } else {
        log::warn!(
            "the kernel refuses a processor feature because of small alternate stacks: {who}; a \
             frame needs {needed}. Remedy: SIGWARD_SIZE=fix"
        );
    }
}
