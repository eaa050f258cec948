//! CPU time.

use std::io;
use std::time::Duration;

use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeVal;

/// What all children that this process has waited for took, with theirs, of user and kernel.
///
/// # Errors
///
/// If the kernel does not say.
pub fn of_children() -> io::Result<Duration> {
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN)?;
    let duration = |time: TimeVal| {
        Duration::new(time.tv_sec().unsigned_abs(), time.tv_usec().unsigned_abs() as u32 * 1000)
    };
    Ok(duration(usage.user_time()) + duration(usage.system_time()))
}
