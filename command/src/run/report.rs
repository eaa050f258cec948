//! What `--dry-run` and `--verbose` print.

use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::cures::Setting;
use crate::plan::PlanReport;

/// What `--dry-run --json` prints. The names are an interface: add, do not rename.
#[derive(Serialize)]
pub struct DryRun {
    pub program: String,
    /// What runs: the program, the interpreter of a script, the loader.
    pub chain: Vec<String>,
    /// Why the library would not be in it.
    pub not_covered: Option<String>,
    pub library: String,
    /// Whether it is in every program of this host, by `/etc/ld.so.preload`.
    pub in_every_program: bool,
    /// What 32-bit programs get, if sigward knows.
    pub library_for_32_bit: Option<String>,
    pub ld_preload: String,
    /// Settings of runtimes that a row of the table asks for, with --env-cures.
    pub env_cures: Vec<Setting>,
    pub plan: PlanReport,
}

impl DryRun {
    pub fn text(&self) -> String {
        let covered = match &self.not_covered {
            Some(why) => format!("not covered: {why}\n"),
            None => String::new(),
        };
        let line = |setting: &Setting| format!("--env-cures: {setting}\n");
        let cures: String = self.env_cures.iter().map(line).collect();
        let other = self.library_for_32_bit.as_deref().filter(|other| *other != self.library);
        let other =
            other.map_or(String::new(), |it| format!("library for 32-bit programs: {it}\n"));
        let chain = self.chain.join(" -> ");
        let chain = if chain.is_empty() { chain } else { format!("runs: {chain}\n") };
        let everywhere =
            if self.in_every_program { " (in every program, by /etc/ld.so.preload)" } else { "" };
        format!(
            "program: {}\nlibrary: {}{everywhere}\n{other}{chain}{covered}LD_PRELOAD={}\n{cures}plan:\n{}",
            self.program,
            self.library,
            self.ld_preload,
            self.plan.text()
        )
    }
}

/// The links of a chain as text.
pub fn names(links: &[PathBuf]) -> Vec<String> {
    links.iter().map(|link| link.display().to_string()).collect()
}

/// Programs that start others without our `LD_PRELOAD`, and how.
const LOSES: [(&str, &str); 8] = [
    ("sudo", "clears it"),
    ("doas", "clears it"),
    ("pkexec", "clears it"),
    ("systemd-run", "starts it in a service"),
    ("docker", "starts it in a container"),
    ("podman", "starts it in a container"),
    ("ssh", "starts it elsewhere"),
    ("env", "clears it"),
];

/// What is said of a program that starts others, which then do not have the library.
pub fn lost(program: &Path, arguments: &[std::ffi::OsString]) -> Option<String> {
    let name = program.file_name()?.to_str()?;
    let (_, how) = LOSES.iter().find(|(known, _)| *known == name)?;
    // env(1) clears what it is told to, before the program's name.
    let options = arguments.iter().map_while(|argument| {
        argument.to_str().filter(|text| text.starts_with('-') || text.contains('='))
    });
    let clears = |option: &str| matches!(option, "-" | "-i" | "--ignore-environment");
    if name == "env" && !options.into_iter().any(clears) {
        return None;
    }
    Some(format!(
        "{name} {how}: what it starts is not covered; put `sigward run` after it, before that program"
    ))
}
