//! The program that shall run: which file a command name means, and whether the loader
//! preloads a library into it.

use std::ffi::{CString, OsStr, OsString};
use std::fs::{File, Metadata};
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use nix::unistd::{AccessFlags, access, getegid, geteuid, getgid, getuid};
use object::elf::FileHeader64;
use object::read::ReadRef;
use object::read::elf::{FileHeader, ProgramHeader};

use super::exit::Exit;
use super::failure::Failure;
use super::image::image;
use super::library::Library;

/// Where `execvp` searches if `PATH` is not set (glibc: `confstr(_CS_PATH)`).
const DEFAULT_PATH: &str = "/bin:/usr/bin";
/// `BINPRM_BUF_SIZE`: the kernel looks at this much of a script.
const SCRIPT_LINE: usize = 256;
/// The kernel follows this many `#!` lines (`exec_binprm`).
const SCRIPT_DEPTH: usize = 5;
/// Runs files that are neither ELF nor `#!`, as in `execvp`.
pub const SHELL: &str = "/bin/sh";

/// Finds `command` as `execvp` would.
///
/// # Errors
/// 127 if there is no such file, 126 if the only files found cannot be executed.
pub fn find(command: &OsStr, path: Option<&OsStr>) -> Result<PathBuf, Failure> {
    let not_found =
        || Failure::new(format!("{}: not found", command.display())).exit(Exit::NotFound);
    if command.is_empty() {
        return Err(not_found());
    }
    if command.as_bytes().contains(&b'/') {
        return executable(Path::new(command)).map(|()| command.into());
    }
    let path = path.unwrap_or(OsStr::new(DEFAULT_PATH));
    let mut denied = None;
    for folder in path.as_bytes().split(|byte| *byte == b':') {
        // An empty entry is the current folder.
        let folder = if folder.is_empty() { OsStr::new(".") } else { OsStr::from_bytes(folder) };
        let candidate = Path::new(folder).join(command);
        match executable(&candidate) {
            Ok(()) => return Ok(candidate),
            Err(failure) if candidate.exists() => denied = denied.or(Some(failure)),
            Err(_) => {}
        }
    }
    Err(denied.unwrap_or_else(not_found))
}

fn executable(path: &Path) -> Result<(), Failure> {
    let metadata = path.metadata().map_err(|error| {
        let exit = match error.kind() {
            std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory => Exit::NotFound,
            _ => Exit::NotExecutable,
        };
        Failure::new(format!("{}: {error}", path.display())).exit(exit)
    })?;
    if !metadata.is_file() {
        return Err(Failure::new(format!("{}: not a regular file", path.display()))
            .exit(Exit::NotExecutable));
    }
    access(path, AccessFlags::X_OK).map_err(|error| {
        Failure::new(format!("{}: {}", path.display(), error.desc())).exit(Exit::NotExecutable)
    })
}

/// Checks that the loader will preload `library` into the program at `path`; for a
/// script, into its interpreter.
///
/// # Errors
/// Names the file and why the loader would not.
pub fn require_preloadable(path: &Path, library: &Library) -> Result<(), Failure> {
    let mut path = path.to_owned();
    for _ in 0..=SCRIPT_DEPTH {
        let (file, head) = open(&path)?;
        if head.starts_with(b"\x7fELF") {
            return require_elf_preloadable(&path, file, library);
        }
        path = match script_interpreter(&head) {
            Some(interpreter) => {
                let interpreter = PathBuf::from(interpreter);
                require_starter(&path, "interpreter", &interpreter)
                    .map_err(|failure| failure.remedy("install it, or change the #! line"))?;
                interpreter
            }
            None => PathBuf::from(SHELL),
        };
    }
    Err(Failure::new(format!(
        "{}: too many interpreters that are scripts themselves",
        path.display()
    ))
    .exit(Exit::NotExecutable))
}

/// Checks that the kernel can execute what it starts instead of `path`.
fn require_starter(path: &Path, what: &str, starter: &Path) -> Result<(), Failure> {
    executable(starter).map_err(|why| {
        Failure::new(format!("{}: its {what} cannot be executed: {why}", path.display()))
            .exit(Exit::NotExecutable)
    })
}

fn open(path: &Path) -> Result<(File, Vec<u8>), Failure> {
    let read = || {
        let mut file = File::open(path)?;
        let mut head = Vec::with_capacity(SCRIPT_LINE);
        Read::by_ref(&mut file).take(SCRIPT_LINE as u64).read_to_end(&mut head)?;
        Ok((file, head))
    };
    read().map_err(|error: std::io::Error| {
        not_preloadable(path, &format!("it cannot be read, so nothing is known about it ({error})"))
    })
}

