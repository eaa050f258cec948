//! The dynamic command inside the static one.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsRawFd, FromRawFd, IntoRawFd};
use std::path::PathBuf;

/// Empty if there was none when this one was built: see build.rs.
static BYTES: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/dynamic"));

/// A path by which this process can start it. It is in memory and ends with the last process that
/// runs it, so nothing is left anywhere.
pub fn program() -> io::Result<PathBuf> {
    if BYTES.is_empty() {
        return Err(io::Error::other("it was built alone"));
    }
    // Kernels before 6.3 do not know MFD_EXEC, and need none.
    let file = memory(libc::MFD_CLOEXEC | libc::MFD_EXEC).or_else(|_| memory(libc::MFD_CLOEXEC));
    let mut file = file?;
    file.write_all(BYTES)?;
    let path = format!("/proc/self/fd/{}", file.as_raw_fd());
    // It stays open until the exec.
    let _ = file.into_raw_fd();
    Ok(path.into())
}

fn memory(flags: libc::c_uint) -> io::Result<File> {
    // SAFETY: a C string and flags.
    let descriptor = unsafe { libc::memfd_create(c"sigward-probe".as_ptr(), flags) };
    if descriptor < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: a new descriptor, which nothing else owns.
    Ok(unsafe { File::from_raw_fd(descriptor) })
}
