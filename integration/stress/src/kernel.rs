//! What the kernel says about memory: what is locked, what is resident, and how often
//! this thread has faulted.

use std::collections::BTreeSet;
use std::fs;
use std::ops::Range;

/// Bytes in a page.
pub const PAGE: usize = 4096;

/// Numbers of the pages that contain a byte of `[start, start + length)`.
pub fn pages(start: usize, length: usize) -> Range<usize> {
    start / PAGE..(start + length).div_ceil(PAGE)
}

/// Numbers of all pages of this process in locked mappings.
pub fn locked() -> BTreeSet<usize> {
    let smaps = fs::read_to_string("/proc/thread-self/smaps").expect("smaps can be read");
    let mut locked = BTreeSet::new();
    let mut mapping = 0..0;
    for line in smaps.lines() {
        if let Some(flags) = line.strip_prefix("VmFlags:") {
            if flags.split_whitespace().any(|flag| flag == "lo") {
                locked.extend(mapping.clone());
            }
        } else if let Some((start, end)) = range(line) {
            mapping = start / PAGE..end / PAGE;
        }
    }
    locked
}

/// The address range at the start of a mapping's entry.
fn range(line: &str) -> Option<(usize, usize)> {
    let (start, end) = line.split(' ').next()?.split_once('-')?;
    Some((usize::from_str_radix(start, 16).ok()?, usize::from_str_radix(end, 16).ok()?))
}

/// Whether all pages of the range are in memory.
pub fn resident(start: usize, length: usize) -> bool {
    let range = pages(start, length);
    let mut state = vec![0_u8; range.len()];
    let address = (range.start * PAGE) as *mut libc::c_void;
    // SAFETY: one byte per page.
    let outcome = unsafe { libc::mincore(address, range.len() * PAGE, state.as_mut_ptr()) };
    outcome == 0 && state.iter().all(|page| page & 1 == 1)
}

/// Where the calling thread's alternate stack is by the kernel's own word: the library may have given
/// it a larger one than the program's, which it does not show.
pub fn alternate_stack() -> Option<Range<usize>> {
    // SAFETY: plain C data.
    let mut now: libc::stack_t = unsafe { std::mem::zeroed() };
    // SAFETY: a live variable for the answer.
    let result = unsafe { past_libc(libc::SYS_sigaltstack, &raw mut now as usize) };
    assert_eq!(result, 0, "sigaltstack(2)");
    let start = now.ss_sp as usize;
    (now.ss_flags & libc::SS_DISABLE == 0).then(|| start..start + now.ss_size)
}

/// A system call that no library sees, whose first argument is 0.
unsafe fn past_libc(number: libc::c_long, second: usize) -> isize {
    let result: isize;
    // SAFETY: the caller's.
    #[cfg(target_arch = "x86_64")]
    unsafe {
        std::arch::asm!("syscall", inlateout("rax") number as isize => result, in("rdi") 0,
            in("rsi") second, lateout("rcx") _, lateout("r11") _, options(nostack));
    }
    // SAFETY: the caller's.
    #[cfg(target_arch = "aarch64")]
    unsafe {
        std::arch::asm!("svc 0", in("x8") number as isize, inlateout("x0") 0_isize => result,
            in("x1") second, options(nostack));
    }
    result
}

/// A field of /proc/self/status in KiB.
pub fn status_kib(field: &str) -> usize {
    let status = fs::read_to_string("/proc/self/status").expect("status can be read");
    let line = status.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
    let number = line.and_then(|line| line.split_whitespace().next());
    number.and_then(|number| number.parse().ok()).expect("the field is there")
}

/// How many pages the kernel has moved so far, anywhere. While it moves one, even a locked
/// one, an access to it faults.
pub fn moved() -> u64 {
    let counters = fs::read_to_string("/proc/vmstat").unwrap_or_default();
    let moved = counters.lines().filter(|line| line.starts_with("pgmigrate_"));
    moved.filter_map(|line| line.split(' ').nth(1)?.parse::<u64>().ok()).sum()
}

/// Whether the kernel may have moved a page since [`moved`] returned `before`. It counts
/// them late.
pub fn has_moved_since(before: u64) -> bool {
    std::thread::sleep(std::time::Duration::from_millis(100));
    moved() != before
}

/// Page faults of the calling thread so far.
#[inline(always)]
#[allow(clippy::inline_always, reason = "no code may run between the signal and the count")]
pub fn faults() -> i64 {
    // SAFETY: plain C data.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    // SAFETY: a live variable for the answer.
    unsafe { libc::getrusage(libc::RUSAGE_THREAD, &raw mut usage) };
    usage.ru_minflt + usage.ru_majflt
}
