//! Error numbers as values, and the guard that preserves the program's `errno`.

use core::ffi::c_int;
use core::fmt;
use core::sync::atomic::{AtomicUsize, Ordering};

#[cfg(target_os = "linux")]
use crate::arch;

/// An error number. The constants are those that this library tells apart.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Errno(pub c_int);

macro_rules! named {
    ($($name:ident)*) => {
        #[allow(missing_docs, reason = "the names are those of errno(3)")]
        impl Errno {
            $(pub const $name: Errno = Errno(libc::$name);)*

            /// The symbolic name; `None` if there is no constant for it.
            #[must_use]
            pub const fn name(self) -> Option<&'static str> {
                match self.0 {
                    $(libc::$name => Some(stringify!($name)),)*
                    _ => None,
                }
            }
        }
    };
}

named!(EPERM ESRCH EINTR EAGAIN ENOMEM EACCES EFAULT EBUSY EINVAL ENOSYS ECHILD ENOENT EBADF EOPNOTSUPP);

impl Errno {
    /// Decodes a raw result: the kernel returns errors as -4095..=-1.
    ///
    /// # Errors
    /// The error that `result` encodes.
    #[inline]
    pub const fn judge(result: isize) -> Result<usize, Errno> {
        if result < 0 && result >= -4095 {
            Err(Errno(-result as c_int))
        } else {
            Ok(result as usize)
        }
    }
}

impl fmt::Display for Errno {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.write_str(name),
            None => write!(f, "errno {}", self.0),
        }
    }
}

impl fmt::Debug for Errno {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Where libc keeps the calling thread's `errno`.
type Location = unsafe extern "C" fn() -> *mut c_int;

/// The address of `__errno_location` of the libc in this process; 0 until
/// known.
static LOCATION: AtomicUsize = AtomicUsize::new(0);

/// The function that finds it on first use; 0 if none.
static FINDER: AtomicUsize = AtomicUsize::new(0);

/// Sets the address of this process's `__errno_location`; 0 for none.
///
/// # Safety
/// `address` is 0 or the address of that function.
pub unsafe fn locate(address: usize) {
    LOCATION.store(address, Ordering::Relaxed);
}

/// Sets the function that finds `__errno_location` on first use.
///
/// # Safety
/// `find` is async-signal-safe, and returns 0 or the address of that function.
pub unsafe fn locate_by(find: fn() -> usize) {
    set_once(&FINDER, find as usize);
}

/// Stores a value that is the same for all threads. Helgrind and drd would
/// report a plain store as a data race of the program.
fn set_once(place: &AtomicUsize, value: usize) {
    let _ = place.compare_exchange(0, value, Ordering::Relaxed, Ordering::Relaxed);
}

/// The calling thread's `errno`; null if libc's function is not known.
#[cfg(target_os = "linux")]
fn location() -> *mut c_int {
    match DISTANCE.load(Ordering::Relaxed) {
        0 => measure(),
        distance => arch::thread_pointer().wrapping_add(distance) as *mut c_int,
    }
}

#[cfg(not(target_os = "linux"))]
fn location() -> *mut c_int {
    ask()
}

/// The distance from a thread's thread pointer to its `errno`; 0 until known.
/// It is the same for all threads: glibc keeps `errno` in its static
/// thread-local storage, musl in its own structure of the thread. A function
/// call before each mmap(2) would be expensive.
#[cfg(target_os = "linux")]
static DISTANCE: AtomicUsize = AtomicUsize::new(0);

#[cfg(target_os = "linux")]
#[cold]
#[inline(never)]
fn measure() -> *mut c_int {
    let place = ask();
    if !place.is_null() {
        set_once(&DISTANCE, (place as usize).wrapping_sub(arch::thread_pointer()));
    }
    place
}

/// The same, from libc's function.
fn ask() -> *mut c_int {
    let address = match LOCATION.load(Ordering::Relaxed) {
        0 => find_location(),
        address => address,
    };
    if address == 0 {
        return core::ptr::null_mut();
    }
    // SAFETY: the address of such a function, by the contract of `locate` and
    // of `locate_by`.
    let ask = unsafe { core::mem::transmute::<usize, Location>(address) };
    // SAFETY: it has no precondition.
    unsafe { ask() }
}

#[cold]
#[inline(never)]
fn find_location() -> usize {
    let address = match FINDER.load(Ordering::Relaxed) {
        0 => 0,
        find => {
            // SAFETY: stored by `locate_by`.
            let find = unsafe { core::mem::transmute::<usize, fn() -> usize>(find) };
            find()
        }
    };
    set_once(&LOCATION, address);
    address
}

/// The calling thread's `errno`; 0 if libc's function is not known.
/// Async-signal-safe.
#[must_use]
pub fn get() -> c_int {
    let place = location();
    // SAFETY: libc's own variable for this thread, or null.
    unsafe { place.as_ref() }.copied().unwrap_or(0)
}

/// Like [`get`], for hot calls: it calls no function, and so also returns 0 if
/// this module has not read or set an `errno` in this process before.
/// Async-signal-safe.
#[cfg(target_os = "linux")]
#[inline]
#[must_use]
pub fn known() -> c_int {
    #[cold]
    const fn unknown() -> c_int {
        0
    }
    match DISTANCE.load(Ordering::Relaxed) {
        0 => unknown(),
        // SAFETY: libc's own variable for this thread.
        distance => unsafe { *(arch::thread_pointer().wrapping_add(distance) as *const c_int) },
    }
}

/// Sets the calling thread's `errno`. Async-signal-safe.
#[inline(never)] // for size: every hook has a path that calls it
pub fn set(value: c_int) {
    // SAFETY: libc's own variable for this thread, or null.
    if let Some(place) = unsafe { location().as_mut() } {
        *place = value;
    }
}

/// Preserves `errno`. Held by code that calls an original for its own purposes,
/// which may change `errno`. Async-signal-safe.
#[must_use = "errno is put back when this is dropped"]
pub struct Kept(c_int);

impl Kept {
    /// Saves the current value.
    pub fn now() -> Self {
        Kept(get())
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        set(self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_are_read_as_the_kernel_means_them() {
        assert_eq!(Errno::judge(0), Ok(0));
        assert_eq!(Errno::judge(-1), Err(Errno::EPERM));
        assert_eq!(Errno::judge(-4095), Err(Errno(4095)));
        assert_eq!(Errno::judge(-4096), Ok(-4096_isize as usize));
        assert_eq!(Errno::judge(isize::MIN), Ok(isize::MIN as usize));
    }

    #[test]
    fn names_are_given_and_unknown_numbers_shown() {
        assert_eq!(Errno::ENOMEM.to_string(), "ENOMEM");
        assert_eq!(Errno(4000).to_string(), "errno 4000");
    }

    #[test]
    fn a_guard_puts_errno_back() {
        // SAFETY: the address of libc's own function.
        unsafe { locate(libc::__errno_location as *const () as usize) };
        set(libc::ENOTTY);
        {
            let _kept = Kept::now();
            // SAFETY: a descriptor that is not open.
            assert_eq!(unsafe { libc::close(-1) }, -1);
            assert_eq!(get(), libc::EBADF, "the call on the side moved errno");
        }
        assert_eq!(get(), libc::ENOTTY);
    }
}
