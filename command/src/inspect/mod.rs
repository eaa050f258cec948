//! What a program's file tells about it: whether the library would be loaded into it, and
//! what it would see there. Nothing is executed.
//!
//! | module | owns |
//! |---|---|
//! | [`elf`] | one ELF file |
//! | [`closure`], `ld_cache` | the libraries that a program needs |
//! | [`libc`] | its C library |
//! | `go`, `direct_calls` | run-times that make their own system calls |
//! | [`hooked`] | the functions that the library replaces |

pub mod closure;
pub mod elf;
pub mod hooked;
pub mod libc;

mod direct_calls;
mod go;
mod ld_cache;

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::File;
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use object::elf::EM_386;
use object::elf::EM_X86_64;
use serde::Serialize;
use sigward::loaded::Name;
use sigward::standdown::{OVERRIDES, SANITIZERS};

use super::credentials::{self, Privileges};
use super::library::classes;
use super::program;
use super::program::machine::Machine;
use closure::{Closure, closure};
use elf::Elf;

/// How much of a program the library can protect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Coverage {
    Covered,
    Partly,
    NotCovered,
}

/// The result. The names are an interface: add, do not rename.
#[derive(Serialize)]
pub struct Inspection {
    pub coverage: Coverage,
    /// Why not more; for a covered program, why.
    pub because: Vec<String>,
    /// What else an operator should know.
    pub notes: Vec<String>,
    /// The file that the kernel executes: for a script, its interpreter.
    pub path: String,
    /// The scripts that lead to it.
    pub scripts: Vec<String>,
    pub bits: u8,
    pub machine: String,
    pub linkage: &'static str,
    pub interpreter: Option<String>,
    pub libc: Option<libc::Libc>,
    /// The version of Go, for a program that Go built; empty if it is not known.
    pub go: Option<String>,
    pub sanitizer: Option<String>,
    /// System calls that the code makes itself, by file.
    pub direct_calls: BTreeMap<String, Vec<&'static str>>,
    /// The functions that the library replaces and that the program or a library uses.
    pub hooked_imports: BTreeMap<&'static str, Vec<&'static str>>,
    /// The libraries that it needs; empty where only the file was looked at.
    pub libraries: Vec<String>,
    pub missing_libraries: Vec<String>,
    pub odd_search_paths: Vec<String>,
}

/// What to look at.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Depth {
    /// The file alone.
    File,
    /// The libraries that its loader would find here, too.
    Libraries,
}

/// The kernel follows this many `#!` lines.
const SCRIPT_DEPTH: usize = 5;

/// Looks at the program at `path`.
///
/// # Errors
/// Says why nothing is known about it, in one line.
pub fn inspect(path: &Path, depth: Depth) -> Result<Inspection, String> {
    let mut scripts = Vec::new();
    let mut path = path.to_owned();
    loop {
        let (file, head) = open(&path)?;
        if head.starts_with(b"\x7fELF") {
            return Examined::new(path, file, depth).map(|seen| seen.judged(scripts));
        }
        if scripts.len() > SCRIPT_DEPTH {
            return Err("too many interpreters that are scripts themselves".to_owned());
        }
        scripts.push(shown(&path));
        path = match program::script_interpreter(&head) {
            Some(interpreter) => PathBuf::from(interpreter),
            None if is_text(&head) => PathBuf::from(program::SHELL),
            None => return Err("neither an ELF file nor a script".to_owned()),
        };
    }
}

fn open(path: &Path) -> Result<(File, Vec<u8>), String> {
    let name = shown(path);
    let says = |error: std::io::Error| format!("{name}: {}", words(&error));
    let metadata = path.metadata().map_err(says)?;
    if metadata.is_dir() {
        return Err(format!("{name}: a folder, not a program"));
    }
    if !metadata.is_file() {
        return Err(format!("{name}: not a regular file"));
    }
    let mut file = File::open(path).map_err(says)?;
    let mut head = Vec::new();
    Read::by_ref(&mut file).take(4096).read_to_end(&mut head).map_err(says)?;
    Ok((file, head))
}

/// An error without its number.
pub fn words(error: &std::io::Error) -> String {
    match error.kind() {
        std::io::ErrorKind::NotFound => "not found".to_owned(),
        std::io::ErrorKind::PermissionDenied => "permission denied".to_owned(),
        _ => error.to_string(),
    }
}

/// What a shell takes for a script: no NUL in the first line.
fn is_text(head: &[u8]) -> bool {
    let first = head.split(|byte| *byte == b'\n').next().unwrap_or_default();
    !head.is_empty() && !first.contains(&0)
}

