//! Builds the C programs of `integration/programs`, one behaviour each, for each libc.
//!
//! The folders are themes; a program's name alone is unique. The virtual machines' meters are
//! in a folder beside them and are built by the crate that runs those.
//!
//! Comment lines in a program say how to build it:
//!
//! | line | meaning |
//! |---|---|
//! | `// build: FLAGS` | more compiler flags |
//! | `// links: NAME` | links the library built from `NAME.c`, found at run time by its path |
//! | `// output: NAME` | the file name of the result |
//! | `// only: glibc` | not for musl |
//! | `// only: 64-bit` | not for 32-bit programs |
//! | `// only: x86` | not for 64-bit ARM and RISC-V |
//! | `// not: x86` | only for these |
//!
//! A name that starts with `lib` becomes a shared library.

use std::env;
use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use crate::artifacts::{script, target, workspace};
use crate::need;

const FLAGS: &[&str] =
    &["-std=gnu99", "-O1", "-g", "-Wall", "-Wextra", "-Werror", "-pthread", "-D_GNU_SOURCE"];

/// A C library to build for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Libc {
    /// The machine's glibc, by `gcc`.
    Glibc,
    /// glibc 2.31, whose libpthread is a separate library; the compiler comes from
    /// `integration/harness/fetch-old-glibc`.
    OldGlibc,
    /// musl, by `musl-gcc` of Debian's `musl-tools`.
    Musl,
    /// The machine's glibc for 32-bit programs, by `gcc -m32` of Debian's `gcc-multilib`. Not one
    /// of [`libcs`]: 32-bit programs have tests of their own.
    Glibc32,
    /// glibc 2.31 for 32-bit programs, also among [`libcs32`]; the compiler comes from
    /// `integration/harness/fetch-old-glibc --32`.
    OldGlibc32,
    /// musl for 32-bit programs, also among [`libcs32`]; the compiler comes from
    /// `integration/harness/fetch-musl32`.
    Musl32,
    /// glibc for 64-bit ARM, by `packaging/cross/compiler`, which fetches it; the program runs in
    /// `qemu-aarch64`. Among no others: such programs have tests of their own.
    Arm64,
    /// The same for 64-bit RISC-V.
    Riscv64,
}

impl Libc {
    fn compiler(self) -> PathBuf {
        match self {
            Self::Glibc | Self::Glibc32 => "gcc".into(),
            Self::OldGlibc => target().join("old-glibc/gcc"),
            Self::Musl => "musl-gcc".into(),
            Self::OldGlibc32 => target().join("old-glibc-32/gcc"),
            Self::Musl32 => target().join("musl32/gcc"),
            Self::Arm64 | Self::Riscv64 => cross_compiler(self).into(),
        }
    }

    /// Its name, for headings and folders.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Glibc => "glibc",
            Self::OldGlibc => "glibc-2.31",
            Self::Musl => "musl",
            Self::Glibc32 => "glibc-32",
            Self::OldGlibc32 => "glibc-2.31-32",
            Self::Musl32 => "musl-32",
            Self::Arm64 => "glibc-arm64",
            Self::Riscv64 => "glibc-riscv64",
        }
    }

    /// Its name in `// only:`.
    const fn family(self) -> &'static str {
        if self.is_musl() { "musl" } else { "glibc" }
    }

    /// Whether it is for 32-bit programs.
    #[must_use]
    pub const fn is_32_bit(self) -> bool {
        matches!(self, Self::Glibc32 | Self::OldGlibc32 | Self::Musl32)
    }

    /// Whether it is musl, of either width.
    #[must_use]
    pub const fn is_musl(self) -> bool {
        matches!(self, Self::Musl | Self::Musl32)
    }

    /// Its width in `// only:`.
    const fn width(self) -> &'static str {
        if self.is_32_bit() { "32-bit" } else { "64-bit" }
    }

    /// Its processor in `// only:`.
    const fn processor(self) -> &'static str {
        match self {
            Self::Arm64 => "arm64",
            Self::Riscv64 => "riscv64",
            _ => "x86",
        }
    }

    /// What compilers and emulators call its processor.
    #[must_use]
    pub const fn architecture(self) -> &'static str {
        match self {
            Self::Arm64 => "aarch64",
            Self::Riscv64 => "riscv64",
            _ => "x86_64",
        }
    }

    /// More flags for a program, or for a shared library. Old 32-bit programs are linked to fixed
    /// addresses.
    const fn flags(self, shared: bool) -> &'static [&'static str] {
        match (self.is_32_bit(), shared) {
            (false, _) => &[],
            (true, true) => &["-m32"],
            (true, false) => &["-m32", "-fno-pie", "-no-pie"],
        }
    }

    fn present(self) -> bool {
        let compiler = self.compiler();
        match self {
            Self::Glibc | Self::Arm64 | Self::Riscv64 => true,
            // Some day the mirrors will drop Debian 11.
            Self::OldGlibc => need::optional(
                compiler.exists(),
                "glibc 2.31",
                "integration/harness/fetch-old-glibc",
            ),
            Self::Musl => {
                let remedy = "apt-get install musl-tools";
                need::required(need::installed("musl-gcc").is_some(), "musl-gcc", remedy)
            }
            Self::OldGlibc32 => need::optional(
                compiler.exists(),
                "glibc 2.31 for 32-bit programs",
                "integration/harness/fetch-old-glibc --32",
            ),
            Self::Musl32 => need::optional(
                compiler.exists(),
                "musl for 32-bit programs",
                "integration/harness/fetch-musl32",
            ),
            Self::Glibc32 => {
                // Without the file the compiler prints the bare name.
                let start = ["-m32", "-print-file-name=crt1.o"];
                let found = Command::new("gcc").args(start).output();
                let found = found.is_ok_and(|output| output.stdout.starts_with(b"/"));
                need::required(found, "gcc -m32", "apt-get install gcc-multilib")
            }
        }
    }
}

