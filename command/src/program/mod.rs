//! The program that shall run: which file a command name means, and whether the loader
//! preloads a library into it.

mod loader;
pub mod machine;
mod registered;

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use nix::unistd::{AccessFlags, access};
use object::Endianness;
use object::elf::{ELFCLASS32, EM_386, FileHeader32, FileHeader64};
use object::read::ReadRef;
use object::read::elf::{FileHeader, ProgramHeader};

use super::credentials;
use super::exit::Exit;
use super::failure::Failure;
use super::image::image;
use super::library::{Library, classes};
use machine::Machine;

/// Where `execvp` searches if `PATH` is not set (glibc: `confstr(_CS_PATH)`).
const DEFAULT_PATH: &str = "/bin:/usr/bin";
/// `BINPRM_BUF_SIZE`: the kernel looks at this much of a script.
const SCRIPT_LINE: usize = 256;
/// The kernel follows this many `#!` lines (`exec_binprm`).
const SCRIPT_DEPTH: usize = 5;
const ELF: &[u8] = b"\x7fELF";
/// Where `e_machine` is, in files of both classes.
const MACHINE: u64 = 18;
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
        return Err(Failure::new("the name of the program is empty").exit(Exit::NotFound));
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

/// What the kernel executes, and what that starts in turn: the program, the interpreter of a
/// script, the loader.
pub struct Chain {
    pub links: Vec<PathBuf>,
    /// The class of what the loader starts.
    pub bits: u8,
    /// Whether the last link is the loader, as its program names it.
    has_loader: bool,
}

impl Chain {
    /// The loader, if a program names it.
    pub fn loader(&self) -> Option<&Path> {
        self.links.last().filter(|_| self.has_loader).map(PathBuf::as_path)
    }
}

/// Checks that the loader will preload `library` into the program at `path`; for a
/// script, into its interpreter. `arguments` are the program's.
///
/// # Errors
/// Names the file and why the loader would not.
pub fn require_preloadable(
    path: &Path,
    arguments: &[OsString],
    library: &Library,
) -> Result<Chain, Failure> {
    if let Some(why) = credentials::of_this_process() {
        return Err(not_preloadable(path, &format!("{why}, so the loader ignores LD_PRELOAD")));
    }
    let mut chain = Chain { links: vec![path.to_owned()], bits: 64, has_loader: false };
    for _ in 0..=SCRIPT_DEPTH {
        let path = chain.links.last().cloned().unwrap_or_default();
        let (file, head) = open(&path)?;
        let is_elf = head.starts_with(ELF);
        let next = match registered::interpreter(&path, &head) {
            Some(emulator) if is_elf => {
                let why = format!("{} runs it, by a rule of binfmt_misc", emulator.display());
                return Err(not_preloadable(&path, &why));
            }
            Some(interpreter) => {
                require_starter(&path, "interpreter by binfmt_misc", &interpreter)?;
                interpreter
            }
            None if is_elf => {
                elf_loader(&path, file, arguments, library, &mut chain)?;
                return Ok(chain);
            }
            None => script_starter(&path, &head)?,
        };
        chain.links.push(next);
    }
    Err(Failure::new(format!(
        "{}: too many interpreters that are scripts themselves",
        path.display()
    ))
    .exit(Exit::NotExecutable))
}

