//! Writes to standard error so that it harms nobody.
//!
//! The program never asked for a line of ours. The write must not kill the
//! program (SIGPIPE, SIGXFSZ), stop it (SIGTTOU), hang it (a full pipe, a
//! stopped terminal), or end up in another file that has become descriptor 2
//! since. If it might, the line is dropped. `docs/limits.md` lists the cases
//! that remain.

use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use super::call;
use super::errno::Errno;
use super::signals::{self, Blocked, Mask};

const STDERR: core::ffi::c_int = libc::STDERR_FILENO;

/// The signals that a write can raise on its own thread. (A thread that blocks
/// SIGTTOU does not get it: the write goes ahead.)
const RAISED: Mask = signals::bit(libc::SIGPIPE) | signals::bit(libc::SIGXFSZ);

/// Whether lines are written at all.
static OPEN: AtomicBool = AtomicBool::new(false);

/// Device and inode of what was standard error at load.
static FILE: [AtomicU64; 2] = [const { AtomicU64::new(0) }; 2];

/// Enables lines, to the file that is standard error now. Nothing is written
/// before. Call this at load, and only if there may be something to say: it
/// costs a system call.
pub fn open() {
    let Ok(file) = call::fstat(STDERR) else { return };
    // The kernel's anonymous files, such as event counters, all share one
    // inode.
    if matches!(kind(&file), libc::S_IFREG | libc::S_IFCHR | libc::S_IFIFO | libc::S_IFSOCK) {
        for (place, value) in FILE.iter().zip([file.st_dev, file.st_ino]) {
            place.store(value, Ordering::Relaxed);
        }
        OPEN.store(true, Ordering::Release);
    }
}

/// Disables lines. Returns whether they were enabled, for [`reopen`].
/// Async-signal-safe.
pub fn close() -> bool {
    OPEN.swap(false, Ordering::Relaxed)
}

/// Undoes [`close`], which returned `was_open`. Async-signal-safe.
pub fn reopen(was_open: bool) {
    OPEN.store(was_open, Ordering::Release);
}

/// Whether lines are written. Async-signal-safe.
#[must_use]
pub fn is_open() -> bool {
    OPEN.load(Ordering::Acquire)
}

/// Writes `line`, at most `PIPE_BUF` (4096) bytes, or drops it.
/// Async-signal-safe.
pub fn write(line: &[u8]) {
    if !is_open() {
        return;
    }
    // Block all signals, not only those that the write can raise: of two
    // SIGPIPEs, ours and one from a handler's own write, only one would be
    // left.
    let _blocked = Blocked::over_line();
    let Ok(file) = call::fstat(STDERR) else { return };
    let same = FILE.iter().zip([file.st_dev, file.st_ino]);
    if same.into_iter().any(|(noted, now)| noted.load(Ordering::Relaxed) != now) {
        return;
    }
    let kind = kind(&file);
    if kind != libc::S_IFREG && !call::has_room(STDERR) {
        return;
    }
    let earlier = signals::pending();
    let outcome = match kind {
        // Never sleeps for a reader. RWF_NOWAIT would fail if a page were
        // missing.
        libc::S_IFREG => call::write(STDERR, line),
        libc::S_IFSOCK => call::send_at_once(STDERR, line),
        _ => match call::write_at_once(STDERR, line) {
            // This kernel or this kind of file does not support such a write.
            Err(Errno::EOPNOTSUPP | Errno::EINVAL | Errno::ENOSYS | Errno::EPERM) => {
                call::write(STDERR, line)
            }
            outcome => outcome,
        },
    };
    if outcome != Ok(line.len()) {
        let _ = signals::consume(RAISED & !earlier);
    }
}

fn kind(file: &libc::stat64) -> u32 {
    file.st_mode & libc::S_IFMT
}
