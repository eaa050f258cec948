//! Makes pages present and writable, as a write would, without changing a byte.
//! No concurrent update is lost, and where a store of ours would raise a
//! signal, this returns an outcome.

use core::ffi::c_int;
use core::num::NonZeroUsize;

use once_cell::race::OnceNonZeroUsize;

use super::call;
use super::errno::Errno;
use super::futex;
use super::page::{self, Pages};

/// The most pages that one call takes: the kernel splits larger runs, and
/// prepares the next part only after it has written the first.
const AT_ONCE: usize = 256;

/// An address at which nothing can be read. Address 0 will not do: the program
/// may have memory there.
fn nowhere() -> Option<usize> {
    static PAGE: OnceNonZeroUsize = OnceNonZeroUsize::new();
    let reserve =
        || call::reserve(page::size(), libc::PROT_NONE).ok().and_then(NonZeroUsize::new).ok_or(());
    PAGE.get_or_try_init(reserve).ok().map(NonZeroUsize::get)
}

/// Touches `pages` of the calling process, whose id is `pid`, up to the first
/// page that is not writable. Does not report how far it got.
/// Async-signal-safe.
pub fn run(pid: c_int, pages: Pages) {
    let mut rest = pages;
    while !rest.is_empty() {
        let part = Pages { end: rest.end.min(rest.first.saturating_add(AT_ONCE)), ..rest };
        let one = part.count() == 1;
        let outcome = nowhere()
            .filter(|_| !one)
            .map(|nowhere| call::write_from_nowhere(pid, nowhere, part.address(), part.bytes()));
        // If that call is not available, or if the first thread has ended.
        if outcome != Some(Err(Errno::EFAULT)) {
            let _ = down(part);
        }
        rest.first = part.end;
    }
}

