//! Puts the library that is inside the command where the loader finds it, and nobody else can
//! change it.

use std::ffi::OsStr;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::sys::mman::{MapFlags, ProtFlags, mmap, munmap};
use nix::time::{ClockId, clock_gettime};
use nix::unistd::{Uid, geteuid};
use object::elf::EM_386;

use super::both_classes::{self, Folders};
use super::embedded::Embedded;
use crate::failure::Failure;

/// Others may enter and read, and change nothing: a program may drop to another user.
const FOLDER_MODE: u32 = 0o755;
const FILE_MODE: u32 = 0o444;
const OTHERS_WRITE: u32 = 0o022;
const STICKY: u32 = 0o1000;

/// The path of a copy of `library` that is safe to preload: one that is there, or a new one. With
/// `for_both`, it contains `$LIB` if possible, and leads 32-bit programs to theirs.
///
/// # Errors
/// Names each place that was tried, and why it is not usable.
pub fn place(
    library: &Embedded<'_>,
    for_both: bool,
    runtime: Option<&OsStr>,
    temporary: Option<&OsStr>,
) -> Result<PathBuf, Failure> {
    let own = format!("sigward-{}", geteuid());
    let runtime = runtime.filter(|path| Path::new(path).is_absolute()).map(Path::new);
    let temporary = temporary.filter(|path| Path::new(path).is_absolute()).map(Path::new);
    let mut refusals = Vec::new();
    // Where only root or the user may write, the folder needs no name of its own.
    for (base, name) in [
        (Some(Path::new("/run")), "sigward"),
        (runtime, "sigward"),
        (Some(Path::new("/dev/shm")), &own),
        (Some(temporary.unwrap_or(Path::new("/tmp"))), &own),
        // In a container with a read-only root, there is no other for root.
        (Some(Path::new("/dev")), "sigward"),
    ] {
        let Some(base) = base else { continue };
        match place_in(base, name, library, for_both) {
            Ok(path) => return Ok(path),
            Err(why) => refusals.push(format!("{}: {why}", base.join(name).display())),
        }
    }
    let message = format!("no safe place for the library ({})", refusals.join(", "));
    Err(Failure::new(message).remedy("give the path of a copy with --library PATH"))
}

/// Places it in the folder `name` of `base`.
fn place_in(
    base: &Path,
    name: &str,
    library: &Embedded<'_>,
    for_both: bool,
) -> io::Result<PathBuf> {
    let base = base.canonicalize()?;
    if base.as_os_str().as_encoded_bytes().iter().any(|byte| super::splits(*byte)) {
        return Err(io::Error::other("the loader would split the path"));
    }
    base.ancestors().try_for_each(trusted)?;
    let folder = base.join(name);
    own_folder(&folder)?;
    let path = copy_in(&folder, library)?;
    mappable(&File::open(&path)?)?;
    let with_variable = if for_both { for_both_classes(&folder, library).ok() } else { None };
    Ok(with_variable.unwrap_or(path))
}

/// Makes `folder`, or checks it, so that nobody else can change what is in it.
fn own_folder(folder: &Path) -> io::Result<()> {
    let is_fine = |found: fs::Metadata| {
        found.is_dir() && found.mode() & 0o7777 == FOLDER_MODE && trusted_owner(found.uid())
    };
    if folder.symlink_metadata().is_ok_and(is_fine) {
        return Ok(());
    }
    if let Err(error) = DirBuilder::new().mode(FOLDER_MODE).create(folder)
        // What is there can be used even where nothing can be made.
        && !folder.exists()
    {
        return Err(error);
    }
    let found = folder.symlink_metadata()?;
    // The umask may have taken bits away. What others could write before is not believed:
    // files are compared.
    if found.is_dir() && found.uid() == geteuid().as_raw() && found.mode() & 0o7777 != FOLDER_MODE {
        fs::set_permissions(folder, PermissionsExt::from_mode(FOLDER_MODE))?;
    }
    trusted(folder)?;
    if folder.symlink_metadata()?.mode() & OTHERS_WRITE != 0 {
        return Err(io::Error::other("others can write there"));
    }
    Ok(())
}

/// The path of the copy in `folder`, which is ours.
fn copy_in(folder: &Path, library: &Embedded<'_>) -> io::Result<PathBuf> {
    let path = copy_of(folder, library);
    if !is_copy(&path, library) {
        write_copy(folder, &path, library)?;
    }
    Ok(path)
}

/// Where a copy of `library` stands in a folder of ours.
pub fn copy_of(folder: &Path, library: &Embedded<'_>) -> PathBuf {
    folder.join(name_of_copy(library))
}

fn name_of_copy(library: &Embedded<'_>) -> String {
    let class = if library.machine() == EM_386.0 { "-i386" } else { "" };
    format!("libsigward{class}-{}.so", library.mark(16))
}

/// The path with `$LIB` that leads 64-bit programs to the copy of `library` in `folder`, and 32-bit
/// ones to theirs, of which a copy is made.
fn for_both_classes(folder: &Path, library: &Embedded<'_>) -> io::Result<PathBuf> {
    let other = &both_classes::OF_32_BIT;
    // Both digests: commands that contain the same library may differ in the other.
    let link_name = |folders: &Folders| {
        format!("libsigward{}{}{}.so", folders.mark(), library.mark(8), other.mark(8))
    };
    let (name, name_of_other) = (name_of_copy(library), name_of_copy(other));
    let made = Folders::of_before(|folders| {
        let at = folder.join(folders.of_32_bit).join(link_name(folders));
        let leads = |target: PathBuf| target.file_name() == Some(OsStr::new(&name_of_other));
        fs::read_link(&at).is_ok_and(leads) && at.exists()
    });
    copy_in(folder, other)?;
    let folders = made.or_else(Folders::of_loaders).ok_or(ErrorKind::Unsupported)?;
    let links = folders.of_64_bit().map(|word| (word, &name));
    for (word, file) in links.chain([(folders.of_32_bit, &name_of_other)]) {
        let mut at = folder.to_owned();
        let mut target = PathBuf::new();
        for part in Path::new(word) {
            at.push(part);
            own_folder(&at)?;
            target.push("..");
        }
        link(&target.join(file), &at.join(link_name(&folders)))?;
    }
    Ok(folder.join(both_classes::VARIABLE).join(link_name(&folders)))
}

