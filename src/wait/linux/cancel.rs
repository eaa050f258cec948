//! The sleep as a cancellation point.
//!
//! libc cancels a thread that sleeps in one of *its* calls, and ours are not
//! its calls. So a waiting thread is made asynchronously cancellable, with
//! signals blocked while it is awake. libc cancels by a signal, so a
//! cancellation acts during the sleep, and only there. The sleep consumes
//! nothing, so a thread that ends in it takes no child along. The program's own
//! cancellation type is restored before signals are unblocked after the reap,
//! and before a handler runs.

use core::ffi::c_int;
use core::sync::atomic::{AtomicUsize, Ordering};

/// `pthread_setcanceltype` of the libc in this process; 0 if it has none.
static SET_TYPE: AtomicUsize = AtomicUsize::new(0);

/// `pthread_setcancelstate`, likewise.
static SET_STATE: AtomicUsize = AtomicUsize::new(0);

/// These numbers are the same in glibc and musl.
const ASYNCHRONOUS: c_int = 1;
const DISABLED: c_int = 1;

/// Sets the addresses of `pthread_setcanceltype` and `pthread_setcancelstate`;
/// 0 if missing.
///
/// # Safety
/// Each is 0 or the address of that function.
pub unsafe fn locate(set_type: usize, set_state: usize) {
    SET_TYPE.store(set_type, Ordering::Relaxed);
    SET_STATE.store(set_state, Ordering::Relaxed);
}

/// Returns the previous value; `None` if there is no such function.
fn set(function: &AtomicUsize, value: c_int) -> Option<c_int> {
    type Set = unsafe extern "C" fn(c_int, *mut c_int) -> c_int;
    let mut old = value;
    match function.load(Ordering::Relaxed) {
        0 => return None,
        address => {
            // SAFETY: `locate` was given the address of such a function.
            let set = unsafe { core::mem::transmute::<usize, Set>(address) };
            // SAFETY: `old` is live. The call may end the thread: none of the
            // frames that this unwinds owns anything.
            unsafe { set(value, &raw mut old) };
        }
    }
    Some(old)
}

fn set_type(kind: c_int) -> Option<c_int> {
    set(&SET_TYPE, kind)
}

/// Whether a wait is a cancellation point: those of libc's functions are, that
/// of syscall(2) is not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cancellation {
    /// The wait is one.
    Point,
    /// The wait is not one.
    None,
}

impl Cancellation {
    /// For a cancellation point, makes the thread cancellable. A pending
    /// cancellation acts now, as it does on entry to every wait.
    #[must_use]
    #[inline]
    pub fn begin(self) -> Own {
        Own(match self {
            Cancellation::Point => set_type(ASYNCHRONOUS).filter(|&own| own != ASYNCHRONOUS),
            Cancellation::None => None,
        })
    }
}

/// The program's own cancellation type, if another type is in force.
#[derive(Clone, Copy)]
pub struct Own(Option<c_int>);

impl Own {
    /// Restores it. No cancellation acts. Async-signal-safe.
    #[inline]
    pub fn put_back(self) {
        if let Some(own) = self.0 {
            set_type(own);
        }
    }
}

/// The program's own cancellation state, while cancellation is disabled for a
/// call that may be a cancellation point but must not act as one.
#[derive(Clone, Copy)]
pub(super) struct Disabled(Option<c_int>);

impl Disabled {
    /// Disables cancellation if `wanted`.
    pub fn when(wanted: bool) -> Self {
        Disabled(if wanted { set(&SET_STATE, DISABLED) } else { None })
    }

    /// Restores the state. A pending cancellation acts now, unless the
    /// program's own type is back in force and is not asynchronous.
    pub fn put_back(self) {
        if let Some(own) = self.0 {
            set(&SET_STATE, own);
        }
    }
}
