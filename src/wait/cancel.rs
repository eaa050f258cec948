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

/// `pthread_setcancelstate`, likewise.
static SET_STATE: AtomicUsize = AtomicUsize::new(0);

/// The same numbers in glibc and musl.
const ASYNCHRONOUS: c_int = 1;
const DISABLED: c_int = 1;

/// Tells this module where `pthread_setcanceltype` and `pthread_setcancelstate`
/// are; 0 for nowhere.
///
/// # Safety
/// Each is 0 or that function's address.
pub unsafe fn locate(set_type: usize, set_state: usize) {
    SET_TYPE.store(set_type, Ordering::Relaxed);
    SET_STATE.store(set_state, Ordering::Relaxed);
}

/// What was, `None` where there is no such function.
fn set(function: &AtomicUsize, value: c_int) -> Option<c_int> {
    type Set = unsafe extern "C" fn(c_int, *mut c_int) -> c_int;
    let mut old = value;
    match function.load(Ordering::Relaxed) {
        0 => return None,
        address => {
            // SAFETY: `locate` was given the address of such a function.
            let set = unsafe { core::mem::transmute::<usize, Set>(address) };
            // SAFETY: `old` is live. The call may end the thread: no frame
            // above it owns anything.
            unsafe { set(value, &raw mut old) };
        }
    }
    Some(old)
}

fn set_type(kind: c_int) -> Option<c_int> {
    set(&SET_TYPE, kind)
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
    #[must_use]
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

/// Cancellation as the program had it enabled, while it is not: for calls of
/// what may be a cancellation point, which it is not to be.
#[derive(Clone, Copy)]
pub(super) struct Disabled(Option<c_int>);

impl Disabled {
    /// Disables it, if `wanted`.
    pub fn when(wanted: bool) -> Self {
        Disabled(if wanted { set(&SET_STATE, DISABLED) } else { None })
    }

    /// Puts it back. A cancellation that is pending acts now, unless the
    /// program's own type is back and is another.
    pub fn put_back(self) {
        if let Some(own) = self.0 {
            set(&SET_STATE, own);
        }
    }
}
