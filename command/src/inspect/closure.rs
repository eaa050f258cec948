//! The libraries that a program needs, found as its loader finds them, without running
//! it.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs::File;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::elf::Elf;
use super::ld_cache::Cache;
use super::shown;

/// At most this many libraries are looked at.
const MOST: usize = 2000;

/// A library of the closure.
pub struct Needed {
    pub name: Vec<u8>,
    pub path: PathBuf,
    pub elf: Elf,
    /// Whether a search path of the program or of a library led to it.
    pub by_rpath: bool,
}

/// All that a program needs.
#[derive(Default)]
pub struct Closure {
    /// In the loader's order: breadth first.
    pub libraries: Vec<Needed>,
    /// Names that were found nowhere.
    pub missing: Vec<Vec<u8>>,
    /// What is odd about the search paths, in words.
    pub oddities: Vec<String>,
}

/// Which C library's loader searches.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Rules {
    Glibc,
    Musl,
}

/// Who needs a library: its search paths, expanded, and those of the objects that led to
/// it.
#[derive(Clone)]
struct Needer {
    rpaths: Vec<PathBuf>,
    runpaths: Vec<PathBuf>,
}

/// Finds what the program at `path` needs.
pub fn closure(path: &Path, program: &Elf, rules: Rules) -> Closure {
    let mut found = Closure::default();
    let mut known = BTreeSet::new();
    let cache = Cache::read(Path::new("/"));
    let folders = standard_folders(program, rules);
    let first = found.needer(path, program, &[]);
    let mut queue: Vec<(Vec<u8>, Needer)> =
        program.needed.iter().map(|name| (name.clone(), first.clone())).collect();
    let mut next = 0;
    while let Some((name, needer)) = queue.get(next).cloned() {
        next += 1;
        // The loader itself provides musl's libc.
        if !known.insert(name.clone()) || found.libraries.len() >= MOST {
            continue;
        }
        let search = Search { program, needer: &needer, cache: &cache, folders: &folders, rules };
        let Some((path, elf, by_rpath)) = search.find(&name) else {
            found.missing.push(name);
            continue;
        };
        known.extend(elf.soname.clone());
        let inner = found.needer(&path, &elf, &needer.rpaths);
        queue.extend(elf.needed.iter().map(|name| (name.clone(), inner.clone())));
        found.libraries.push(Needed { name, path, elf, by_rpath });
    }
    found
}

impl Closure {
    /// The search paths of an object, and what is odd about them.
    fn needer(&mut self, path: &Path, elf: &Elf, inherited: &[PathBuf]) -> Needer {
        let folder = path.canonicalize().ok().and_then(|path| path.parent().map(Path::to_owned));
        let folder = folder.unwrap_or_default();
        let mut split = |name: &str, text: &Option<Vec<u8>>| -> Vec<PathBuf> {
            let Some(text) = text else { return Vec::new() };
            let entries = text.split(|byte| *byte == b':');
            let expanded = entries.map(|entry| expand(entry, &folder));
            let all: Vec<PathBuf> = expanded.collect();
            for folder in &all {
                if let Some(why) = odd(folder) {
                    let (path, folder) = (shown(path), shown(folder));
                    self.oddities.push(format!("{path}: {name} has {folder}: {why}"));
                }
            }
            all
        };
        let runpaths = split("RUNPATH", &elf.runpath);
        // With a RUNPATH, the loader ignores every RPATH.
        let mut rpaths = Vec::new();
        if elf.runpath.is_none() {
            rpaths = split("RPATH", &elf.rpath);
            rpaths.extend_from_slice(inherited);
        }
        Needer { rpaths, runpaths }
    }
}

/// Replaces `$ORIGIN`.
fn expand(entry: &[u8], origin: &Path) -> PathBuf {
    for word in [&b"$ORIGIN"[..], b"${ORIGIN}"] {
        if let Some(rest) = entry.strip_prefix(word) {
            let whole = [origin.as_os_str().as_bytes(), rest].concat();
            return PathBuf::from(std::ffi::OsString::from_vec(whole));
        }
    }
    PathBuf::from(OsStr::from_bytes(entry))
}

