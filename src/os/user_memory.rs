//! Memory of the program that may not be there: whether it can be read or
//! written is found out without a fault.

use super::call;
use super::errno::Errno;
use super::page;
use super::signals::SET_SIZE;

/// Whether `length` bytes at `address` can be read, found out without a fault
/// or a side effect: the kernel reads the set before it checks `how`.
/// Async-signal-safe. True holds for this moment only.
#[must_use]
pub fn readable(address: usize, length: usize) -> bool {
    let probe = |at: usize| {
        let how = usize::MAX; // no such operation: EINVAL, after the set was read
        // SAFETY: the kernel itself reads `at`, and returns EFAULT if it
        // cannot.
        let said = unsafe { call::raw(libc::SYS_rt_sigprocmask, [how, at, 0, SET_SIZE]) };
        said == Err(Errno::EINVAL)
    };
    // One probe in each page, and one at the end.
    let last = length.saturating_sub(SET_SIZE);
    let Some(end) = address.checked_add(last) else { return false };
    let one_page = address / page::size() == end.saturating_add(SET_SIZE - 1) / page::size();
    let first = if one_page { end } else { address };
    (first..end).step_by(page::size()).all(probe) && probe(end)
}

/// Copies an argument of the program; `None` if it cannot be read, which libc
/// and the kernel then report. Async-signal-safe.
///
/// `T` is a C structure for which every bit pattern is a value.
#[must_use]
#[allow(clippy::not_unsafe_ptr_arg_deref, reason = "the kernel was asked whether it can be read")]
pub fn read<T: Copy>(from: *const T) -> Option<T> {
    if from.is_null() || !readable(from as usize, size_of::<T>()) {
        return None;
    }
    // SAFETY: readable a moment ago; it could fault only if another thread
    // unmapped the caller's argument during the call. The kernel accepts any
    // alignment.
    Some(unsafe { from.read_unaligned() })
}

/// Makes the kernel write the thread's signal mask, 8 bytes, to `address`; this
/// grows a stack if possible. False if the kernel cannot write there. For
/// memory whose contents do not matter. Async-signal-safe.
#[must_use]
pub fn write_mask(address: usize) -> bool {
    // SAFETY: a null new set; the kernel returns EFAULT if it cannot write, and
    // the caller vouches that the contents do not matter.
    unsafe { call::raw(libc::SYS_rt_sigprocmask, [0, 0, address, SET_SIZE]) }.is_ok()
}

#[cfg(test)]
mod tests {
    use super::super::signals::Mask;
    use super::*;

    fn mask() -> Mask {
        let mut now: Mask = 0;
        assert!(write_mask(core::ptr::from_mut(&mut now) as usize));
        now
    }

    #[test]
    fn readability_is_found_out_without_a_fault() {
        let before = mask();
        let object = [0_u8; 24];
        assert!(readable(object.as_ptr() as usize, object.len()));
        assert!(!readable(8, 24));
        assert!(!readable(usize::MAX - 3, 24));
        // SAFETY: a fresh mapping of two pages, the second made unreadable.
        let edge = unsafe {
            let start = libc::mmap(core::ptr::null_mut(), 8192, 3, 0x22, -1, 0) as usize;
            libc::mprotect((start + 4096) as *mut _, 4096, libc::PROT_NONE);
            start + 4096
        };
        assert!(readable(edge - 24, 24));
        assert!(!readable(edge - 16, 24));
        assert_eq!(mask(), before);
    }
}