/// Touches `pages` one by one, from the last one down, until one is not
/// writable. Returns those that are ready. Async-signal-safe.
#[must_use]
pub fn down(pages: Pages) -> Pages {
    let writable = |page: &usize| futex::touch(page.wrapping_mul(page::size())).is_ok();
    let count = pages.numbers().rev().take_while(writable).count();
    if count == 0 { Pages::NONE } else { Pages { first: pages.end.wrapping_sub(count), ..pages } }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::AsRawFd;

    const COUNT: usize = 20;
    const BYTES: usize = COUNT * page::LEAST;
    const WRITABLE: i32 = libc::PROT_READ | libc::PROT_WRITE;

    fn map(flags: i32, fd: i32) -> usize {
        // SAFETY: a fresh mapping.
        let start = unsafe { libc::mmap(core::ptr::null_mut(), BYTES, WRITABLE, flags, fd, 0) };
        assert_ne!(start, libc::MAP_FAILED);
        start as usize
    }

    fn fresh() -> usize {
        map(libc::MAP_PRIVATE | libc::MAP_ANONYMOUS, -1)
    }

    fn all(start: usize) -> Pages {
        Pages::around(start, start + BYTES)
    }

    fn protect(page: usize, protection: i32) {
        // SAFETY: pages of the tests' own.
        assert_eq!(unsafe { libc::mprotect(page as *mut _, page::size(), protection) }, 0);
    }

    fn fill(start: usize, byte: u8) {
        // SAFETY: a mapping of the tests' own.
        unsafe { libc::memset(start as *mut _, i32::from(byte), BYTES) };
    }

    fn filled(start: usize, byte: u8) -> bool {
        // SAFETY: as above.
        unsafe { core::slice::from_raw_parts(start as *const u8, BYTES) }
            .iter()
            .all(|&it| it == byte)
    }

    /// The page faults that a write to each of `pages` takes.
    fn faults(pages: Pages) -> i64 {
        let count = || {
            // SAFETY: plain C data, filled in by the kernel.
            unsafe {
                let mut usage: libc::rusage = core::mem::zeroed();
                libc::getrusage(libc::RUSAGE_THREAD, &raw mut usage);
                usage.ru_minflt
            }
        };
        count();
        let before = count();
        for page in pages.numbers() {
            let byte = (page * page::size()) as *mut u8;
            // SAFETY: pages of the tests' own, writable.
            unsafe { byte.write_volatile(byte.read_volatile()) };
        }
        count() - before
    }

    fn pid() -> c_int {
        call::getpid()
    }

    /// A copy of this process, killed when this is dropped, also by a panic.
    struct Copy(usize);

    impl Drop for Copy {
        fn drop(&mut self) {
            // SAFETY: our own child.
            unsafe { libc::kill(self.0 as i32, libc::SIGKILL) };
            let _ = call::wait_for_clone(self.0);
        }
    }

    /// Runs `then` while a copy of this process exists, so that its pages are
    /// shared.
    fn while_copied<T>(then: impl FnOnce() -> T) -> T {
        let child = call::clone_process().unwrap();
        if child == 0 {
            loop {
                let none: *const libc::pollfd = core::ptr::null();
                // SAFETY: no descriptors; sleeps until it is killed.
                unsafe { libc::syscall(libc::SYS_ppoll, none, 0, none, none, 0) };
            }
        }
        let _copy = Copy(child);
        then()
    }

    /// What `faults` counts at best, of ten times: other tests of this process fork meanwhile,
    /// which write-protects its pages, and the kernel may move some.
    fn fewest(faults: impl Fn() -> i64) -> i64 {
        (0..10).map(|_| faults()).find(|&count| count == 0).unwrap_or_else(faults)
    }

    /// The faults of `pages` after a touch by the process that `pid` names.
    fn faults_after_touch(pid: c_int, pages: Pages) -> i64 {
        run(pid, pages);
        faults(pages)
    }

    #[test]
    fn fresh_and_copied_pages_are_readied_and_unchanged() {
        assert_eq!(fewest(|| faults_after_touch(pid(), all(fresh()))), 0);
        let start = fresh();
        fill(start, 7);
        let copied = || while_copied(|| faults_after_touch(pid(), all(start)));
        assert_eq!(fewest(copied), 0);
        assert!(filled(start, 7));
        // The control arm: without the touch each page faults.
        while_copied(|| assert!(faults(all(start)) >= COUNT as i64));
    }

    #[test]
    fn pages_of_files_are_readied() {
        let file = tempfile::tempfile().unwrap();
        file.set_len(BYTES as u64).unwrap();
        for flags in [libc::MAP_PRIVATE, libc::MAP_SHARED] {
            let map = || map(flags, file.as_raw_fd());
            assert_eq!(fewest(|| faults_after_touch(pid(), all(map()))), 0);
            assert!(filled(map(), 0));
        }
    }

    #[test]
    fn long_runs_are_readied_to_their_end() {
        let count = 2 * AT_ONCE + 3;
        let touched = || {
            let start = call::map_memory(count * page::size()).unwrap();
            faults_after_touch(pid(), Pages::around(start, start + count * page::size()))
        };
        assert_eq!(fewest(touched), 0);
    }

    /// If the call is not available, pages are touched all the same.
    #[test]
    fn another_process_is_left_alone() {
        assert_eq!(fewest(|| faults_after_touch(0, all(fresh()))), 0);
    }

    #[test]
    fn what_may_not_be_written_ends_it() {
        for protection in [libc::PROT_NONE, libc::PROT_READ] {
            let start = fresh();
            fill(start, 9);
            let hole = start + 3 * page::size();
            protect(hole, protection);
            let above = Pages { first: hole / page::size() + 1, ..all(start) };
            let copied = || {
                while_copied(|| {
                    assert_eq!(down(all(start)), above);
                    run(pid(), all(start));
                    faults(above) + faults(Pages::around(start, hole))
                })
            };
            assert_eq!(fewest(copied), 0);
            protect(hole, WRITABLE);
            assert!(filled(start, 9));
            assert_eq!(down(Pages { first: 0, end: 1 }), Pages::NONE);
        }
    }
}