/// Bytes as text, control characters escaped.
pub fn escaped(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let each = |letter: char| {
        if letter.is_control() { letter.escape_default().collect() } else { letter.to_string() }
    };
    text.chars().map(each).collect()
}

fn shown(path: &Path) -> String {
    escaped(path.as_os_str().as_bytes())
}

/// A program that was read, before it is judged.
struct Examined {
    path: PathBuf,
    elf: Elf,
    /// Why the loader ignores `LD_PRELOAD` in whatever this process becomes.
    caller: Option<String>,
    privileges: Privileges,
    rules: Option<closure::Rules>,
    closure: Closure,
    go: Option<String>,
    direct_calls: BTreeMap<String, Vec<&'static str>>,
}

impl Examined {
    fn new(path: PathBuf, file: File, depth: Depth) -> Result<Self, String> {
        let says = |error: std::io::Error| format!("{}: {}", shown(&path), words(&error));
        let metadata = file.metadata().map_err(says)?;
        let code = file.try_clone().map_err(says)?;
        let elf = Elf::read(file).map_err(|why| format!("{}: {why}", shown(&path)))?;
        let rules = elf.interpreter.as_deref().and_then(libc::rules);
        let closure = match (depth, rules) {
            (Depth::Libraries, Some(rules)) => closure(&path, &elf, rules),
            _ => Closure::default(),
        };
        let mut direct_calls = BTreeMap::new();
        let mut look = |path: &Path, elf: &Elf, file: &File| {
            let calls = match elf.machine {
                machine if machine == EM_X86_64.0 => direct_calls::find(file, &elf.code),
                _ => Vec::new(),
            };
            if !calls.is_empty() {
                direct_calls.insert(shown(path), calls);
            }
        };
        look(&path, &elf, &code);
        for library in &closure.libraries {
            if !libc::is_part(&library.name)
                && let Ok(file) = File::open(&library.path)
            {
                look(&library.path, &library.elf, &file);
            }
        }
        let go = go::version(&code, &elf.data).or(elf.go_note.then(String::new));
        let privileges = credentials::of_program(&path, &metadata);
        // Nothing is known of those who started the programs that run.
        let caller = match depth {
            Depth::Libraries => credentials::of_this_process(),
            Depth::File => None,
        };
        Ok(Examined { path, elf, caller, privileges, rules, closure, go, direct_calls })
    }

    /// A sanitizer that the program or a library brings.
    fn sanitizer(&self) -> Option<String> {
        let all = || {
            let libraries = self.closure.libraries.iter().map(|library| &library.elf);
            std::iter::once(&self.elf).chain(libraries)
        };
        let named =
            SANITIZERS.iter().map(Name::text).find(|name| all().any(|elf| elf.exports(name)));
        let by_library = || {
            const LIBRARIES: [&[u8]; 5] =
                [b"libasan.", b"libtsan.", b"libhwasan.", b"libclang_rt.asan", b"libclang_rt.tsan"];
            let is = |name: &&Vec<u8>| LIBRARIES.iter().any(|start| name.starts_with(start));
            self.elf.needed.iter().find(is).map(|name| escaped(name))
        };
        named.map(str::to_owned).or_else(by_library)
    }