/// The compiler for another processor; fetched the first time.
///
/// # Panics
///
/// If it is not to be had, or if `libc` is one for x86.
#[must_use]
pub fn cross_compiler(libc: Libc) -> &'static Path {
    static ARM64: OnceLock<PathBuf> = OnceLock::new();
    static RISCV64: OnceLock<PathBuf> = OnceLock::new();
    let path = if libc == Libc::Arm64 { &ARM64 } else { &RISCV64 };
    path.get_or_init(|| script("packaging/cross/compiler", libc.architecture()))
}

/// The C libraries whose compiler is installed. Only the machine's glibc is always there; in
/// CI musl must be there too. With `WIDTH=32` those for 32-bit programs: see [`libcs32`].
///
/// # Panics
///
/// If `musl-gcc` is missing in CI.
#[must_use]
pub fn libcs() -> &'static [Libc] {
    static PRESENT: OnceLock<Vec<Libc>> = OnceLock::new();
    PRESENT.get_or_init(|| {
        if env::var_os("WIDTH").is_some_and(|width| width == "32") {
            return libcs32().to_vec();
        }
        let all = [Libc::Glibc, Libc::OldGlibc, Libc::Musl];
        all.into_iter().filter(|libc| libc.present()).collect()
    })
}

/// The C libraries for 32-bit programs whose compiler is installed. In CI only the machine's glibc,
/// to save time, and it must be there; with `WIDTH=32` all of them.
///
/// # Panics
///
/// If it is missing in CI.
#[must_use]
pub fn libcs32() -> &'static [Libc] {
    static PRESENT: OnceLock<Vec<Libc>> = OnceLock::new();
    PRESENT.get_or_init(|| {
        let all = [Libc::Glibc32, Libc::OldGlibc32, Libc::Musl32];
        let few = need::in_ci() && env::var_os("WIDTH").is_none();
        let wanted = if few { &all[..1] } else { &all };
        wanted.iter().copied().filter(|libc| libc.present()).collect()
    })
}

/// Every program that prints the same in each run and ends quickly, with each of `libcs` that it
/// supports. The others say `compared: elsewhere` and have tests of their own.
///
/// # Errors
///
/// If the programs' folder cannot be read.
pub fn comparable(libcs: &[Libc]) -> io::Result<Vec<(String, Libc)>> {
    let mut all = Vec::new();
    for path in sources()? {
        let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        if path.extension().is_none_or(|extension| extension != "c") || name.starts_with("lib") {
            continue;
        }
        if directive(&read(&path)?, "compared").next().is_some() {
            continue;
        }
        for &libc in libcs {
            if suits(&name, libc)? {
                all.push((name.clone(), libc));
            }
        }
    }
    all.sort_by(|a, b| a.0.cmp(&b.0));
    Ok(all)
}

/// Whether the program supports `libc`.
///
/// # Errors
///
/// If there is no such program.
pub fn suits(name: &str, libc: Libc) -> io::Result<bool> {
    let text = read(&source(name)?)?;
    let is = |word| [libc.family(), libc.width(), libc.processor()].contains(&word);
    Ok(directive(&text, "only").all(is) && !directive(&text, "not").any(is))
}

/// Builds `integration/programs/*/NAME.c` and returns the path of the result.
///
/// # Errors
///
/// If the compiler fails: its messages. Warnings are errors.
pub fn build(name: &str, libc: Libc) -> io::Result<PathBuf> {
    build_with(name, libc, &[])
}

