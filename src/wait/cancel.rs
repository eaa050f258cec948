//! The sleep as a cancellation point.
//!
//! libc cancels a thread that sleeps in one of *its* calls; ours are none. So
//! the thread is made asynchronously cancellable while it sleeps, and only
//! then: the sleep consumes nothing, so a thread that ends in it takes no
//! child along. The reap runs with the program's own cancellation type.

use core::ffi::c_int;
use core::sync::atomic::{AtomicUsize, Ordering};

/// `pthread_setcanceltype` of the libc in this process; 0: it has none.
static SET_TYPE: AtomicUsize = AtomicUsize::new(0);

/// The same number in glibc and musl.
const ASYNCHRONOUS: c_int = 1;

/// Tells this module where `pthread_setcanceltype` is; 0 for nowhere.
///
/// # Safety
/// `address` is 0 or that function's address.
pub unsafe fn locate(address: usize) {
    SET_TYPE.store(address, Ordering::Relaxed);
}

fn set_type(kind: c_int) -> c_int {
    type SetType = unsafe extern "C" fn(c_int, *mut c_int) -> c_int;
    let mut old = 0;
    match SET_TYPE.load(Ordering::Relaxed) {
        0 => {}
        address => {
            // SAFETY: `locate` was given the address of such a function.
            let set = unsafe { core::mem::transmute::<usize, SetType>(address) };
            // SAFETY: `old` is live. The call may end the thread: no frame
            // above it owns anything.
            unsafe { set(kind, &raw mut old) };
        }
    }
    old
}

/// Whether a wait is a cancellation point: libc's functions are, syscall(2) is
/// not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cancellation {
    /// It is.
    Point,
    /// It is not.
    None,
}

impl Cancellation {
    /// Runs `sleep`, cancellable if that is meant. A cancellation that is
    /// pending acts before it.
    #[inline]
    pub fn around<T>(self, sleep: impl FnOnce() -> T) -> T {
        if self == Cancellation::None {
            return sleep();
        }
        let own = set_type(ASYNCHRONOUS);
        let result = sleep();
        if own != ASYNCHRONOUS {
            set_type(own);
        }
        result
    }

    /// Acts on a cancellation that is pending, as every wait does on entry.
    #[inline]
    pub fn test(self) {
        self.around(|| ());
    }
}
