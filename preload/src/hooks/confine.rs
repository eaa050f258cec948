//! The calls by which a program confines itself: from then on a system call of
//! ours might be fatal to it.

use core::arch::naked_asm;
use core::ffi::{c_int, c_long};
use core::sync::atomic::{AtomicPtr, Ordering};

use sigward_core::altstack::disturb::Commit;
use sigward_core::standdown;
use sigward_core::sys::errno;

use crate::originals::{self, Id};

/// The calls that syscall(2) shows us.
pub const NUMBERS: &[c_long] = &[libc::SYS_prctl, libc::SYS_seccomp];

/// One of [`NUMBERS`] through syscall(2), with its first argument.
#[inline(never)] // for depth
pub fn by_number(number: c_long, first: usize, commit: Commit<'_>) -> isize {
    const SET_MODE_STRICT: usize = 0;
    const SET_MODE_FILTER: usize = 1;
    let confines = match number {
        libc::SYS_prctl => first as c_int == libc::PR_SET_SECCOMP,
        _ => matches!(first, SET_MODE_STRICT | SET_MODE_FILTER),
    };
    // A positive result is a listener, or a thread that could not join in, and
    // then no filter is in place: standing down does no harm.
    if confines { standdown::confining(|result| *result < 0, commit) } else { commit() }
}

static PRCTL: AtomicPtr<()> = AtomicPtr::new((prctl_slowly as *const ()).cast_mut());

/// Makes the export jump straight on. To be called once, at load.
pub fn ready() {
    if let Some(original) = originals::peek(Id::prctl) {
        PRCTL.store(original as *mut (), Ordering::Relaxed);
    }
}

/// prctl(2), variadic: a bare jump, after a look at the operation.
/// Async-signal-safe.
///
/// # Safety
/// As the function of libc.
#[unsafe(naked)]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn prctl() {
    naked_asm!(
        "cmp edi, {set_seccomp}",
        "je {seccomp}",
        "jmp qword ptr [rip + {original}]",
        set_seccomp = const libc::PR_SET_SECCOMP,
        seccomp = sym prctl_slowly,
        original = sym PRCTL,
    )
}

/// prctl(2) about to install a filter, or called before the constructor.
unsafe extern "C" fn prctl_slowly(
    operation: c_int,
    a: usize,
    b: usize,
    c: usize,
    d: usize,
) -> c_int {
    type Original = unsafe extern "C" fn(c_int, ...) -> c_int;
    let Some(address) = originals::get(Id::prctl) else {
        errno::set(libc::ENOSYS);
        return -1;
    };
    // SAFETY: found under that name.
    let original = unsafe { core::mem::transmute::<usize, Original>(address) };
    let commit = || {
        // SAFETY: the caller's own arguments.
        unsafe { original(operation, a, b, c, d) as isize }
    };
    by_number(libc::SYS_prctl, operation as usize, &commit) as c_int
}