/// Like [`build`], with more compiler flags, such as `-static`.
///
/// # Errors
///
/// Those of [`build`].
pub fn build_with(name: &str, libc: Libc, flags: &[&str]) -> io::Result<PathBuf> {
    let source = source(name)?;
    let text = read(&source)?;
    let libraries: Vec<PathBuf> = directive(&text, "links")
        .map(|library| build_with(library, libc, flags))
        .collect::<io::Result<_>>()?;

    // One folder per content: the program keeps its name, and no stale one is used.
    let mut key = DefaultHasher::new();
    (FLAGS, flags, libc, &text, &libraries, shared_sources()?).hash(&mut key);
    let place = target().join("programs").join(libc.name()).join(format!("{:016x}", key.finish()));
    let shared = name.starts_with("lib");
    let default = if shared { format!("{name}.so") } else { name.to_owned() };
    let result = place.join(directive(&text, "output").next().unwrap_or(&default));
    if result.exists() {
        return Ok(result);
    }

    fs::create_dir_all(&place)?;
    let scratch = tempfile::Builder::new().prefix("building-").tempdir_in(&place)?;
    let fresh = scratch.path().join(name);
    let mut compiler = Command::new(libc.compiler());
    // The folder of the sources it includes.
    compiler.current_dir(source.parent().unwrap_or(Path::new("/"))).arg("-I..");
    compiler.args(FLAGS).args(libc.flags(shared)).args(flags).arg("-o").arg(&fresh).arg(&source);
    if shared {
        compiler.args(["-shared", "-fPIC"]);
    }
    for library in &libraries {
        let folder = library.parent().unwrap_or(Path::new("/"));
        compiler.arg(library).arg(format!("-Wl,-rpath,{}", folder.display()));
    }
    compiler.args(directive(&text, "build"));
    let output = compiler.output()?;
    if !output.status.success() {
        let words = String::from_utf8_lossy(&output.stderr);
        let compiler = compiler.get_program().to_string_lossy().into_owned();
        return Err(io::Error::other(format!("{compiler} {name}.c failed:\n{words}")));
    }
    // Atomic: several tests may build the same program at the same time.
    fs::rename(&fresh, &result)?;
    Ok(result)
}

/// The folder of the programs.
#[must_use]
pub fn folder() -> PathBuf {
    workspace().join("integration/programs")
}

/// The folder of the virtual machines' meters.
const METERS: &str = "meters";

/// All files of the programs, including those that several of them include.
fn sources() -> io::Result<Vec<PathBuf>> {
    let mut all = Vec::new();
    for entry in fs::read_dir(folder())? {
        let path = entry?.path();
        if !path.is_dir() {
            all.push(path);
        } else if !path.ends_with(METERS) {
            for entry in fs::read_dir(path)? {
                all.push(entry?.path());
            }
        }
    }
    all.sort();
    Ok(all)
}

/// The path of the program `name`.
fn source(name: &str) -> io::Result<PathBuf> {
    let file = format!("{name}.c");
    let found = sources()?.into_iter().find(|path| path.ends_with(&file));
    let lacking = || format!("no {file} in a folder of {}", folder().display());
    found.ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, lacking()))
}

fn read(path: &Path) -> io::Result<String> {
    fs::read_to_string(path)
        .map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", path.display())))
}

/// The content of all files that a program may include.
fn shared_sources() -> io::Result<Vec<(PathBuf, String)>> {
    let shared = |path: &PathBuf| {
        path.extension().is_some_and(|extension| extension == "h" || extension == "map")
    };
    let with_text = |path: PathBuf| read(&path).map(|text| (path, text));
    sources()?.into_iter().filter(shared).map(with_text).collect()
}

/// The text of all `// KEY: text` lines.
fn directive<'a>(text: &'a str, key: &'static str) -> impl Iterator<Item = &'a str> {
    text.lines()
        .filter_map(move |line| line.strip_prefix("// ")?.strip_prefix(key)?.strip_prefix(": "))
        .flat_map(str::split_whitespace)
}

/// Copies a program that is about to run.
///
/// By `cp`: while we have the file open for writing, another thread could fork, and until
/// that child has called exec, the copy cannot be executed (ETXTBSY).
///
/// # Errors
///
/// If it cannot be copied.
pub fn copy(from: &Path, to: &Path) -> io::Result<()> {
    let output = Command::new("cp").arg(from).arg(to).output()?;
    if output.status.success() {
        return Ok(());
    }
    Err(io::Error::other(String::from_utf8_lossy(&output.stderr).into_owned()))
}

/// The files that the loader maps for a program: its libraries, or musl's one file.
///
/// # Errors
///
/// If the program cannot be started.
pub fn loaded_files(program: &Path, libc: Libc) -> io::Result<Vec<PathBuf>> {
    if libc == Libc::Musl {
        return Ok(vec!["/lib/ld-musl-x86_64.so.1".into()]);
    }
    let output = Command::new(program).env("LD_TRACE_LOADED_OBJECTS", "1").output()?;
    let text = String::from_utf8(output.stdout).map_err(io::Error::other)?;
    let words = text.split_whitespace().filter(|word| word.starts_with('/'));
    Ok(words.map(PathBuf::from).collect())
}
