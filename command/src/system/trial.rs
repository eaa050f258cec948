//! Starts programs of each loader on this host with the library, and compares them with the same
//! programs without it.

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use object::elf::EM_386;

use super::{place, preload};
use crate::inspect::closure::Rules;
use crate::inspect::elf::Elf;
use crate::inspect::libc::rules;

/// A trial that takes longer has failed.
const LONGEST: Duration = Duration::from_secs(30);

const LOADER_FOLDERS: [&str; 7] =
    ["/lib64", "/lib", "/lib32", "/libx32", "/usr/lib64", "/usr/lib", "/usr/lib32"];

const PROGRAM_FOLDERS: [&str; 6] =
    ["/bin", "/usr/bin", "/sbin", "/usr/sbin", "/usr/local/bin", "/usr/bin/i686-linux-gnu"];

/// Programs that do no harm with these arguments. The shells fork and wait.
const PROGRAMS: [(&str, &[&str]); 8] = [
    ("true", &[]),
    ("sh", &["-c", "(exit 3); exit 5"]),
    ("bash", &["-c", "(exit 3); exit 5"]),
    ("cat", &[]),
    ("ls", &["/"]),
    ("busybox", &["true"]),
    ("perl", &["-e", "exit 4"]),
    ("iconv", &["--version"]),
];

/// As many programs of one loader are tried.
const MOST: usize = 3;

/// What was tried.
#[derive(Default)]
pub struct Trials {
    loaders: Vec<Loader>,
    lines: Vec<String>,
}

/// A loader, and what is started by it.
struct Loader {
    path: PathBuf,
    rules: Rules,
    bits: u8,
    /// Its libc, where it has no other program, which prints its version.
    programs: Vec<Program>,
    /// What it lists the libraries of: the first program, or its libc if there is none.
    subject: PathBuf,
    /// The library of its class, where it stands once it was tried.
    library: PathBuf,
    /// How the programs end without the library.
    before: Vec<Seen>,
}

type Program = (PathBuf, Vec<OsString>);

/// How a program ended, and what it wrote.
#[derive(PartialEq, Eq)]
pub struct Seen {
    pub status: ExitStatus,
    pub output: Vec<u8>,
    errors: Vec<u8>,
}

impl Trials {
    /// One line for each loader.
    pub fn lines(&self) -> &[String] {
        &self.lines
    }

    /// Starts programs of each loader found with the library of their class in `LD_PRELOAD`. Without
    /// `narrow`, 32-bit ones are tried with the other, as they would be.
    ///
    /// # Errors
    /// Says which program did not start as before, or that there is none to try.
    pub fn with(&mut self, wide: &str, narrow: Option<&str>) -> Result<(), String> {
        let ours = File::open(wide).map_err(|error| error.to_string()).and_then(Elf::read)?;
        self.loaders.clear();
        self.lines.clear();
        for path in loaders() {
            let Some((mut loader, elf)) = Loader::of(&path)? else { continue };
            let name = loader.name();
            let is_our_class = (elf.bits, elf.machine) == (ours.bits, ours.machine);
            if !is_our_class && loader.rules == Rules::Musl {
                self.lines.push(format!("{name}: left out, it does not read {}", place::PRELOAD));
                continue;
            }
            match seen(Command::new(&loader.path).arg("--list").arg(&loader.subject)) {
                Err(error) if error.raw_os_error() == Some(::libc::ENOEXEC) => {
                    self.lines.push(format!("{name}: left out, this machine cannot run it"));
                    continue;
                }
                other => other.map_err(|error| format!("{name}: {error}"))?,
            };
            let is_narrow = (elf.bits, elf.machine) == (32, EM_386.0);
            let library = narrow.filter(|_| is_narrow).unwrap_or(wide);
            loader.library = place::of_fresh(library).into();
            loader.try_with(library)?;
            let what = match loader.programs.as_slice() {
                [] => "lists the library".to_owned(),
                [(program, _)] if *program == loader.path => "its libc starts as before".to_owned(),
                [_] => "1 program starts as before".to_owned(),
                more => format!("{} programs start as before", more.len()),
            };
            let not = if loader.rules == Rules::Musl {
                format!("; it does not read {}", place::PRELOAD)
            } else {
                String::new()
            };
            self.lines.push(format!("{name}: {what}{not}"));
            self.loaders.push(loader);
        }
        if self.loaders.iter().any(|loader| loader.rules == Rules::Glibc) {
            Ok(())
        } else {
            Err(format!("no program here reads {}: there is no loader of glibc", place::PRELOAD))
        }
    }

