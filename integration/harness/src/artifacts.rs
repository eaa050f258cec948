//! Builds what the tests run: `libsigward.so` and the workspace's commands.
//!
//! Cargo gives a test no path to another package's cdylib, and a copy found on disk may be
//! stale. So each test process asks cargo once; an up-to-date build costs some 50 ms.

use std::collections::BTreeSet;
use std::env;
use std::ffi::OsStr;
use std::fs;
use std::io::{self, Read as _};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use object::read::elf::{ElfFile64, Sym as _};
use object::{Endianness, Object as _, ObjectSection as _, ObjectSymbol as _, elf};
use tempfile::TempDir;

/// The root of the workspace.
#[must_use]
pub fn workspace() -> &'static Path {
    // integration/harness is two levels below the root.
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.ancestors().nth(2).unwrap_or(here)
}

/// Cargo's target directory.
#[must_use]
pub fn target() -> PathBuf {
    match env::var_os("CARGO_TARGET_DIR") {
        Some(dir) => workspace().join(dir),
        None => workspace().join("target"),
    }
}

/// The path of the release build of `libsigward.so`, rebuilt if stale.
///
/// # Panics
///
/// If the build fails: no test of the library means anything then.
#[must_use]
pub fn preload() -> &'static Path {
    static PATH: OnceLock<PathBuf> = OnceLock::new();
    PATH.get_or_init(|| {
        cargo(&["build", "--release", "-p", "sigward-preload"]).expect("libsigward.so is built");
        target().join("release/libsigward.so")
    })
}

/// The path of the library for 32-bit programs, rebuilt if stale.
///
/// # Panics
///
/// If the build fails.
#[must_use]
pub fn preload32() -> &'static Path {
    static PATH: OnceLock<PathBuf> = OnceLock::new();
    PATH.get_or_init(|| script("packaging/i686/build", ""))
}

/// The path that a script of the workspace prints last. An empty argument is none.
///
/// # Panics
///
/// If the script fails.
#[must_use]
pub fn script(path: &str, argument: &str) -> PathBuf {
    let mut build = in_workspace(path);
    build.args(Some(argument).filter(|it| !it.is_empty()));
    let output = build.stdin(Stdio::null()).output().expect("the script is there");
    let words = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{path}: {words}");
    let path = String::from_utf8(output.stdout).expect("a path");
    path.lines().last().expect("a path").into()
}

/// The library for a program: the one of its width.
///
/// # Panics
///
/// If the build fails.
#[must_use]
pub fn preload_for(program: &Path) -> &'static Path {
    const WIDTH_32: [u8; 5] = *b"\x7fELF\x01";
    let mut head = [0; WIDTH_32.len()];
    let read = fs::File::open(program).and_then(|mut file| file.read_exact(&mut head));
    if read.is_ok() && head == WIDTH_32 { preload32() } else { preload() }
}

/// The path of the static command, as it is installed; rebuilt if stale.
///
/// # Panics
///
/// If the build fails.
#[must_use]
pub fn command() -> &'static Path {
    static PATH: OnceLock<PathBuf> = OnceLock::new();
    PATH.get_or_init(|| {
        // It contains the library, which it would build in a folder of its own.
        let _ = preload();
        cargo(&["static-command"]).expect("the command is built");
        target().join("x86_64-unknown-linux-gnu/release/sigward")
    })
}

/// The path of `libchaos.so`, the second interposer; rebuilt if stale.
///
/// # Panics
///
/// If the build fails.
#[must_use]
pub fn chaos() -> &'static Path {
    static PATH: OnceLock<PathBuf> = OnceLock::new();
    PATH.get_or_init(|| {
        cargo(&["build", "-p", "sigward-chaos"]).expect("libchaos.so is built");
        target().join("debug/libchaos.so")
    })
}