/// The interpreter in `#! /path argument`, found by the kernel's rules.
pub fn script_interpreter(head: &[u8]) -> Option<OsString> {
    let line = head.strip_prefix(b"#!")?;
    let line = line.split(|byte| *byte == b'\n').next()?;
    let blank = |byte: &u8| matches!(byte, b' ' | b'\t');
    let name = line.split(blank).find(|word| !word.is_empty())?;
    Some(OsStr::from_bytes(name).to_owned())
}

fn require_elf_preloadable(path: &Path, file: File, library: &Library) -> Result<(), Failure> {
    let unreadable = |error: &dyn std::fmt::Display| {
        not_preloadable(path, &format!("its ELF header cannot be read ({error})"))
    };
    let metadata = file.metadata().map_err(|error| unreadable(&error))?;
    changes_credentials(path, &metadata)?;

    let data = image(file);
    let class = (&data).read_bytes_at(4, 1).ok().and_then(<[u8]>::first);
    if class != Some(&object::elf::ELFCLASS64.0) {
        return Err(not_preloadable(path, "it is not a 64-bit program, but the library is 64-bit"));
    }
    let header = FileHeader64::<object::Endianness>::parse(&data).map_err(|e| unreadable(&e))?;
    let endian = header.endian().map_err(|error| unreadable(&error))?;
    let machine = header.e_machine.get(endian).0;
    if machine != library.machine {
        let ours = library.machine;
        let why = format!("it is for another machine (ELF {machine}, the library is {ours})");
        return Err(not_preloadable(path, &why));
    }
    let segments = header.program_headers(endian, &data).map_err(|error| unreadable(&error))?;
    for segment in segments {
        if let Some(loader) = segment.interpreter(endian, &data).map_err(|e| unreadable(&e))? {
            return require_starter(path, "loader", Path::new(OsStr::from_bytes(loader)))
                .map_err(|failure| failure.remedy("install the libc that it was built for"));
        }
    }
    Err(not_preloadable(path, "it is statically linked, so no loader runs"))
}

/// Refuses programs that run with credentials other than ours: the kernel sets
/// `AT_SECURE`, and the loader then ignores `LD_PRELOAD`.
fn changes_credentials(path: &Path, metadata: &Metadata) -> Result<(), Failure> {
    let mode = metadata.mode();
    // Without the group's execute bit, setgid means mandatory locking.
    let setgid = mode & 0o2010 == 0o2010;
    if mode & 0o4000 != 0 && (metadata.uid() != getuid().as_raw() || getuid() != geteuid()) {
        return Err(not_preloadable(path, "it is setuid, so the loader ignores LD_PRELOAD"));
    }
    if setgid && (metadata.gid() != getgid().as_raw() || getgid() != getegid()) {
        return Err(not_preloadable(path, "it is setgid, so the loader ignores LD_PRELOAD"));
    }
    // File capabilities add nothing for root.
    if !getuid().is_root() && has_file_capabilities(path) {
        return Err(not_preloadable(
            path,
            "it has file capabilities, so the loader ignores LD_PRELOAD",
        ));
    }
    Ok(())
}

fn has_file_capabilities(path: &Path) -> bool {
    let Ok(path) = CString::new(path.as_os_str().as_bytes()) else {
        return false;
    };
    let name = c"security.capability";
    // SAFETY: both names are NUL-terminated; with size 0 nothing is written.
    unsafe { libc::getxattr(path.as_ptr(), name.as_ptr(), std::ptr::null_mut(), 0) > 0 }
}

fn not_preloadable(path: &Path, why: &str) -> Failure {
    Failure::new(format!("{} would run without protection: {why}", path.display()))
        .remedy("run it anyway with --force")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn interpreters_by_the_kernels_rules() {
        for (line, interpreter) in [
            ("#!/bin/sh\necho", Some("/bin/sh")),
            ("#! \t/bin/sh -e\n", Some("/bin/sh")),
            ("#!/usr/bin/env python3", Some("/usr/bin/env")),
            ("#!\n/bin/sh", None),
            ("#!  \n", None),
            ("# !/bin/sh\n", None),
            ("", None),
        ] {
            let found = script_interpreter(line.as_bytes());
            assert_eq!(found.as_deref(), interpreter.map(OsStr::new), "{line:?}");
        }
    }
}
