//! Standard error, written to so that it harms nobody.
//!
//! A line of ours is a write that the program never made. It must not kill the
//! program (SIGPIPE, SIGXFSZ), stop it (SIGTTOU), hang it (a full pipe, a
//! stopped terminal), or land in a file that has become descriptor 2 since.
//! Where it might, the line is dropped. `docs/limits.md` has what is left.

use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use super::call;
use super::errno::Errno;
use super::signals::{self, Blocked, Mask};

const STDERR: core::ffi::c_int = libc::STDERR_FILENO;

/// What a write can raise on the thread that makes it. (SIGTTOU is not sent
/// where it is blocked: the write goes ahead.)
const RAISED: Mask = signals::bit(libc::SIGPIPE) | signals::bit(libc::SIGXFSZ);

/// Whether lines are written at all.
static OPEN: AtomicBool = AtomicBool::new(false);

/// Device and inode of what was standard error at load.
static FILE: [AtomicU64; 2] = [const { AtomicU64::new(0) }; 2];

/// Has lines written from now on, to the file that is standard error now. To
/// be called at load, and only where there may be something to say: it costs a
/// system call. Until then nothing is written.
pub fn open() {
    let Ok(file) = call::fstat(STDERR) else { return };
    // All files of the kernel's own, such as event counters, are one inode.
    if matches!(kind(&file), libc::S_IFREG | libc::S_IFCHR | libc::S_IFIFO | libc::S_IFSOCK) {
        for (place, value) in FILE.iter().zip([file.st_dev, file.st_ino]) {
            place.store(value, Ordering::Relaxed);
        }
        OPEN.store(true, Ordering::Release);
    }
}

/// Has no line written any more. Returns whether any was, for [`reopen`].
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
    // All, not only those that can be raised: of two SIGPIPE, ours and that of
    // a handler's own write, one would be left.
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
        // Never sleeps for a reader; RWF_NOWAIT would fail for want of a page.
        libc::S_IFREG => call::write(STDERR, line),
        libc::S_IFSOCK => call::send_at_once(STDERR, line),
        _ => match call::write_at_once(STDERR, line) {
            // This kernel, or this kind of file, has no such write.
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

fn kind(file: &libc::stat) -> u32 {
    file.st_mode & libc::S_IFMT
}
