//! A real process.

use std::fs::File;
use std::io::{self, ErrorKind, Read};
use std::os::fd::AsRawFd;
use std::os::unix::fs::FileExt;

use crate::error::Error;
use crate::maps::{self, Mapping};
use crate::note::{self, Found};
use crate::snapshot::{self, Snapshot};
use crate::source::{Source, Unreadable};

/// A block in a process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    /// The library it belongs to.
    pub found: Found,
    /// Its content.
    pub read: Result<Snapshot, Error>,
}

/// A process whose memory we may read, through `/proc/PID/mem`. That file stays bound to
/// the program that the process executes now; a pid may come to mean another process.
pub struct Process {
    folder: File,
    memory: File,
}

impl Process {
    /// Opens the process `pid`.
    ///
    /// # Errors
    /// If there is none, or we may not read it.
    pub fn open(pid: u32) -> Result<Self, Unreadable> {
        let folder = File::open(format!("/proc/{pid}")).map_err(|error| judge(&error))?;
        let memory = within(&folder, "mem").map_err(|error| judge(&error))?;
        Ok(Process { folder, memory })
    }

    /// Its mappings.
    ///
    /// # Errors
    /// If it is gone, or we may not read them.
    pub fn mappings(&self) -> Result<Vec<Mapping>, Unreadable> {
        Ok(maps::parse(&self.text("maps")?))
    }

    /// Its pid in its own pid namespace (Linux 4.1).
    #[must_use]
    pub fn own_pid(&self) -> Option<i32> {
        let status = self.text("status").ok()?;
        let mut lines = status.split(|&byte| byte == b'\n');
        let numbers = lines.find_map(|line| line.strip_prefix(b"NSpid:"))?;
        str::from_utf8(numbers).ok()?.split_whitespace().last()?.parse().ok()
    }

    /// Every block in it, with its content: usually one, and none if the library is not
    /// loaded.
    ///
    /// # Errors
    /// If the process is gone, or we may not read it.
    pub fn blocks(&self) -> Result<Vec<Block>, Unreadable> {
        let found = note::find(self, &self.mappings()?);
        Ok(found
            .into_iter()
            .map(|found| {
                let read = snapshot::read(self, found.block);
                Block { found, read }
            })
            .collect())
    }

    fn text(&self, name: &str) -> Result<Vec<u8>, Unreadable> {
        let mut text = Vec::new();
        let read = within(&self.folder, name).and_then(|mut file| file.read_to_end(&mut text));
        read.map_err(|error| judge(&error))?;
        Ok(text)
    }
}

/// Opens a file in a folder, even if the folder's path means another one by now.
fn within(folder: &File, name: &str) -> io::Result<File> {
    File::open(format!("/proc/self/fd/{}/{name}", folder.as_raw_fd()))
}

fn judge(error: &io::Error) -> Unreadable {
    const ESRCH: i32 = 3;
    match error.kind() {
        ErrorKind::PermissionDenied => Unreadable::Denied,
        ErrorKind::NotFound => Unreadable::Gone,
        _ if error.raw_os_error() == Some(ESRCH) => Unreadable::Gone,
        kind => Unreadable::Failed(kind),
    }
}

impl Source for Process {
    fn read_at(&self, address: u64, buffer: &mut [u8]) -> Result<usize, Unreadable> {
        const EIO: i32 = 5;
        // A larger address is not a file offset.
        if i64::try_from(address).is_err() {
            return Err(Unreadable::Unmapped(address));
        }
        match self.memory.read_at(buffer, address) {
            // The process has no memory any more.
            Ok(0) if !buffer.is_empty() => Err(Unreadable::Gone),
            Ok(bytes) => Ok(bytes),
            Err(error) if error.raw_os_error() == Some(EIO) => Err(Unreadable::Unmapped(address)),
            Err(error) => Err(judge(&error)),
        }
    }
}