    /// Has each loader of glibc say what it finds by `entry`, which may contain `$LIB`.
    ///
    /// # Errors
    /// Names one that does not find the library of its class.
    pub fn find(&self, entry: &str) -> Result<(), String> {
        self.of_glibc().try_for_each(|loader| loader.lists(entry, true, &loader.library))
    }

    /// Starts the same programs again, without `LD_PRELOAD`.
    ///
    /// # Errors
    /// Says which program did not start as before.
    pub fn in_force(&self) -> Result<(), String> {
        let text = fs::read(place::PRELOAD).unwrap_or_default();
        let entries = preload::entries(&text);
        let ours = place::ENTRIES.into_iter().find(|entry| entries.contains(&entry.as_bytes()));
        for loader in self.of_glibc() {
            if let Some(entry) = ours {
                loader.lists(entry, false, &loader.library)?;
            }
            loader.start_as_before(&[])?;
        }
        Ok(())
    }

    fn of_glibc(&self) -> impl Iterator<Item = &Loader> {
        self.loaders.iter().filter(|loader| loader.rules == Rules::Glibc)
    }
}

impl Loader {
    /// The loader at `path`, if it is one.
    fn of(path: &Path) -> Result<Option<(Self, Elf)>, String> {
        let Some(rules) = rules(path.as_os_str().as_bytes()) else { return Ok(None) };
        let real = path.canonicalize().unwrap_or_else(|_| path.to_owned());
        let Ok(elf) = File::open(&real).map_err(|error| error.to_string()).and_then(Elf::read)
        else {
            return Ok(None);
        };
        let mut programs = programs(&real);
        let libc = match rules {
            Rules::Musl => real.clone(),
            Rules::Glibc => real.with_file_name("libc.so.6"),
        };
        let subject = programs.first().map_or(&libc, |(program, _)| program).clone();
        if programs.is_empty() && rules == Rules::Glibc {
            programs.push((path.to_owned(), vec![libc.into_os_string()]));
        }
        let loader = Self {
            path: path.to_owned(),
            rules,
            bits: elf.bits,
            programs,
            subject,
            library: PathBuf::new(),
            before: Vec::new(),
        };
        if !loader.subject.exists() {
            return Err(format!("{}: found neither a program of it nor its libc", loader.name()));
        }
        Ok(Some((loader, elf)))
    }

    fn name(&self) -> String {
        let libc = if self.rules == Rules::Musl { "musl" } else { "glibc" };
        format!("{} ({libc}, {}-bit)", self.path.display(), self.bits)
    }

    fn try_with(&mut self, library: &str) -> Result<(), String> {
        self.before = self
            .programs
            .iter()
            .map(|(program, arguments)| {
                seen(Command::new(program).args(arguments))
                    .map_err(|e| format!("{}: {e}", program.display()))
            })
            .collect::<Result<_, _>>()?;
        self.lists(library, true, Path::new(library))?;
        self.start_as_before(&[("LD_PRELOAD", library)])?;
        // As on an affected kernel.
        self.start_as_before(&[("LD_PRELOAD", library), ("SIGWARD", "on")])
    }

    /// Checks that the loader would load `file` by `entry` into its program, and complains of
    /// nothing: as it starts programs now, or with the entry in `LD_PRELOAD`.
    fn lists(&self, entry: &str, preload: bool, file: &Path) -> Result<(), String> {
        let mut command = Command::new(&self.path);
        command.arg("--list").arg(&self.subject);
        command.env_clear().envs(preload.then_some(("LD_PRELOAD", entry)));
        let seen = run(&mut command).map_err(|error| format!("{}: {error}", self.name()))?;
        let output = String::from_utf8_lossy(&seen.output);
        let is_there = output.lines().any(|line| leads(line, entry, file));
        if is_there && seen.errors.is_empty() && seen.status.success() {
            return Ok(());
        }
        let words = String::from_utf8_lossy(&seen.errors);
        let words = words.lines().next().unwrap_or("it does not list the library");
        Err(format!("{}: {words}", self.name()))
    }