/// What runs the script at `path`: its interpreter, or the shell.
fn script_starter(path: &Path, head: &[u8]) -> Result<PathBuf, Failure> {
    let (what, starter, remedy) = if let Some(interpreter) = script_interpreter(head) {
        ("interpreter", PathBuf::from(interpreter), "install it, or change the #! line")
    } else {
        let remedy = "it is neither ELF nor has a #! line, so it needs /bin/sh";
        ("shell", PathBuf::from(SHELL), remedy)
    };
    require_starter(path, what, &starter).map_err(|failure| failure.remedy(remedy))?;
    Ok(starter)
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

/// The interpreter in `#! /path argument`, found by the kernel's rules. `None` if the kernel
/// does not execute the file, so that `execvp` gives it to the shell.
pub fn script_interpreter(head: &[u8]) -> Option<OsString> {
    let rest = head.strip_prefix(b"#!")?;
    let line = rest.split(|byte| *byte == b'\n').next()?;
    let blank = |byte: &u8| matches!(byte, b' ' | b'\t');
    let start = line.iter().position(|byte| !blank(byte))?;
    let name = line.get(start..)?;
    let end = name.iter().position(|byte| blank(byte) || *byte == 0);
    // The name may continue past what the kernel looks at.
    if end.is_none() && line.len() == rest.len() && head.len() == SCRIPT_LINE {
        return None;
    }
    let name = name.get(..end.unwrap_or(name.len()))?;
    Some(OsStr::from_bytes(name).to_owned())
}

/// Adds the loader of the ELF file at `path` to `chain`.
fn elf_loader(
    path: &Path,
    file: File,
    arguments: &[OsString],
    library: &Library,
    chain: &mut Chain,
) -> Result<(), Failure> {
    let unreadable = |error: &dyn std::fmt::Display| {
        not_preloadable(path, &format!("its ELF header cannot be read ({error})"))
    };
    let metadata = file.metadata().map_err(|error| unreadable(&error))?;
    if let Some(why) = credentials::of_program(path, &metadata).for_us.first() {
        return Err(not_preloadable(path, &format!("{why}, so the loader ignores LD_PRELOAD")));
    }

    let data = image(file);
    chain.bits = require_same_machine(path, &data, library)?;
    let named = match chain.bits {
        32 => interpreter_of::<FileHeader32<Endianness>, _>(&data),
        _ => interpreter_of::<FileHeader64<Endianness>, _>(&data),
    };
    if let Some(loader) = named.map_err(|error| unreadable(&error))? {
        chain.has_loader = true;
        chain.links.push(loader.clone());
        return require_starter(path, "loader", &loader)
            .map_err(|failure| failure.remedy("install the libc that it was built for"));
    }
    if !loader::is_loader(&data) {
        return Err(not_preloadable(path, "it is statically linked, so no loader runs"));
    }
    // What it starts is judged if it is known; the loader itself says what it cannot load.
    if let Some(program) = loader::started(arguments)
        && let Ok(file) = File::open(&program)
    {
        require_same_machine(&program, &image(file), library)?;
        chain.links.push(program);
    }
    Ok(())
}

/// The loader that an ELF file names.
fn interpreter_of<'data, H, R>(data: R) -> Result<Option<PathBuf>, object::read::Error>
where
    H: FileHeader<Endian = Endianness>,
    R: ReadRef<'data>,
{
    let header = H::parse(data)?;
    let endian = header.endian()?;
    for segment in header.program_headers(endian, data)? {
        if let Some(loader) = segment.interpreter(endian, data)? {
            return Ok(Some(PathBuf::from(OsStr::from_bytes(loader))));
        }
    }
    Ok(None)
}

/// Checks that the ELF file at `path` is one that gets the library, and says its class.
fn require_same_machine<'data>(
    path: &Path,
    data: impl ReadRef<'data>,
    library: &Library,
) -> Result<u8, Failure> {
    let byte = |at: u64| data.read_bytes_at(at, 1).ok().and_then(<[u8]>::first).copied();
    let pair = [byte(MACHINE).unwrap_or(0), byte(MACHINE + 1).unwrap_or(0)];
    let big = byte(5) == Some(object::elf::ELFDATA2MSB.0);
    let its = Machine(if big { u16::from_be_bytes(pair) } else { u16::from_le_bytes(pair) });
    let ours = Machine(library.machine);
    let class = byte(4).unwrap_or(0);
    if library.takes(its.0, class) {
        return Ok(if class == ELFCLASS32.0 { 32 } else { 64 });
    }
    if its.0 == EM_386.0 && library.is_own && classes::is_x86() {
        let why = format!("it is a 32-bit program, and {}", classes::NONE_FOR_32_BIT);
        return Err(not_preloadable(path, &why).remedy(classes::REMEDY));
    }
    if its != ours {
        let why = format!("it is for another machine ({its}, the library is for {ours})");
        return Err(not_preloadable(path, &why));
    }
    Err(not_preloadable(path, "it is not a 64-bit program, but the library is 64-bit"))
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
            ("#!/bin/sh\0more", Some("/bin/sh")),
            ("#!/bin/sh\r\n", Some("/bin/sh\r")),
            (&format!("#!/{}", "x".repeat(250)), Some(&*format!("/{}", "x".repeat(250)))),
            // As long as what the kernel looks at, or longer: cut off.
            (&format!("#!/{}", "x".repeat(253)), None),
            (&format!("#! /bin/sh {}", "x".repeat(245)), Some("/bin/sh")),
            (&format!("#!{}", " ".repeat(254)), None),
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