    fn hooked_imports(&self) -> BTreeMap<&'static str, Vec<&'static str>> {
        let libraries = self.closure.libraries.iter();
        let others = libraries.filter(|library| !libc::is_part(&library.name));
        let all: Vec<&Elf> =
            std::iter::once(&self.elf).chain(others.map(|library| &library.elf)).collect();
        let of = |names: &&'static [&'static str]| {
            let used = names.iter().filter(|name| all.iter().any(|elf| elf.imports(name)));
            used.copied().collect::<Vec<_>>()
        };
        // The library for 32-bit programs leaves waits alone.
        let has = |group: &&hooked::Group| self.elf.bits == 64 || group.0 != hooked::WAITS;
        let groups = hooked::GROUPS.iter().filter(has).map(|(group, names)| (*group, of(names)));
        groups.filter(|(_, names)| !names.is_empty()).collect()
    }

    fn linkage(&self) -> &'static str {
        match (self.elf.is_static(), self.elf.dynamic) {
            (false, _) => "dynamic",
            (true, true) if self.elf.needed.is_empty() => "static-pie",
            (true, true) => "shared library",
            (true, false) => "static",
        }
    }

    /// Why the loader would not load the library into it, or why that would do nothing.
    fn obstacles(&self, sanitizer: Option<&str>) -> Vec<String> {
        let mut all = Vec::new();
        let (bits, machine) = (self.elf.bits, self.elf.machine);
        let ours = classes::own_machine();
        if !classes::serves(bits, machine) {
            all.push(if bits == 32 && machine == EM_386.0 && classes::is_x86() {
                format!("it is a 32-bit program, and {}", classes::NONE_FOR_32_BIT)
            } else if machine == ours {
                format!("it is a {bits}-bit program, and the library is 64-bit")
            } else {
                let (its, ours) = (Machine(self.elf.machine), Machine(ours));
                format!("it is for {its}, and the library is for {ours}")
            });
        }
        match (&self.elf.interpreter, self.linkage()) {
            (None, "shared library") => all.push("it is a library, not a program".to_owned()),
            (None, linkage) => {
                let pie = if linkage == "static-pie" { " (static-pie)" } else { "" };
                all.push(format!("it is statically linked{pie}, so no loader runs"));
            }
            (Some(loader), _) => {
                let loader = Path::new(OsStr::from_bytes(loader));
                if let Err(error) = loader.metadata() {
                    let why = words(&error);
                    all.push(format!("its loader {} cannot be started: {why}", shown(loader)));
                } else if self.rules.is_none() {
                    let loader = shown(loader);
                    all.push(format!("its loader {loader} is neither glibc's nor musl's"));
                }
            }
        }
        let for_us = self.caller.iter().chain(&self.privileges.for_us);
        all.extend(for_us.map(|what| format!("{what}, so the loader ignores LD_PRELOAD")));
        if let Some(sanitizer) = sanitizer {
            all.push(format!("a sanitizer is in it ({sanitizer}): the library stands down"));
        }
        if let Some(name) = OVERRIDES.iter().map(Name::text).find(|name| self.elf.exports(name)) {
            all.push(format!("it defines {name} itself: the library stands down"));
        }
        all
    }

    /// Why the library would see only a part of it.
    fn gaps(&self) -> Vec<String> {
        let mut all = Vec::new();
        if let Some(version) = &self.go {
            let version = if version.is_empty() { "Go" } else { version };
            all.push(format!(
                "{version} makes its own system calls: only the stacks of its C threads are seen"
            ));
        }
        for (path, calls) in &self.direct_calls {
            if self.go.is_some() && *path == shown(&self.path) {
                continue;
            }
            // The others harm nobody who has no alternate stack.
            let calls = calls.join(", ");
            all.push(format!("{path} makes these calls by the syscall instruction: {calls}"));
        }
        let others = self.privileges.for_others.iter();
        all.extend(others.map(|what| {
            format!("{what}: for other callers than you, the loader ignores LD_PRELOAD")
        }));
        all
    }

    fn notes(&self) -> Vec<String> {
        let mut all = Vec::new();
        let ignored = self.privileges.ignored.iter();
        all.extend(ignored.map(|(what, why)| format!("{what}, which does nothing here: {why}")));
        for name in &self.closure.missing {
            all.push(format!("{} was not found: the loader would stop there", escaped(name)));
        }
        for library in &self.closure.libraries {
            if library.by_rpath && libc::is_part(&library.name) {
                let (name, path) = (escaped(&library.name), shown(&library.path));
                all.push(format!("it brings its own {name}, by a search path: {path}"));
            }
        }
        let loads = ["dlopen", "dlmopen"].iter().any(|name| self.elf.imports(name));
        if loads {
            all.push("it may load plugins while it runs (dlopen); they were not looked at".into());
        }
        all
    }

    fn judged(self, scripts: Vec<String>) -> Inspection {
        let sanitizer = self.sanitizer();
        let obstacles = self.obstacles(sanitizer.as_deref());
        let gaps = self.gaps();
        let (coverage, because) = if !obstacles.is_empty() {
            (Coverage::NotCovered, obstacles)
        } else if !gaps.is_empty() {
            (Coverage::Partly, gaps)
        } else {
            let which = if self.elf.bits == 32 { "library for 32-bit programs" } else { "library" };
            let why =
                format!("its loader would load the {which}, and it makes its calls through libc");
            (Coverage::Covered, vec![why])
        };
        let rules = self.rules;
        Inspection {
            coverage,
            because,
            notes: self.notes(),
            path: shown(&self.path),
            scripts,
            bits: self.elf.bits,
            machine: Machine(self.elf.machine).to_string(),
            linkage: self.linkage(),
            interpreter: self.elf.interpreter.as_deref().map(escaped),
            libc: rules.map(|rules| libc::of(rules, &self.elf, &self.closure)),
            hooked_imports: self.hooked_imports(),
            go: self.go,
            sanitizer,
            direct_calls: self.direct_calls,
            libraries: self.closure.libraries.iter().map(|library| shown(&library.path)).collect(),
            missing_libraries: self.closure.missing.iter().map(|name| escaped(name)).collect(),
            odd_search_paths: self.closure.oddities,
        }
    }
}
