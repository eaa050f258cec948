//! The sleep as a cancellation point.
//!
//! libc cancels a thread that sleeps in one of *its* calls; ours are none. So
//! a waiting thread is made asynchronously cancellable, with signals blocked
//! while it is awake: libc cancels by a signal, so that acts in the sleep, and
//! only there. The sleep consumes nothing, so a thread that ends in it takes no
//! child along. Before signals are unblocked behind the reap, and before a
//! handler runs, the program's own type is put back.

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

/// The type that was, `None` where there is none.
fn set_type(kind: c_int) -> Option<c_int> {
    type SetType = unsafe extern "C" fn(c_int, *mut c_int) -> c_int;
    let mut old = ASYNCHRONOUS;
    match SET_TYPE.load(Ordering::Relaxed) {
        0 => return None,
        address => {
            // SAFETY: `locate` was given the address of such a function.
            let set = unsafe { core::mem::transmute::<usize, SetType>(address) };
            // SAFETY: `old` is live. The call may end the thread: no frame
            // above it owns anything.
            unsafe { set(kind, &raw mut old) };
        }
    }
    Some(old)
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
    /// Makes the thread cancellable, if that is meant. A cancellation that is
    /// pending acts now, as it does at the entry of every wait.
    #[inline]
    pub fn begin(self) -> Own {
        Own(match self {
            Cancellation::Point => set_type(ASYNCHRONOUS).filter(|&own| own != ASYNCHRONOUS),
            Cancellation::None => None,
        })
    }
}

/// The program's own type, where it is not the one in force.
#[derive(Clone, Copy)]
pub struct Own(Option<c_int>);

impl Own {
    /// Puts it back. Nothing acts. Async-signal-safe.
    #[inline]
    pub fn put_back(self) {
        if let Some(own) = self.0 {
            set_type(own);
        }
    }
}
