//! The environment: our own, and the one that a program gets.

use std::ffi::{CStr, OsStr, OsString, c_char};
use std::os::unix::ffi::{OsStrExt, OsStringExt};

use sigward::config::{self, BadValue, Config};

use super::failure::Failure;

/// Our own environment: every entry, also one without `=`, which [`std::env::vars_os`]
/// leaves out.
pub fn environ() -> Vec<OsString> {
    unsafe extern "C" {
        static environ: *const *const c_char;
    }
    let mut entries = Vec::new();
    // SAFETY: libc's variable; nothing here changes the environment.
    let mut next = unsafe { environ };
    // SAFETY: a list of C strings that ends with a null.
    while let Some(entry) = unsafe { next.as_ref() }.filter(|entry| !entry.is_null()) {
        // SAFETY: as above.
        let bytes = unsafe { CStr::from_ptr(*entry) }.to_bytes();
        entries.push(OsStr::from_bytes(bytes).to_owned());
        // SAFETY: as above, not at the null yet.
        next = unsafe { next.add(1) };
    }
    entries
}

/// The environment for the program, as `NAME=VALUE` strings in the inherited order.
pub struct ProgramEnvironment {
    entries: Vec<OsString>,
}

impl ProgramEnvironment {
    /// Our own.
    pub fn inherited() -> Self {
        Self { entries: environ() }
    }

    /// The value of a variable.
    pub fn get(&self, name: &[u8]) -> Option<&OsStr> {
        let value = |entry: &'_ OsString| -> Option<usize> {
            entry.as_bytes().strip_prefix(name)?.strip_prefix(b"=").map(<[u8]>::len)
        };
        self.entries.iter().find_map(|entry| {
            let length = value(entry)?;
            entry.as_bytes().get(entry.len() - length..).map(OsStr::from_bytes)
        })
    }

    /// Sets a variable, whether or not it was set before.
    pub fn set(&mut self, name: &[u8], value: &[u8]) {
        self.remove(name);
        self.entries.push(OsString::from_vec([name, b"=", value].concat()));
    }

    /// Removes a variable, if it is set.
    pub fn remove(&mut self, name: &[u8]) {
        let same = |old: &OsString| {
            old.as_bytes().strip_prefix(name).is_some_and(|rest| rest.starts_with(b"="))
        };
        self.entries.retain(|old| !same(old));
    }

    /// The settings as the library will read them.
    ///
    /// # Errors
    /// Names a bad value.
    pub fn config(&self, program: &OsStr) -> Result<Config, Failure> {
        let mut bad = None;
        let config = config::parse(
            self.entries.iter().map(|entry| entry.as_bytes()),
            program.as_bytes(),
            |found| bad = bad.or(Some(found)),
        );
        bad.map_or(Ok(config), |found: BadValue<'_>| Err(Failure::new(found.to_string())))
    }

    /// The `NAME=VALUE` strings.
    pub fn into_entries(self) -> Vec<OsString> {
        self.entries
    }
}

/// A value of `GLIBC_TUNABLES` that keeps `existing` and switches off AVX in glibc.
///
/// It has both spellings: glibc 2.33 renamed `AVX2_Usable` to `AVX2`. glibc ignores names
/// that it does not know.
pub fn without_avx(existing: Option<&OsStr>) -> Vec<u8> {
    const TUNABLE: &[u8] = b"glibc.cpu.hwcaps=";
    const MASK: &[u8] = b"-AVX,-AVX2,-AVX_Usable,-AVX2_Usable,-AVX512F,-AVX512VL,-AVX512BW,\
                          -AVX512F_Usable,-AVX_Fast_Unaligned_Load";
    let existing = existing.map(OsStr::as_bytes).unwrap_or_default();
    let mut tunables: Vec<Vec<u8>> = existing
        .split(|byte| *byte == b':')
        .filter(|tunable| !tunable.is_empty())
        .map(<[u8]>::to_vec)
        .collect();
    // The last occurrence of a tunable wins: extend it rather than add another.
    match tunables.iter_mut().rfind(|tunable| tunable.starts_with(TUNABLE)) {
        Some(caps) => {
            if caps.len() > TUNABLE.len() {
                caps.push(b',');
            }
            caps.extend_from_slice(MASK);
        }
        None => tunables.push([TUNABLE, MASK].concat()),
    }
    tunables.join(&b':')
}
