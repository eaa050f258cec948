//! `sigward run`: what it runs, what it refuses, and its exit codes.
//!
//! The library here is a few lines of C whose constructor reports that it was loaded:
//! these tests are about the command alone.

mod both_classes;
mod credentials;
mod dry_run;
mod ending;
mod environment;
mod inherited;
mod init;
mod library;
mod messages;
mod one_file;
mod options;
mod preloadable;
mod terminal;

use std::ffi::OsStr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::Duration;

use assert_cmd::Command;
use assert_cmd::cargo::cargo_bin;
use sigward_harness::programs::copy;
use tempfile::TempDir;

const LOADED: &str = "PROBE LOADED\n";
const NOBODY: u32 = 65534;

/// A folder for all tests. It holds the probe library, whose SONAME is libsigward.so, and
/// libother.so, whose SONAME is not.
fn folder() -> &'static Path {
    static FOLDER: OnceLock<TempDir> = OnceLock::new();
    FOLDER
        .get_or_init(|| {
            let folder = public_folder();
            let source = folder.path().join("probe.c");
            write(
                &source,
                "#include <unistd.h>\n\
                 __attribute__((constructor)) static void loaded(void) {\n\
                     write(2, \"PROBE LOADED\\n\", 13);\n\
                 }\n",
            );
            let shared = ["-shared", "-fPIC", "-o"];
            let ours = [&["-Wl,-soname,libsigward.so"], &shared[..]].concat();
            gcc(&ours, &folder.path().join("libprobe.so"), &source);
            gcc(&shared, &folder.path().join("libother.so"), &source);
            write(&folder.path().join("main.c"), "int main(void) { return 0; }\n");
            folder
        })
        .path()
}

/// A folder that every user can read.
fn public_folder() -> TempDir {
    let folder = TempDir::new().expect("a temporary folder");
    mode(folder.path(), 0o755);
    folder
}

fn probe() -> PathBuf {
    folder().join("libprobe.so")
}

fn gcc(options: &[&str], output: &Path, source: &Path) {
    let status = std::process::Command::new("gcc").args(options).arg(output).arg(source).status();
    assert!(status.expect("gcc").success());
}

fn write(path: &Path, contents: impl AsRef<[u8]>) {
    std::fs::write(path, contents).expect("a file in the temporary folder");
}

fn mode(path: &Path, mode: u32) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).expect("chmod");
}

/// Writes an executable file. [`copy`] says why it is not written in place.
fn executable(path: &Path, contents: impl AsRef<[u8]>) {
    let written = path.with_extension("written");
    write(&written, contents);
    copy(&written, path).expect("a copy");
    mode(path, 0o755);
}

fn script(folder: &Path, name: &str, text: &str) -> PathBuf {
    let path = folder.join(name);
    executable(&path, text);
    path
}

/// A copy of `/bin/true` with some bytes changed.
fn patched_true(folder: &Path, patches: &[(usize, u8)]) -> PathBuf {
    let mut bytes = std::fs::read("/bin/true").expect("/bin/true");
    for (at, byte) in patches {
        bytes[*at] = *byte;
    }
    let path = folder.join("patched");
    executable(&path, bytes);
    path
}

fn static_program(folder: &Path) -> PathBuf {
    let path = folder.join("static");
    gcc(&["-static", "-o"], &path, &self::folder().join("main.c"));
    let bytes = std::fs::read(&path).expect("the program just built");
    let interpreter = bytes.windows(9).any(|window| window == b"/ld-linux");
    assert!(!bytes.is_empty() && !interpreter, "gcc -static made a dynamic program");
    path
}

/// `sigward run` without `--library`.
fn bare() -> std::process::Command {
    let mut command = std::process::Command::new(cargo_bin!("sigward"));
    for row in sigward::config::TABLE {
        command.env_remove(row.name);
    }
    command.env_remove("LD_PRELOAD").env_remove("GLIBC_TUNABLES").arg("run");
    command
}

fn limited(command: std::process::Command) -> Command {
    let mut command = Command::from_std(command);
    command.timeout(Duration::from_secs(60));
    command
}

/// `sigward run --library libprobe.so ARGUMENTS`.
fn run<T: AsRef<OsStr>>(arguments: impl IntoIterator<Item = T>) -> Command {
    let mut command = bare();
    command.arg("--library").arg(probe()).args(arguments);
    limited(command)
}