/// A copy of `libsigward.so`, of the width of `program`, without `DF_1_INITFIRST`: glibc then
/// runs its constructor after those of the program's libraries, as before 2.34, where libpthread
/// comes first.
///
/// # Errors
///
/// If it cannot be written.
///
/// # Panics
///
/// If the library does not have the flag.
pub fn initialised_late(program: &Path) -> io::Result<PathBuf> {
    const FLAGS_1: u64 = 0x6fff_fffb;
    const INITFIRST: u8 = 0x20;
    let library = preload_for(program);
    let mut bytes = fs::read(library)?;
    let file = object::File::parse(&*bytes).expect("an ELF file");
    let word = if file.is_64() { 8 } else { 4 };
    let dynamic = file.section_by_name(".dynamic").and_then(|section| section.file_range());
    let (start, size) = dynamic.expect("a dynamic section");
    let table = &bytes[start as usize..][..size as usize];
    let tag = &FLAGS_1.to_le_bytes()[..word];
    let entry = table.chunks(2 * word).position(|entry| entry.starts_with(tag));
    let flags = start as usize + entry.expect("DT_FLAGS_1") * 2 * word + word;
    assert_ne!(bytes[flags] & INITFIRST, 0, "initialised first");
    bytes[flags] &= !INITFIRST;
    changed(&bytes, if word == 8 { "late" } else { "late32" })
}

/// A copy of `libsigward.so` that does not export `hook`: the dynamic symbol has no name, so
/// neither hash table finds it.
///
/// # Errors
///
/// If the library does not export `hook`, or the copy cannot be written.
pub fn without(hook: &str) -> io::Result<PathBuf> {
    let mut bytes = fs::read(preload())?;
    let name = dynamic_name(&bytes, hook)
        .ok_or_else(|| io::Error::other(format!("libsigward.so exports no {hook}")))?;
    // The first string of every string table is empty.
    bytes[name..name + 4].fill(0);
    changed(&bytes, &format!("without/{hook}"))
}

/// The names that the library at `path` exports.
///
/// # Errors
///
/// If it cannot be read.
pub fn exports(path: &Path) -> io::Result<BTreeSet<String>> {
    let bytes = fs::read(path)?;
    let file = object::File::parse(&*bytes).map_err(|error| io::Error::other(error.to_string()))?;
    let defined = file.dynamic_symbols().filter(|symbol| !symbol.is_undefined());
    let names = defined.filter_map(|symbol| symbol.name().ok().map(str::to_owned));
    Ok(names.filter(|name| !name.is_empty()).collect())
}

/// The named symbols that the file defines, with their indices.
fn exported<'data>(
    file: &ElfFile64<'data, Endianness>,
) -> impl Iterator<Item = (usize, &'data [u8])> {
    let end = file.endian();
    let symbols = file.elf_dynamic_symbol_table();
    symbols.enumerate().filter_map(move |(index, symbol)| {
        let name = symbol.name(end, symbols.strings()).ok()?;
        let defined = symbol.st_shndx(end) != elf::SHN_UNDEF && !name.is_empty();
        defined.then_some((index.0, name))
    })
}

/// The file offset of `st_name` of the exported symbol `name`.
fn dynamic_name(bytes: &[u8], name: &str) -> Option<usize> {
    let file = ElfFile64::<Endianness>::parse(bytes).ok()?;
    let (index, _) = exported(&file).find(|(_, found)| *found == name.as_bytes())?;
    let table = file.section_by_name(".dynsym")?.file_range()?.0 as usize;
    // `st_name` is the first field.
    Some(table + index * size_of::<elf::Sym64<Endianness>>())
}

/// Writes a changed library into the folder `name`, under the library's file name.
fn changed(bytes: &[u8], name: &str) -> io::Result<PathBuf> {
    let folder = target().join(name);
    fs::create_dir_all(&folder)?;
    // Atomic: several tests may write it at the same time.
    let fresh = tempfile::NamedTempFile::new_in(&folder)?;
    fs::write(&fresh, bytes)?;
    let library = folder.join("libsigward.so");
    fresh.persist(&library)?;
    Ok(library)
}

