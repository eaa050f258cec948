//! The two uses of futex(2): sleeping for our lock, and making the kernel
//! write to a page on our behalf.

use core::ffi::c_long;
use core::sync::atomic::AtomicU32;

use super::call::{self, Outcome};

const WAIT: usize = (libc::FUTEX_WAIT | libc::FUTEX_PRIVATE_FLAG) as usize;
const WAKE: usize = (libc::FUTEX_WAKE | libc::FUTEX_PRIVATE_FLAG) as usize;
const WAKE_OP: usize = (libc::FUTEX_WAKE_OP | libc::FUTEX_PRIVATE_FLAG) as usize;

/// Sleeps while `word` holds `value`; if `nanoseconds` (less than a second) is
/// given, for at most that long. May wake spuriously.
pub(super) fn wait(word: &AtomicU32, value: u32, nanoseconds: Option<c_long>) {
    let at = core::ptr::from_ref(word) as usize;
    let time = nanoseconds.map(|tv_nsec| libc::timespec { tv_sec: 0, tv_nsec });
    let limit = time.as_ref().map_or(0, |time| core::ptr::from_ref(time) as usize);
    // SAFETY: a live word, and a live time or none.
    let _ = unsafe { call::raw(libc::SYS_futex, [at, WAIT, value as usize, limit]) };
}

/// Wakes `count` sleepers of `word`.
pub(super) fn wake(word: &AtomicU32, count: u32) {
    let at = core::ptr::from_ref(word) as usize;
    // SAFETY: a live word.
    let _ = unsafe { call::raw(libc::SYS_futex, [at, WAKE, count as usize]) };
}

/// Makes the page that holds `address` present and writable, as a write would,
/// without changing a byte: the kernel atomically adds 0 to the word there, so
/// no concurrent update is lost. Where a store of ours would raise SIGSEGV or
/// SIGBUS, this returns an error. Async-signal-safe.
///
/// # Errors
/// EFAULT if the page is not writable; ENOSYS and the like under a filter.
pub fn touch(address: usize) -> Outcome {
    /// Nobody sleeps on this word.
    static NOBODY: AtomicU32 = AtomicU32::new(0);
    // FUTEX_OP(ADD, 0, LT, -2048): an old value below -2048 wakes one sleeper
    // on `address`. Sleepers must expect that at any time (futex(2)).
    let operation =
        ((libc::FUTEX_OP_ADD as usize) << 28) | ((libc::FUTEX_OP_CMP_LT as usize) << 24) | 0x800;
    let nobody = core::ptr::from_ref(&NOBODY) as usize;
    // SAFETY: the kernel itself accesses the word, atomically and with its own
    // fault handling; adding 0 does not change it.
    unsafe { call::raw(libc::SYS_futex, [nobody, WAKE_OP, 0, 0, address & !3, operation]) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::os::errno::Errno;

    fn page(protection: i32) -> usize {
        // SAFETY: a fresh anonymous mapping.
        unsafe { libc::mmap(core::ptr::null_mut(), 4096, protection, 0x22, -1, 0) as usize }
    }

    fn resident(page: usize) -> bool {
        let mut state = 0_u8;
        // SAFETY: one page, and one byte for the answer.
        assert_eq!(unsafe { libc::mincore(page as *mut _, 4096, &raw mut state) }, 0);
        state & 1 == 1
    }

    #[test]
    fn a_touched_page_is_present_and_unchanged() {
        let fresh = page(libc::PROT_READ | libc::PROT_WRITE);
        assert!(!resident(fresh));
        assert!(touch(fresh + 101).is_ok());
        assert!(resident(fresh));
        for value in [i32::MIN, -2049, -2048, -1, 0, 1, i32::MAX] {
            // SAFETY: the mapping is ours, writable and aligned.
            unsafe { (fresh as *mut i32).write_volatile(value) };
            assert!(touch(fresh).is_ok());
            // SAFETY: as above.
            assert_eq!(unsafe { (fresh as *const i32).read_volatile() }, value);
        }
    }

    #[test]
    fn bad_memory_is_an_error_and_no_signal() {
        assert_eq!(touch(page(libc::PROT_NONE)), Err(Errno::EFAULT));
        assert_eq!(touch(page(libc::PROT_READ)), Err(Errno::EFAULT));
        assert_eq!(touch(usize::MAX), Err(Errno::EFAULT));
        assert_eq!(touch(0), Err(Errno::EFAULT));
    }
}
