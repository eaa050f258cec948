//! prctl(2) and seccomp(2), which install a seccomp filter: from then on a
//! system call of ours might kill the program.
//!
//! Programs also make these calls to find out what the kernel supports, in ways
//! that must fail (libseccomp passes a null pointer). Those change nothing for
//! us.

use core::ffi::{c_int, c_long};

use sigward_core::events::memory_calls::Commit;
use sigward_core::os::{errno, user_memory};
use sigward_core::small_stacks;
use sigward_core::standdown;

use crate::arch;
use crate::originals::{self, Id};

/// The calls that are watched in syscall(2).
pub const NUMBERS: &[c_long] = &[libc::SYS_prctl, libc::SYS_seccomp];

/// Handles one of [`NUMBERS`] made through syscall(2), with its first
/// arguments.
#[inline(never)] // for depth
pub fn by_number(number: c_long, arguments: [usize; 3], commit: Commit<'_>) -> isize {
    if !standdown::has_work() {
        // Under a filter that is in place already we make no call, not even to ask.
        if !installs_filter(number, arguments, |address| address != 0) {
            return commit();
        }
        let before = small_stacks::filtered(true);
        let result = commit();
        if result < 0 {
            let _ = small_stacks::filtered(before);
        }
        return result;
    }
    if installs_filter(number, arguments, may_be_a_filter) {
        // A positive result is a listener, or a thread that could not be
        // included. In the second case no filter is in place, but standing down
        // does no harm.
        standdown::confining(|result| *result < 0, commit)
    } else {
        commit()
    }
}

/// Whether the call may succeed, as far as can be known in advance. `is_filter`
/// tells whether one may be at an address.
fn installs_filter(
    number: c_long,
    [first, second, third]: [usize; 3],
    is_filter: fn(usize) -> bool,
) -> bool {
    const SET_MODE_STRICT: usize = 0;
    const SET_MODE_FILTER: usize = 1;
    const MODE_FILTER: usize = libc::SECCOMP_MODE_FILTER as usize;
    match (number, first) {
        (libc::SYS_prctl, _) if first as c_int != libc::PR_SET_SECCOMP => false,
        (libc::SYS_prctl, _) => second != MODE_FILTER || is_filter(third),
        // This operation takes neither flags nor an argument.
        (_, SET_MODE_STRICT) => second == 0 && third == 0,
        // The kernel may know flags that we do not.
        (_, SET_MODE_FILTER) => is_filter(third),
        _ => false,
    }
}

/// Whether the kernel may accept what is at `address` as a filter.
fn may_be_a_filter(address: usize) -> bool {
    /// BPF_MAXINSNS.
    const LONGEST: u16 = 4096;
    let program = user_memory::read(address as *const libc::sock_fprog);
    program.is_some_and(|program| {
        let first = program.filter as usize;
        (1..=LONGEST).contains(&program.len)
            && user_memory::readable(first, size_of::<libc::sock_filter>())
    })
}

/// prctl(2), variadic: a bare jump, after a check of the operation.
/// Async-signal-safe.
///
/// # Safety
/// The same as for libc's function.
#[unsafe(naked)]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn prctl() {
    arch::jump_unless!(
        except = libc::PR_SET_SECCOMP,
        slow_path = prctl_slow_path,
        found = originals::FOUND,
        index = Id::prctl as usize,
    )
}

/// prctl(2) that is about to install a filter, or on its first call.
unsafe extern "C" fn prctl_slow_path(
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
    by_number(libc::SYS_prctl, [operation as usize, a, b], &commit) as c_int
}