/// A folder with a copy of the machine's glibc in which `names` are renamed. With
/// `LD_LIBRARY_PATH` it serves as a libc that lacks them.
///
/// # Errors
///
/// If there is no glibc, or the copy cannot be written.
pub fn glibc_without(names: &[&str]) -> io::Result<TempDir> {
    let path = Command::new("gcc").arg("-print-file-name=libc.so.6").output()?.stdout;
    let mut bytes = fs::read(OsStr::from_bytes(path.trim_ascii()))?;
    for name in names {
        // The hash still matches; the comparison of the name then fails.
        let wanted = format!("\0{name}\0").into_bytes();
        let places: Vec<usize> =
            (0..bytes.len()).filter(|&at| bytes[at..].starts_with(&wanted)).collect();
        for at in places {
            bytes[at + 1] = b'-';
        }
    }
    let folder = tempfile::Builder::new().prefix("libc-").tempdir_in(target())?;
    fs::write(folder.path().join("libc.so.6"), bytes)?;
    Ok(folder)
}

/// The path of a program of this package (`src/bin`), rebuilt if stale.
///
/// # Errors
///
/// If the build fails.
pub fn harness_bin(name: &str) -> io::Result<PathBuf> {
    cargo(&["build", "-p", "sigward-harness", "--bin", name])?;
    Ok(target().join("debug").join(name))
}

/// The path of the supervisor that imitates a kernel which loses arguments at a restart;
/// rebuilt if stale.
///
/// # Errors
///
/// If the build fails.
pub fn restart() -> io::Result<PathBuf> {
    cargo(&["build", "-p", "sigward-emulators", "--bin", "sigward-restart"])?;
    Ok(target().join("debug/sigward-restart"))
}

/// The path of a release build of the library with two redhook hooks, with which the benchmarks
/// compare ours.
///
/// # Errors
///
/// If the build fails.
pub fn redhook_bench() -> io::Result<PathBuf> {
    cargo(&["build", "--release", "-p", "sigward-harness", "--example", "redhook"])?;
    Ok(target().join("release/examples/libredhook.so"))
}

/// The path of a release build of `libsigward.so` with `sigward_plant` set to `plant`, in a
/// folder of its own.
///
/// # Errors
///
/// If the build fails: cargo's output.
pub fn planted(plant: &str) -> io::Result<PathBuf> {
    let folder = target().join("planted").join(plant);
    let mut build = cargo_command();
    build.args(["build", "--release", "-p", "sigward-preload", "--target-dir"]).arg(&folder);
    // `cargo rustc` would not do: most of the library is in another crate.
    run(build.env("RUSTFLAGS", format!("--cfg sigward_plant=\"{plant}\"")))?;
    Ok(folder.join("release/libsigward.so"))
}

fn cargo(args: &[&str]) -> io::Result<()> {
    run(cargo_command().args(args))
}

fn run(cargo: &mut Command) -> io::Result<()> {
    let output = cargo.env("CARGO_TERM_QUIET", "true").stdin(Stdio::null()).output()?;
    if output.status.success() {
        return Ok(());
    }
    let stderr = String::from_utf8_lossy(&output.stderr);
    let words: Vec<_> = cargo.get_args().map(OsStr::to_string_lossy).collect();
    Err(io::Error::other(format!("cargo {}: {}\n{stderr}", words.join(" "), output.status)))
}

/// `cargo` in the workspace, without the variables that an outer `cargo test` or `cargo
/// run` sets for its own package: they would make the inner build stale or different.
fn cargo_command() -> Command {
    in_workspace(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
}

/// The same for another program.
fn in_workspace(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(program);
    command.current_dir(workspace());
    for (name, _) in env::vars_os() {
        let Some(name) = name.to_str() else { continue };
        let about_package = ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_BIN_", "SIGWARD"]
            .iter()
            .any(|prefix| name.starts_with(prefix));
        let about_build = ["CARGO_CRATE_NAME", "CARGO_PRIMARY_PACKAGE", "CARGO_TARGET_TMPDIR"];
        if about_package || about_build.contains(&name) || name.starts_with("LD_") {
            command.env_remove(name);
        }
    }
    command
}
