//! The threads of a process, by the kernel's word.

use serde::Serialize;

use super::kernel_view::{Status, numbers};

/// One thread.
#[derive(Serialize)]
#[allow(clippy::struct_field_names, reason = "it is a name of the JSON")]
pub struct Thread {
    pub thread: u32,
    /// Its number in its own pid namespace.
    #[serde(skip)]
    pub own: i32,
    pub name: String,
    /// Alternate stacks that the library has on record for it.
    pub alternate_stacks: usize,
    /// Whether its ordinary stack is held.
    pub ordinary_held: bool,
    /// Whether it takes signals and none of its stacks is held, at every look.
    pub uncovered: bool,
    /// How many of the caught signals this thread does not block.
    pub takes: usize,
}

/// The threads of process `pid`, and how many ended while they were looked at.
///
/// # Errors
/// If the process is gone.
pub fn of(pid: u32, caught: &[u8]) -> std::io::Result<(Vec<Thread>, usize)> {
    let (mut all, mut ended) = (Vec::new(), 0);
    for thread in numbers(&format!("/proc/{pid}/task"))? {
        let Ok(status) = Status::read(&format!("/proc/{pid}/task/{thread}")) else {
            ended += 1;
            continue;
        };
        let blocked = status.signals("SigBlk").unwrap_or_default();
        all.push(Thread {
            thread,
            own: status.own_number().unwrap_or(thread as i32),
            name: status.name(),
            alternate_stacks: 0,
            ordinary_held: false,
            uncovered: false,
            takes: caught.iter().filter(|signal| !blocked.contains(signal)).count(),
        });
    }
    Ok((all, ended))
}
