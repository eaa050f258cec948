//! `sigward doctor`: what it says about machines, programs and live processes, and its
//! exit codes.
//!
//! The machine's kernel is affected by nothing, so most tests name another one.

mod bad_input;
mod coming_and_going;
mod machine;
mod processes;
mod programs;
mod running;
mod without_proc;

use std::ffi::OsStr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use assert_cmd::cargo::cargo_bin;
use serde_json::Value;
use tempfile::TempDir;

const NOBODY: u32 = 65534;

/// An affected kernel.
const AFFECTED: [&str; 2] = [
    "--kernel=Linux version 5.3.5 (a@b) (gcc version 9.2.1 20190827 (Red Hat 9.2.1-1)) #1 SMP",
    "--arch=x86_64",
];

/// One that the defect was mended in.
const MENDED: [&str; 2] =
    ["--kernel=Linux version 5.3.18 (a@b) (gcc version 9.2.1) #1", "--arch=x86_64"];

/// One whose texts do not decide it.
const UNKNOWN: [&str; 1] = ["--kernel=nothing known"];

fn command() -> Command {
    let mut command = Command::new(cargo_bin!("sigward"));
    for row in sigward::config::TABLE {
        command.env_remove(row.name);
    }
    command.env_remove("LD_PRELOAD").arg("doctor");
    command
}

fn output<T: AsRef<OsStr>>(arguments: impl IntoIterator<Item = T>) -> Output {
    command().args(arguments).output().expect("sigward")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("UTF-8")
}

/// The exit code and the JSON report.
fn json_of(command: &mut Command) -> (i32, Value) {
    let output = command.arg("--format=json").output().expect("sigward");
    let code = output.status.code().expect("an exit code");
    let words = text(&output.stderr);
    let report: Value = serde_json::from_slice(&output.stdout).expect(&words);
    assert_eq!(report["exit"], code, "{report:#}");
    assert_eq!(report["meta"]["format_version"], 1);
    (code, report)
}

fn json<T: AsRef<OsStr>>(arguments: impl IntoIterator<Item = T>) -> (i32, Value) {
    json_of(command().args(arguments))
}

/// The report on one target, with the kernel of `options`.
fn on(options: &[&str], target: &OsStr, list: &str) -> (i32, Value) {
    let (code, report) = json(options.iter().map(OsStr::new).chain([target]));
    assert_eq!(report[list].as_array().map(Vec::len), Some(1), "{report:#}");
    (code, report[list][0].clone())
}

/// All texts of a list in one.
fn joined(list: &Value) -> String {
    let texts = list.as_array().expect("a list").iter();
    texts.map(|text| text.as_str().expect("a text")).collect::<Vec<_>>().join("\n")
}

/// A folder that every user can read.
fn public_folder() -> TempDir {
    let folder = TempDir::new().expect("a temporary folder");
    mode(folder.path(), 0o755);
    folder
}

fn mode(path: &Path, mode: u32) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).expect("chmod");
}

/// Compiles `source` in `folder`.
fn gcc(folder: &Path, name: &str, source: &str, options: &[&str]) -> PathBuf {
    compile("gcc", folder, name, source, options)
}

fn compile(compiler: &str, folder: &Path, name: &str, source: &str, options: &[&str]) -> PathBuf {
    let (file, result) = (folder.join(name).with_extension("c"), folder.join(name));
    std::fs::write(&file, source).expect("a source file");
    let mut command = Command::new(compiler);
    command.current_dir(folder).arg("-o").arg(&result).arg(&file).args(options);
    let output = command.output().expect("a compiler");
    assert!(output.status.success(), "{}", text(&output.stderr));
    result
}
