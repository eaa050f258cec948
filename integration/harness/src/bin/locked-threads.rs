//! How much memory the threads of a Rust program lock: `locked-threads THREADS [STACK]` prints
//! the growth of `VmLck` in KiB while THREADS threads run, each with the alternate stack that
//! std gives it, or with its own of STACK bytes.

use std::fs;
use std::ptr;
use std::sync::{Arc, Barrier};
use std::thread;

fn main() {
    let numbers: Vec<usize> =
        std::env::args().skip(1).map(|word| word.parse().expect("a number")).collect();
    let (threads, stack) = match numbers[..] {
        [threads] => (threads, None),
        [threads, stack] => (threads, Some(stack)),
        _ => panic!("usage: locked-threads THREADS [STACK]"),
    };
    let before = locked_kib();
    let ready = Arc::new(Barrier::new(threads + 1));
    let done = Arc::new(Barrier::new(threads + 1));
    let all: Vec<_> = (0..threads)
        .map(|_| {
            let (ready, done) = (Arc::clone(&ready), Arc::clone(&done));
            let body = move || {
                let _own = stack.map(OwnStack::install);
                ready.wait();
                done.wait();
            };
            thread::Builder::new().stack_size(64 << 10).spawn(body).expect("a thread")
        })
        .collect();
    ready.wait();
    println!("{}", locked_kib() - before);
    done.wait();
    for thread in all {
        thread.join().expect("no thread panics");
    }
}

fn locked_kib() -> u64 {
    let status = fs::read_to_string("/proc/self/status").expect("/proc");
    let line = status.lines().find_map(|line| line.strip_prefix("VmLck:")).expect("VmLck");
    line.trim().trim_end_matches(" kB").parse().expect("a number")
}

/// Page-aligned memory that is the thread's alternate stack while this value exists.
struct OwnStack {
    base: *mut libc::c_void,
    size: usize,
    previous: libc::stack_t,
}

impl OwnStack {
    fn install(size: usize) -> Self {
        let (protection, flags) =
            (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
        // SAFETY: fresh anonymous memory.
        let base = unsafe { libc::mmap(ptr::null_mut(), size, protection, flags, -1, 0) };
        assert_ne!(base, libc::MAP_FAILED, "mmap");
        let new = libc::stack_t { ss_sp: base, ss_flags: 0, ss_size: size };
        let mut previous = new;
        // SAFETY: the memory is ours until `drop` has restored the previous stack.
        let done = unsafe { libc::sigaltstack(&raw const new, &raw mut previous) };
        assert_eq!(done, 0, "sigaltstack");
        Self { base, size, previous }
    }
}

impl Drop for OwnStack {
    fn drop(&mut self) {
        // SAFETY: std's own stack still exists; after the call nothing refers to ours.
        unsafe {
            libc::sigaltstack(&raw const self.previous, ptr::null_mut());
            libc::munmap(self.base, self.size);
        }
    }
}
