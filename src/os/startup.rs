//! What the kernel puts on the stack of a new process: arguments, environment,
//! auxiliary vector.

use core::ffi::{CStr, c_char, c_ulong};

use super::page;

/// The auxiliary vector and environment of this process. Valid at load only:
/// later the program may change its environment.
#[derive(Clone, Copy)]
pub struct Startup {
    environ: *const *const c_char,
    auxv: *const [c_ulong; 2],
}

impl Startup {
    /// From the address of `argc`, which glibc exports as `__libc_stack_end`.
    /// (Our constructor may run before libc's own, when `environ` is not yet
    /// set.)
    ///
    /// # Safety
    /// `argc` points at the block that the kernel laid out.
    #[must_use]
    pub unsafe fn from_stack(argc: *const usize) -> Self {
        // SAFETY: argc, then argc arguments, a null, the environment.
        unsafe { Self::from_environ(argc.add(*argc).add(2).cast()) }
    }

    /// From the environment as the kernel laid it out; while constructors run,
    /// musl's `environ` points at it.
    ///
    /// # Safety
    /// `environ` points at that block.
    #[must_use]
    pub unsafe fn from_environ(environ: *const *const c_char) -> Self {
        let mut end = environ;
        // SAFETY: the block ends with a null; the auxiliary vector follows.
        while unsafe { !(*end).is_null() } {
            // SAFETY: as above.
            end = unsafe { end.add(1) };
        }
        // glibc removes variables from a less privileged caller before our
        // constructor runs. Each leaves one null more. The vector begins with
        // another word: only AT_NULL, its end, is 0.
        // SAFETY: as above.
        while unsafe { (*end).is_null() } {
            // SAFETY: as above.
            end = unsafe { end.add(1) };
        }
        Startup { environ, auxv: end.cast() }
    }

    /// The end of the main thread's stack mapping. At the very top the kernel
    /// puts a null pointer, and below it the path of the executed file.
    #[must_use]
    pub fn stack_end(self) -> usize {
        let path = self.executed();
        let last =
            if path.is_empty() { self.environ as usize } else { path.as_ptr_range().end as usize };
        (last + 1 + size_of::<usize>()).next_multiple_of(page::size())
    }

    /// The entries `NAME=VALUE` that begin with `prefix`. The lengths of the
    /// others are not computed: this runs in every exec.
    pub fn environment(self, prefix: &[u8]) -> impl Iterator<Item = &'static [u8]> {
        let mut next = self.environ;
        core::iter::from_fn(move || {
            loop {
                // SAFETY: inside the block, up to its null, which ends the
                // walk.
                let entry = unsafe { *next };
                if entry.is_null() {
                    return None;
                }
                // SAFETY: not at the null yet.
                next = unsafe { next.add(1) };
                // SAFETY: stops reading at the first byte that differs, and so
                // does not pass the NUL that ends the entry.
                let same = |(at, byte): (usize, &u8)| unsafe { *entry.add(at) } as u8 == *byte;
                if prefix.iter().enumerate().all(same) {
                    // SAFETY: the kernel's entries are NUL-terminated and stay
                    // valid.
                    return Some(unsafe { CStr::from_ptr(entry) }.to_bytes());
                }
            }
        })
    }

    /// The value of the first entry that begins with `prefix`, to be changed in
    /// place: the program's environment consists of these strings.
    ///
    /// # Safety
    /// Nothing else refers to the value while the result lives: no other thread
    /// exists yet, and no slice from [`environment`](Self::environment).
    #[must_use]
    pub unsafe fn value_mut(self, prefix: &[u8]) -> Option<&'static mut [u8]> {
        let length = self.environment(prefix).next()?.len();
        let mut next = self.environ;
        loop {
            // SAFETY: such an entry exists, so the walk ends at it.
            let entry = unsafe { *next };
            let same = |(at, byte): (usize, &u8)| {
                // SAFETY: stops at the first byte that differs.
                let found = unsafe { *entry.add(at) };
                found as u8 == *byte
            };
            if prefix.iter().enumerate().all(same) {
                let value = entry.cast_mut().cast::<u8>().wrapping_add(prefix.len());
                // SAFETY: the entry's own bytes, on the stack, where the kernel
                // put them for the program to change.
                let value =
                    unsafe { core::slice::from_raw_parts_mut(value, length - prefix.len()) };
                return Some(value);
            }
            // SAFETY: as above.
            next = unsafe { next.add(1) };
        }
    }

    /// The value of `kind` (getauxval(3)); `None` if the kernel gave none.
    #[must_use]
    pub fn auxiliary(self, kind: c_ulong) -> Option<c_ulong> {
        let mut next = self.auxv;
        loop {
            // SAFETY: inside the vector, up to AT_NULL, which ends the walk.
            let [key, value] = unsafe { *next };
            match key {
                libc::AT_NULL => return None,
                _ if key == kind => return Some(value),
                // SAFETY: not at the end yet.
                _ => next = unsafe { next.add(1) },
            }
        }
    }

    /// The path by which the program was executed (for a script, the script's
    /// path); empty if the kernel gave none.
    #[must_use]
    pub fn executed(self) -> &'static [u8] {
        match self.auxiliary(libc::AT_EXECFN) {
            None | Some(0) => b"",
            // SAFETY: AT_EXECFN is a NUL-terminated string that stays valid.
            Some(path) => unsafe { CStr::from_ptr(path as *const c_char) }.to_bytes(),
        }
    }
}
