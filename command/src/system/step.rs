//! One step: small enough that a kill is either before or after it. Each can be done again.

use std::fmt::{self, Display};
use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use super::place::{self, fresh};
use super::trial::Trials;

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Makes a folder.
    Folder(String),
    /// Writes a file under a name that nobody uses yet, to the disk.
    Write {
        path: String,
        bytes: Vec<u8>,
        mode: u32,
        like: Like,
    },
    /// Puts what was written in its place.
    Rename {
        from: String,
        to: String,
    },
    /// Keeps a file under a second name, with its inode if the file system can.
    Keep {
        path: String,
        at: String,
    },
    Symlink {
        to: String,
        at: String,
    },
    /// The same, in the place of what is there.
    Link {
        to: String,
        at: String,
    },
    Remove(String),
    /// Removes a folder if it is empty.
    RemoveFolder(String),
    /// Starts trial programs with the library of their class.
    Try {
        wide: String,
        narrow: Option<String>,
    },
    /// Has each loader say which library it finds by this entry.
    Find(&'static str),
    /// Starts them as any program starts now.
    Verify,
    /// Has systemd read its units.
    Reload,
    /// Has systemd start the unit, once we have ended.
    Start,
    /// Has systemd stop the unit.
    Stop,
    /// Lets programs finish that have read the entry and not yet opened the library.
    Pause,
}

/// Whose owner and mode a new file gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Like {
    Ours,
    /// Those of the present `/etc/ld.so.preload`.
    Preload,
}

/// How a step went.
pub enum Done {
    Yes,
    /// It could not be done, which does no harm.
    Not(String),
}

impl Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Folder(path) => write!(f, "make the folder {path}"),
            Self::Write { path, bytes, .. } => write!(f, "write {path} ({} bytes)", bytes.len()),
            Self::Rename { from, to } => write!(f, "rename {from} to {to}"),
            Self::Keep { path, at } => write!(f, "keep {path} as {at}"),
            Self::Symlink { to, at } | Self::Link { to, at } => {
                write!(f, "make the link {at} to {to}")
            }
            Self::Remove(path) => write!(f, "remove {path}"),
            Self::RemoveFolder(path) => write!(f, "remove the folder {path} if it is empty"),
            Self::Try { wide, narrow: None } => write!(f, "start trial programs with {wide}"),
            Self::Try { wide, narrow: Some(narrow) } => {
                write!(f, "start trial programs with {wide}, 32-bit ones with {narrow}")
            }
            Self::Find(entry) => write!(f, "ask each loader what it finds by {entry}"),
            Self::Verify => write!(f, "start trial programs with {}", place::PRELOAD),
            Self::Reload => f.write_str("have systemd read its units"),
            Self::Start => f.write_str("have systemd start sigward-preload.service"),
            Self::Stop => f.write_str("have systemd stop sigward-preload.service"),
            Self::Pause => f.write_str("wait for programs that are just starting"),
        }
    }
}

impl Step {
    /// # Errors
    /// Says why it failed: then it is not done.
    pub fn carry_out(&self, trials: &mut Trials) -> Result<Done, String> {
        match self {
            Self::Try { wide, narrow } => trials.with(wide, narrow.as_deref())?,
            Self::Find(entry) => trials.find(entry)?,
            Self::Verify => trials.in_force()?,
            Self::Reload => return Ok(systemctl(&["daemon-reload"])),
            Self::Start => return Ok(systemctl(&["start", "--no-block", place::UNIT_NAME])),
            Self::Stop => return Ok(systemctl(&["stop", place::UNIT_NAME])),
            Self::Pause => thread::sleep(Duration::from_secs(1)),
            _ => self.change().map_err(|error| error.to_string())?,
        }
        Ok(Done::Yes)
    }

    fn change(&self) -> io::Result<()> {
        match self {
            Self::Folder(path) => folder(path),
            Self::Write { path, bytes, mode, like } => write(path, bytes, *mode, *like),
            Self::Rename { from, to } => fs::rename(from, to).and_then(|()| synced(to)),
            Self::Keep { path, at } => keep(path, at),
            Self::Symlink { to, at } => symlink(to, at),
            Self::Link { to, at } => {
                let new = fresh(at);
                symlink(to, &new)?;
                fs::rename(new, at).and_then(|()| synced(at))
            }
            Self::Remove(path) => remove(path),
            Self::RemoveFolder(path) => remove_folder(path),
            // Not changes to files.
            Self::Try { .. }
            | Self::Find(_)
            | Self::Verify
            | Self::Reload
            | Self::Start
            | Self::Stop
            | Self::Pause => Ok(()),
        }
    }
}

fn folder(path: &str) -> io::Result<()> {
    match DirBuilder::new().mode(0o755).create(path) {
        // Another's folder keeps its mode.
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(error),
        // The umask may have taken bits away.
        Ok(()) => {
            fs::set_permissions(path, Permissions::from_mode(0o755)).and_then(|()| synced(path))
        }
    }
}

fn write(path: &str, bytes: &[u8], mode: u32, like: Like) -> io::Result<()> {
    remove(path)?;
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .custom_flags(libc::O_NOFOLLOW)
        .open(path)?;
    file.write_all(bytes)?;
    let existing = fs::symlink_metadata(place::PRELOAD).ok();
    let existing = existing.filter(|found| like == Like::Preload && found.is_file());
    let mode = existing.as_ref().map_or(mode, |found| found.mode() & 0o7777);
    if let Some(found) = existing {
        std::os::unix::fs::fchown(&file, Some(found.uid()), Some(found.gid()))?;
    }
    file.set_permissions(Permissions::from_mode(mode))?;
    file.sync_all()
}

fn symlink(to: &str, at: &str) -> io::Result<()> {
    remove(at)?;
    std::os::unix::fs::symlink(to, at)
}

fn keep(path: &str, at: &str) -> io::Result<()> {
    if fs::hard_link(path, at).is_err() {
        let new = fresh(at);
        write(&new, &fs::read(path)?, 0o644, Like::Preload)?;
        fs::rename(&new, at)?;
    }
    synced(at)
}

fn remove(path: &str) -> io::Result<()> {
    match fs::remove_file(path) {
        Ok(()) => synced(path),
        Err(error) if is_missing(&error) => Ok(()),
        Err(error) => Err(error),
    }
}

fn remove_folder(path: &str) -> io::Result<()> {
    match fs::remove_dir(path) {
        Err(error) if is_missing(&error) || error.kind() == ErrorKind::DirectoryNotEmpty => Ok(()),
        other => other,
    }
}

fn is_missing(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory)
}

/// Has the disk know the folder of `path` before the next step: otherwise a power failure could
/// keep a later one and lose this.
fn synced(path: &str) -> io::Result<()> {
    let folder = Path::new(path).parent().unwrap_or(Path::new("/"));
    match File::open(folder).and_then(|folder| folder.sync_all()) {
        // Some file systems cannot.
        Err(error) if error.raw_os_error() == Some(libc::EINVAL) => Ok(()),
        other => other,
    }
}

fn systemctl(arguments: &[&str]) -> Done {
    let mut command = Command::new("systemctl");
    command.args(arguments).stdin(Stdio::null());
    match command.output() {
        Ok(output) if output.status.success() => Done::Yes,
        Ok(output) => Done::Not(String::from_utf8_lossy(&output.stderr).trim().to_owned()),
        Err(error) => Done::Not(format!("systemctl: {error}")),
    }
}