    fn start_as_before(&self, variables: &[(&str, &str)]) -> Result<(), String> {
        for ((program, arguments), before) in self.programs.iter().zip(&self.before) {
            let mut command = Command::new(program);
            command.args(arguments).env_clear().envs(variables.iter().copied());
            let name = program.display();
            let now = run(&mut command).map_err(|error| format!("{name}: {error}"))?;
            if now != *before {
                let words = String::from_utf8_lossy(&now.errors);
                let words = words.lines().next().unwrap_or("it writes something else");
                return Err(format!(
                    "{name} of {} does not start as before: {}, {words}",
                    self.name(),
                    now.status
                ));
            }
        }
        Ok(())
    }
}

/// Whether this line of a loader's list is that of `entry`, and leads to `file`: `ENTRY => PATH
/// (ADDRESS)`, or without an arrow if nothing was expanded.
fn leads(line: &str, entry: &str, file: &Path) -> bool {
    let Some(rest) = line.trim_start().strip_prefix(entry) else { return false };
    let path = rest.strip_prefix(" => ").unwrap_or(entry);
    let path = path.rsplit_once(" (").map_or(path, |(path, _)| path);
    let real = |path: &Path| path.canonicalize().ok();
    real(Path::new(path)).is_some_and(|found| real(file) == Some(found))
}

/// Runs a program without any variable.
fn seen(command: &mut Command) -> io::Result<Seen> {
    run(command.env_clear())
}

/// Runs a program to its end, and kills it if that takes too long.
pub fn run(command: &mut Command) -> io::Result<Seen> {
    // Not from /dev/null, which a root may lack.
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0);
    command.current_dir("/");
    let mut child = command.spawn()?;
    drop(child.stdin.take());
    let collected = |stream: Option<Box<dyn Read + Send>>| {
        thread::spawn(move || {
            let mut bytes = Vec::new();
            if let Some(mut stream) = stream {
                let _ = stream.read_to_end(&mut bytes);
            }
            bytes
        })
    };
    let output = collected(child.stdout.take().map(|stream| Box::new(stream) as _));
    let errors = collected(child.stderr.take().map(|stream| Box::new(stream) as _));
    let end = Instant::now() + LONGEST;
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break status;
        }
        if Instant::now() > end {
            let group = nix::unistd::Pid::from_raw(child.id().cast_signed());
            let _ = nix::sys::signal::killpg(group, nix::sys::signal::SIGKILL);
            child.wait()?;
            return Err(io::Error::other("it does not end"));
        }
        thread::sleep(Duration::from_millis(2));
    };
    let bytes = |thread: thread::JoinHandle<Vec<u8>>| thread.join().unwrap_or_default();
    Ok(Seen { status, output: bytes(output), errors: bytes(errors) })
}

/// The loaders of this host, each once.
pub fn loaders() -> Vec<PathBuf> {
    let mut known = BTreeSet::new();
    let mut all = Vec::new();
    for folder in LOADER_FOLDERS {
        let Ok(entries) = fs::read_dir(folder) else { continue };
        let mut paths: Vec<_> = entries.flatten().map(|entry| entry.path()).collect();
        paths.sort();
        paths.retain(|path| is_loader(path));
        for path in paths {
            if path.canonicalize().is_ok_and(|real| known.insert(real)) {
                all.push(path);
            }
        }
    }
    all
}

fn is_loader(path: &Path) -> bool {
    let name = path.file_name().map(OsStr::as_bytes).unwrap_or_default();
    let starts = ["ld-linux", "ld-musl-", "ld64.so"];
    starts.iter().any(|start| name.starts_with(start.as_bytes()))
}

/// Programs that do no harm, of this loader.
fn programs(loader: &Path) -> Vec<Program> {
    let mut known = BTreeSet::new();
    let mut all = Vec::new();
    for (name, arguments) in PROGRAMS {
        for folder in PROGRAM_FOLDERS {
            let path = Path::new(folder).join(name);
            let Ok(real) = path.canonicalize() else { continue };
            if all.len() < MOST && is_of(&real, loader) && known.insert((real, name)) {
                all.push((path, arguments.iter().map(OsString::from).collect()));
                break;
            }
        }
    }
    all
}

fn is_of(program: &Path, loader: &Path) -> bool {
    let elf = File::open(program).map_err(|error| error.to_string()).and_then(Elf::read);
    let Ok(Elf { interpreter: Some(interpreter), .. }) = elf else { return false };
    Path::new(OsStr::from_bytes(&interpreter)).canonicalize().is_ok_and(|real| real == loader)
}
