// A Rust program that overflows its stack: std tells it from the alternate stack, and aborts.
use std::ptr::read_volatile;

#[inline(never)]
#[allow(unconditional_recursion)]
fn deeper(depth: u64) -> u64 {
    let room = [depth; 64];
    // SAFETY: a live variable.
    let more = unsafe { read_volatile(&depth) };
    deeper(more + 1) + unsafe { read_volatile(&room[7]) }
}

fn main() {
    if std::env::args().nth(1).as_deref() == Some("thread") {
        // Others come and go, each with an alternate stack of its own.
        for _ in 0..50 {
            std::thread::spawn(|| ()).join().unwrap();
        }
        std::thread::Builder::new().name("deep".into()).spawn(|| deeper(0)).unwrap().join().unwrap();
    } else {
        deeper(0);
    }
}
