//! A typical Rust program: std gives each of its threads an alternate stack, for the
//! message at a stack overflow. Any handler with `SA_ONSTACK` then runs there.

use std::mem;
use std::ptr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

static SEEN: AtomicUsize = AtomicUsize::new(0);

extern "C" fn handler(_: libc::c_int) {
    SEEN.fetch_add(1, Ordering::Relaxed);
}

fn main() {
    // SAFETY: a zeroed sigaction is valid: SIG_DFL, no flags, an empty mask.
    let mut action: libc::sigaction = unsafe { mem::zeroed() };
    action.sa_sigaction = handler as *const () as usize;
    action.sa_flags = libc::SA_ONSTACK | libc::SA_RESTART;
    // SAFETY: the action is valid and the handler async-signal-safe.
    let done = unsafe { libc::sigaction(libc::SIGUSR1, &raw const action, ptr::null_mut()) };
    assert_eq!(done, 0, "sigaction");

    let threads: Vec<_> = (0..8).map(|_| thread::spawn(take_signal)).collect();
    take_signal();
    for thread in threads {
        thread.join().expect("no thread panics");
    }
    println!("signals: {}", SEEN.load(Ordering::Relaxed));
}

fn take_signal() {
    // SAFETY: raise takes no pointers, and SIGUSR1 has a handler.
    unsafe { libc::raise(libc::SIGUSR1) };
}