fn odd(folder: &Path) -> Option<&'static str> {
    if !folder.is_absolute() {
        return Some("relative, so it depends on the current folder");
    }
    let metadata = folder.metadata().ok()?;
    let (everyone, sticky) = (metadata.mode() & 0o002 != 0, metadata.mode() & 0o1000 != 0);
    match (everyone, sticky) {
        (true, false) => Some("every user may replace files there"),
        (true, true) => Some("every user may put files there"),
        _ => None,
    }
}

struct Search<'a> {
    program: &'a Elf,
    needer: &'a Needer,
    cache: &'a Cache,
    folders: &'a [PathBuf],
    rules: Rules,
}

impl Search<'_> {
    /// The first file that fits, and whether a search path of an object led to it.
    fn find(&self, name: &[u8]) -> Option<(PathBuf, Elf, bool)> {
        let name = Path::new(OsStr::from_bytes(name));
        let take =
            |path: PathBuf, by_rpath| self.fits(&path).map(|elf| (path.clone(), elf, by_rpath));
        if name.as_os_str().as_bytes().contains(&b'/') {
            return take(name.to_owned(), false);
        }
        // musl has its libc in the loader.
        if self.rules == Rules::Musl
            && (name == Path::new("libc.so") || name.starts_with("libc.musl-"))
            && let Some(loader) = &self.program.interpreter
            && let Some(found) = take(PathBuf::from(OsStr::from_bytes(loader)), false)
        {
            return Some(found);
        }
        let by_environment: Vec<PathBuf> = std::env::var_os("LD_LIBRARY_PATH")
            .map(|paths| std::env::split_paths(&paths).collect())
            .unwrap_or_default();
        let folders = self.needer.rpaths.iter().map(|folder| (folder, true));
        let folders = folders
            .chain(by_environment.iter().map(|folder| (folder, false)))
            .chain(self.needer.runpaths.iter().map(|folder| (folder, true)));
        for (folder, by_rpath) in folders {
            if let Some(found) = take(folder.join(name), by_rpath) {
                return Some(found);
            }
        }
        let cached = match self.rules {
            Rules::Glibc => self.cache.find(name.as_os_str().as_bytes()),
            Rules::Musl => Vec::new(),
        };
        let standard = self.folders.iter().map(|folder| folder.join(name));
        cached.into_iter().chain(standard).find_map(|path| take(path, false))
    }

    /// A library of the program's class and machine.
    fn fits(&self, path: &Path) -> Option<Elf> {
        // Nothing but a file: a FIFO would have us wait.
        if !path.metadata().ok()?.is_file() {
            return None;
        }
        let elf = Elf::read(File::open(path).ok()?).ok()?;
        let same = (elf.bits, elf.machine) == (self.program.bits, self.program.machine);
        same.then_some(elf)
    }
}

/// Where the loader looks last.
fn standard_folders(program: &Elf, rules: Rules) -> Vec<PathBuf> {
    let of = |names: &[&str]| names.iter().map(PathBuf::from).collect::<Vec<_>>();
    if rules == Rules::Musl {
        // `/lib/ld-musl-ARCH.so.1` reads `/etc/ld-musl-ARCH.path`.
        let loader = program.interpreter.as_deref().map(|path| Path::new(OsStr::from_bytes(path)));
        let stem = loader.and_then(Path::file_name).map(OsStrExt::as_bytes).unwrap_or_default();
        let stem = stem.strip_suffix(b".so.1").unwrap_or(stem);
        let list = [b"/etc/", stem, b".path"].concat();
        if let Ok(text) = std::fs::read_to_string(Path::new(OsStr::from_bytes(&list))) {
            return text.split([':', '\n']).filter(|it| !it.is_empty()).map(Into::into).collect();
        }
        return of(&["/lib", "/usr/local/lib", "/usr/lib"]);
    }
    let mut all = match program.bits {
        64 => of(&["/lib64", "/usr/lib64"]),
        _ => Vec::new(),
    };
    let multiarch = match (program.bits, object::elf::Machine(program.machine)) {
        (64, object::elf::EM_X86_64) => Some("x86_64-linux-gnu"),
        (32, object::elf::EM_386) => Some("i386-linux-gnu"),
        (64, object::elf::EM_AARCH64) => Some("aarch64-linux-gnu"),
        _ => None,
    };
    for base in ["/lib", "/usr/lib"] {
        all.extend(multiarch.map(|name| Path::new(base).join(name)));
        all.push(base.into());
    }
    all
}
