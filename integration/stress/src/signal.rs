//! Sends a signal to the own thread and records what its handler found.

use std::sync::atomic::{AtomicUsize, Ordering};

use crate::kernel;

/// The signal that is used.
const SIGNAL: libc::c_int = libc::SIGUSR1;

/// The total number of frames checked.
pub static FRAMES: AtomicUsize = AtomicUsize::new(0);

/// A delivery to check, and its nested ones. The handler receives its address.
#[derive(Clone, Copy, Default)]
struct Delivery {
    /// The alternate stack.
    base: usize,
    size: usize,
    /// Deliveries to make inside the handler.
    nested: usize,
    /// Fork inside the innermost handler.
    forks: bool,
    before: i64,
    faults: i64,
    seen: usize,
    outside: usize,
    child: i32,
}

/// Installs the handler.
pub fn install() {
    // SAFETY: plain C data, filled in.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = handler as *const () as usize;
        action.sa_flags = libc::SA_ONSTACK | libc::SA_SIGINFO | libc::SA_NODEFER | libc::SA_RESTART;
        assert_eq!(libc::sigaction(SIGNAL, &raw const action, std::ptr::null_mut()), 0);
    }
}

extern "C" fn handler(_: libc::c_int, info: *mut libc::siginfo_t, _: *mut libc::c_void) {
    let now = kernel::faults();
    let here = &raw const now as usize;
    // SAFETY: `deliver` passes a live Delivery, which nothing else uses meanwhile.
    let delivery = unsafe { &mut *(*info).si_value().sival_ptr.cast::<Delivery>() };
    delivery.faults += now - delivery.before;
    delivery.seen += 1;
    let stack = delivery.base..delivery.base + delivery.size;
    delivery.outside += usize::from(!stack.contains(&here));
    if delivery.nested > 0 {
        delivery.nested -= 1;
        deliver(delivery);
    } else if delivery.forks {
        delivery.forks = false;
        // SAFETY: the child only takes a signal and ends.
        unsafe {
            let child = libc::fork();
            if child == 0 {
                libc::alarm(30);
                let moved = kernel::moved();
                warm_up(delivery);
                (delivery.seen, delivery.faults) = (0, 0);
                deliver(delivery);
                let good = delivery.seen == 1 && delivery.outside == 0;
                let good = good && (delivery.faults == 0 || kernel::has_moved_since(moved));
                libc::_exit(if good { 0 } else { 60 });
            }
            delivery.child = exit_code(child);
        }
    }
}

/// Sends the signal to the calling thread, which takes it before this returns.
fn deliver(delivery: &mut Delivery) {
    // SAFETY: plain C data, filled in as sigqueue(3) does.
    unsafe {
        let mut info: libc::siginfo_t = std::mem::zeroed();
        info.si_signo = SIGNAL;
        info.si_code = libc::SI_QUEUE;
        // The value lies where a fault's address would be, plus 8 bytes.
        let value = (&raw mut info).cast::<*mut Delivery>().add(3);
        value.write(delivery);
        let (pid, tid) = (libc::getpid(), libc::syscall(libc::SYS_gettid));
        delivery.before = kernel::faults(); // the first call may itself fault
        delivery.before = kernel::faults();
        libc::syscall(libc::SYS_rt_tgsigqueueinfo, pid, tid, SIGNAL, &raw const info);
    }
}

/// Calls the handler as a function, so that its code and our stack are resident.
fn warm_up(delivery: &Delivery) {
    let before = kernel::faults();
    let mut rehearsal = Delivery { nested: 0, forks: false, before, ..*delivery };
    // SAFETY: as in `deliver`.
    unsafe {
        let mut info: libc::siginfo_t = std::mem::zeroed();
        (&raw mut info).cast::<*mut Delivery>().add(3).write(&raw mut rehearsal);
        libc::syscall(libc::SYS_getpid);
        handler(SIGNAL, &raw mut info, std::ptr::null_mut());
    }
}

/// How a child ended.
pub fn exit_code(child: libc::pid_t) -> i32 {
    let mut status = 0;
    // SAFETY: a live variable for the status.
    unsafe {
        while libc::waitpid(child, &raw mut status, 0) < 0 {
            if *libc::__errno_location() != libc::EINTR {
                return 61;
            }
        }
    }
    if libc::WIFEXITED(status) { libc::WEXITSTATUS(status) } else { 128 + libc::WTERMSIG(status) }
}

/// Takes 1 + `nested` signals on the stack `[base, base + size)`, and forks in the
/// innermost handler if `forks`. Returns the number of faults at the frames.
pub fn raise(base: usize, size: usize, nested: usize, forks: bool) -> Result<i64, String> {
    let mut delivery = Delivery { base, size, nested, forks, ..Delivery::default() };
    warm_up(&delivery);
    deliver(&mut delivery);
    FRAMES.fetch_add(delivery.seen, Ordering::Relaxed);
    if delivery.outside > 0 || delivery.seen != nested + 1 {
        return Err(format!("{} of {} frames outside the stack", delivery.outside, delivery.seen));
    }
    if delivery.child != 0 {
        return Err(format!("the child of a handler ended with {}", delivery.child));
    }
    Ok(delivery.faults)
}
