//! What sigward changes in its own process before anything else, and how that is undone
//! before a program gets it.
//!
//! Rust's start-up code does not run: it opens descriptors 0 to 2 where they are closed, ends
//! the process if /dev/null is missing, and ignores SIGPIPE. A program shall get what sigward
//! was given.

use std::ffi::{CStr, OsStr, OsString, c_char, c_int};
use std::mem::MaybeUninit;
use std::os::unix::ffi::OsStrExt;
use std::sync::atomic::{AtomicBool, Ordering};

use nix::fcntl::{OFlag, open};
use nix::sys::signal::{SigHandler, Signal, signal};
use nix::sys::stat::Mode;

/// Whether SIGPIPE was ignored when we started.
static SIGPIPE_WAS_IGNORED: AtomicBool = AtomicBool::new(false);

/// The arguments of `main`.
///
/// # Safety
/// They are those of `main`.
pub unsafe fn arguments(count: c_int, vector: *const *const c_char) -> Vec<OsString> {
    let argument = |at: usize| {
        // SAFETY: below `count`, so a C string.
        let argument = unsafe { CStr::from_ptr(*vector.add(at)) };
        OsStr::from_bytes(argument.to_bytes()).to_owned()
    };
    (0..usize::try_from(count).unwrap_or(0)).map(argument).collect()
}

/// Has writes to a pipe that nobody reads fail, rather than end us.
pub fn ignore_sigpipe() {
    let mut action = MaybeUninit::<libc::sigaction>::uninit();
    // SAFETY: no new action is given, and `action` has room for the old one.
    let asked = unsafe { libc::sigaction(libc::SIGPIPE, std::ptr::null(), action.as_mut_ptr()) };
    if asked == 0 {
        // SAFETY: sigaction succeeded, so it has filled `action`.
        let ignored = unsafe { action.assume_init() }.sa_sigaction == libc::SIG_IGN;
        SIGPIPE_WAS_IGNORED.store(ignored, Ordering::Relaxed);
    }
    // SAFETY: the disposition runs no code of ours.
    let _ = unsafe { signal(Signal::SIGPIPE, SigHandler::SigIgn) };
}

/// Tells the core what `AT_PAGESZ` and `AT_HWCAP` say.
pub fn learn_from_kernel() {
    // SAFETY: plain queries; 0 if the kernel does not say.
    sigward::os::page::learn(unsafe { libc::getauxval(libc::AT_PAGESZ) } as usize);
    // SAFETY: the same.
    sigward::arch::learn(|| unsafe { libc::getauxval(libc::AT_HWCAP) });
}

/// Puts SIGPIPE back.
pub fn restore_sigpipe() {
    if !SIGPIPE_WAS_IGNORED.load(Ordering::Relaxed) {
        // SAFETY: the disposition runs no code of ours.
        let _ = unsafe { signal(Signal::SIGPIPE, SigHandler::SigDfl) };
    }
}

/// Opens descriptors 0 to 2 where they are closed, so that no file that a report opens gets
/// their numbers. Not for `run`: the program gets them as they are.
pub fn open_standard_descriptors() {
    // The lowest free descriptor is the one that is opened.
    while let Ok(descriptor) = open("/dev/null", OFlag::O_RDWR, Mode::empty()) {
        if std::os::fd::AsRawFd::as_raw_fd(&descriptor) > 2 {
            return;
        }
        std::mem::forget(descriptor);
    }
}
