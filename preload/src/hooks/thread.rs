//! Being told when a thread ends.
//!
//! By a thread-specific data key made at load: no hook, no TLS of our own.
//! glibc allocates for keys from 32 on; with such a key, or none, dead threads
//! are found by sweeping (`altstack::registry`).

use core::ffi::{c_int, c_uint, c_void};
use core::sync::atomic::{AtomicU32, Ordering};

use sigward_core::altstack;
use sigward_core::sys::errno;

use crate::originals::{self, Id};

type Destructor = unsafe extern "C" fn(*mut c_void);
type Create = unsafe extern "C" fn(*mut c_uint, Option<Destructor>) -> c_int;
type Set = unsafe extern "C" fn(c_uint, *const c_void) -> c_int;

/// No key: one that no libc hands out.
const NONE: u32 = u32::MAX;
/// Keys below this are stored without allocation in glibc and musl.
const CHEAP_KEYS: u32 = 32;
/// The rounds of destructors that POSIX promises.
const ROUNDS: usize = 4;

static KEY: AtomicU32 = AtomicU32::new(NONE);

/// Makes the key. To be called once, at load.
pub fn make_key() {
    let (Some(create), Some(_)) =
        (originals::peek(Id::pthread_key_create), originals::peek(Id::pthread_setspecific))
    else {
        return;
    };
    let mut key = NONE;
    // SAFETY: found under that name; a live place for the key.
    let result =
        unsafe { core::mem::transmute::<usize, Create>(create)(&raw mut key, Some(round)) };
    if result == 0 && key < CHEAP_KEYS {
        KEY.store(key, Ordering::Relaxed);
    }
}

/// Asks for a notice when the calling thread ends. Async-signal-safe, as the
/// key is cheap.
pub fn ask_for_notice() {
    set(1);
}

fn set(round: usize) {
    let key = KEY.load(Ordering::Relaxed);
    if let Some(address) = originals::peek(Id::pthread_setspecific).filter(|_| key != NONE) {
        let _errno = errno::Kept::now();
        // SAFETY: found under that name; the key is ours.
        unsafe { core::mem::transmute::<usize, Set>(address)(key, round as *const c_void) };
    }
}

/// One round of destructors: other destructors may still run, be interrupted
/// by signals and use the stack, so it is released in the last.
unsafe extern "C" fn round(round: *mut c_void) {
    match round as usize {
        ROUNDS.. => altstack::thread_exit(),
        earlier => set(earlier + 1),
    }
}