/// Makes a symbolic link in a folder of ours, or checks it. Whose it is does not matter: nobody can
/// change one without writing in the folder.
fn link(target: &Path, at: &Path) -> io::Result<()> {
    let is_there = || fs::read_link(at).is_ok_and(|there| there == target);
    if is_there() {
        return Ok(());
    }
    match symlink(target, at) {
        // Another start may have been faster.
        Err(error) if error.kind() == ErrorKind::AlreadyExists && !is_there() => {
            fs::remove_file(at)?;
            symlink(target, at)
        }
        Err(error) if error.kind() != ErrorKind::AlreadyExists => Err(error),
        _ => Ok(()),
    }
}

/// Checks that `folder` is one in which no other user can replace what root or we own, and,
/// for root, that other users can enter it.
fn trusted(folder: &Path) -> io::Result<()> {
    let complaint = |what: &str| Err(io::Error::other(format!("{}: {what}", folder.display())));
    let found = folder.symlink_metadata()?;
    if !found.is_dir() {
        return complaint("not a folder");
    }
    if !trusted_owner(found.uid()) {
        return complaint(&format!("belongs to user {}", found.uid()));
    }
    if found.mode() & OTHERS_WRITE != 0 && found.mode() & STICKY == 0 {
        return complaint("others can write there");
    }
    if geteuid().is_root() && found.mode() & 0o001 == 0 {
        return complaint("other users cannot enter it");
    }
    Ok(())
}

/// Root, we, and the owner of `/`, who can replace everything: in a user namespace, root
/// may have no number.
fn trusted_owner(user: u32) -> bool {
    Uid::from_raw(user).is_root()
        || user == geteuid().as_raw()
        || fs::metadata("/").is_ok_and(|root| root.uid() == user)
}

/// Whether the file at `path` is the library, and stays it.
fn is_copy(path: &Path, library: &Embedded<'_>) -> bool {
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK | libc::O_NOCTTY)
        .open(path);
    let Ok(file) = file else { return false };
    file.metadata().is_ok_and(|found| {
        found.is_file()
            && trusted_owner(found.uid())
            && found.mode() & OTHERS_WRITE == 0
            && found.mode() & FILE_MODE == FILE_MODE
    }) && holds(file, library.bytes)
}

/// Names a library that is not ours, as FNV-1a does. Files are compared: a second library with the
/// same name would take the place of the first.
pub fn digest(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |digest, byte| {
        (digest ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

/// Whether `file` holds exactly `bytes`. Compared in parts: a buffer for all of it would cost more
/// page faults than all else that `sigward run` does.
pub fn holds(mut file: File, bytes: &[u8]) -> bool {
    let mut part = [0; 16384];
    let mut rest = bytes;
    loop {
        match file.read(&mut part) {
            Ok(0) => return rest.is_empty(),
            Ok(count) => match part.get(..count).and_then(|part| rest.strip_prefix(part)) {
                Some(more) => rest = more,
                None => return false,
            },
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(_) => return false,
        }
    }
}

/// Writes the library beside `path`, and renames it: whoever starts at the same time finds a
/// whole file or none, and one that is in use is never changed.
pub fn write_copy(folder: &Path, path: &Path, library: &Embedded<'_>) -> io::Result<()> {
    /// Other processes with our number in other namespaces may choose the same name.
    const TRIES: usize = 100;
    for _ in 0..TRIES {
        let now = clock_gettime(ClockId::CLOCK_MONOTONIC)?;
        let fresh = format!(".{}-{}{:09}", std::process::id(), now.tv_sec(), now.tv_nsec());
        let fresh = folder.join(fresh);
        let file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(FILE_MODE)
            .custom_flags(libc::O_NOFOLLOW)
            .open(&fresh);
        let mut file = match file {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => continue,
            other => other?,
        };
        let written = file
            .write_all(library.bytes)
            .and_then(|()| file.set_permissions(PermissionsExt::from_mode(FILE_MODE)))
            .and_then(|()| fs::rename(&fresh, path));
        if written.is_err() {
            let _ = fs::remove_file(&fresh);
        }
        return written;
    }
    Err(ErrorKind::AlreadyExists.into())
}

/// Checks that the loader can map code of `file`: it cannot on a mount without exec, and says
/// so in a line at most.
pub fn mappable(file: &File) -> io::Result<()> {
    let one = std::num::NonZeroUsize::MIN;
    let code = ProtFlags::PROT_READ | ProtFlags::PROT_EXEC;
    // SAFETY: a new mapping, which nothing refers to.
    match unsafe { mmap(None, one, code, MapFlags::MAP_PRIVATE, file.as_fd(), 0) } {
        Ok(at) => {
            // SAFETY: the mapping just made.
            let _ = unsafe { munmap(at, one.get()) };
            Ok(())
        }
        Err(Errno::EPERM) => Err(io::Error::other("its file system is mounted noexec")),
        Err(error) => Err(error.into()),
    }
}
