//! One run of one suite with one choice of libraries.

use std::collections::BTreeMap;
use std::fs::{self, Permissions};
use std::io::ErrorKind;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use nix::unistd::Uid;
use sigward_harness::{Run, artifacts, programs};
use tempfile::TempDir;

use crate::calls::{self, Calls};
use crate::suite::Suite;

/// The content of `LD_PRELOAD` after the counting library, and its settings.
#[derive(Clone, Copy, Debug)]
pub struct Arm {
    /// Its name in the tables.
    pub label: &'static str,
    /// The files, in order.
    pub libraries: &'static [&'static str],
    /// Environment variables.
    pub settings: &'static [(&'static str, &'static str)],
    /// The duty that the library then says it has.
    pub duty: &'static str,
}

pub(crate) const LIBRARY: &str = "libsigward.so";

/// The software without the library.
pub const PLAIN: Arm = Arm { label: "without", libraries: &[], settings: &[], duty: "" };
/// Stacks are held, waits are left alone.
pub const ON: Arm = with("on", "act", &[("SIGWARD", "on")]);
/// The same, and waits by `int 0x80`.
pub const INT80: Arm = with("int80", "act", &[("SIGWARD", "on"), ("SIGWARD_WAIT", "int80")]);
/// The same, and waits in two steps.
pub const TWO_PHASE: Arm =
    with("two-phase", "act", &[("SIGWARD", "on"), ("SIGWARD_WAIT", "two-phase")]);
/// What a program gets by default on a kernel that is not affected: only alternate stacks on which
/// no frame fits are replaced.
pub const AUTO: Arm = with("auto", "inert", &[("SIGWARD", "auto")]);
/// Handlers get so much room that nearly every alternate stack is replaced.
pub const FIX: Arm = with(
    "fix",
    "observe",
    &[("SIGWARD", "auto"), ("SIGWARD_SIZE", "fix"), ("SIGWARD_SIZE_ROOM", "64K")],
);

/// All arms with the library, as they are compared.
pub const ARMS: &[Arm] = &[ON, INT80, TWO_PHASE, AUTO, FIX];

const fn with(
    label: &'static str,
    duty: &'static str,
    settings: &'static [(&'static str, &'static str)],
) -> Arm {
    Arm { label, libraries: &[LIBRARY], settings, duty }
}

/// The result of one run.
pub struct RunResult {
    /// The verdict of each test, and of the run as a whole.
    pub verdicts: BTreeMap<String, String>,
    /// How often each hooked function was called.
    pub calls: Calls,
}

/// The name of the verdict on the whole run.
pub const WHOLE_RUN: &str = "(the run)";

/// The libraries, in a place that every user can read, and what suites build for
/// themselves.
pub struct Bench {
    libraries: TempDir,
    hooked: Vec<String>,
    cache: PathBuf,
}

impl Bench {
    /// Builds `calls.c` for the functions that `libsigward.so` hooks, and copies both
    /// libraries there.
    ///
    /// # Errors
    ///
    /// If a compiler or nm(1) is missing or fails, or a hook belongs to no family of
    /// [`calls`].
    pub fn new() -> Result<Self> {
        let libraries = tempfile::Builder::new().prefix("sigward-suites-").tempdir_in("/tmp")?;
        fs::set_permissions(libraries.path(), Permissions::from_mode(0o755))?;
        let hooked = exports(artifacts::preload())?;
        if let Some(name) = calls::stray(&hooked) {
            bail!("the hook {name} belongs to no family: add it to one in src/calls.rs");
        }
        let calls = format!("CALL({})", hooked.join(") CALL("));
        preload(&libraries, "calls", &["-fno-toplevel-reorder", &format!("-DHOOKED={calls}")])?;
        preload(&libraries, "deep", &[])?;
        let cache = artifacts::target().join("suites");
        fs::create_dir_all(&cache)?;
        let bench = Self { libraries, hooked, cache };
        bench.lay_out(artifacts::preload())?;
        Ok(bench)
    }

    /// Copies a library there, for arms that name it.
    ///
    /// # Errors
    ///
    /// If it cannot be copied.
    pub fn lay_out(&self, library: &Path) -> Result<()> {
        let name = library.file_name().context("a library has a name")?;
        Ok(programs::copy(library, &self.libraries.path().join(name))?)
    }

    /// The folder of all runs' logs.
    #[must_use]
    pub fn logs(&self) -> &Path {
        &self.cache
    }

    /// The output of the last run of a suite in an arm.
    #[must_use]
    pub fn log(&self, suite: &str, arm: &str) -> PathBuf {
        self.cache.join(format!("{suite}.{arm}.log").replace('/', "-"))
    }

    /// Checks that the library does what the arm asks for.
    ///
    /// # Errors
    ///
    /// If the library stands down or uses another strategy.
    pub fn check(&self, arm: &Arm) -> Result<()> {
        let library = self.libraries.path().join(LIBRARY);
        let mut run = Run::new("/bin/true").preload(library).env("SIGWARD_STATS", "1");
        for (name, value) in arm.settings {
            run = run.env(name, value);
        }
        let stderr = run.env("SIGWARD_LOG", "warn").output()?.stderr;
        let duty = format!("duty={} ", arm.duty);
        let good = stderr.contains(&duty) && stderr.lines().count() == 1;
        ensure!(good, "the library does not do what the arm '{}' asks for: {stderr}", arm.label);
        Ok(())
    }

    /// Lets the suite build what all its runs share, without any library.
    ///
    /// # Errors
    ///
    /// If it fails: the end of its output.
    pub fn prepare(&self, suite: &Suite) -> Result<()> {
        let prepare = format!("{}.prepare", suite.script);
        let own = script(&prepare).exists().then_some((&*prepare, ""));
        let sources = suite.sources.iter().map(|name| ("source", *name));
        sources.chain(own).try_for_each(|(name, argument)| self.build(name, argument))
    }

    /// Runs a script that builds something in the cache.
    ///
    /// # Errors
    ///
    /// If it fails: the end of its output.
    pub fn build(&self, name: &str, argument: &str) -> Result<()> {
        // One at a time, even if two of these commands share the folder.
        let run = Run::new("flock").arg(self.cache.join("lock"));
        let run = run.arg("/bin/bash").arg(script(name)).arg(argument);
        let run =
            run.env("SUITE_CACHE", &self.cache).env("HOME", &self.cache).env("RUSTC", rustc()?);
        let outcome = run.env("PATH", PATH).deadline(Duration::from_secs(900)).output()?;
        ensure!(outcome.success(), "{name}: {}{}", outcome.stdout, outcome.stderr);
        Ok(())
    }

    /// Runs `suite` once.
    ///
    /// # Errors
    ///
    /// If its script cannot be started. If a suite fails or hangs, that is a verdict, not an
    /// error.
    pub fn run(&self, suite: &Suite, arm: &Arm) -> Result<RunResult> {
        let work = work()?;
        let counts = shared(&work, ".calls", self.hooked.len())?;
        let libraries: Vec<&str> = ["calls.so"].iter().chain(arm.libraries).copied().collect();
        let under = self.under(&libraries);
        let under = match suite.confined {
            true if Uid::effective().is_root() => format!("{LITTLE} {AS_NOBODY} {under}"),
            true => format!("{LITTLE} {under}"),
            false => under,
        };
        let run = self.script(suite.script, suite.args, arm.settings, &work);
        let run = run.env("SUITE_CALLS", &counts).env("UNDER", under);
        let run = run.deadline(Duration::from_secs(suite.seconds));
        let (text, end) = match run.output() {
            Ok(outcome) => {
                let text = format!("{}\n--- stderr\n{}", outcome.stdout, outcome.stderr);
                (text, format!("exit status {}", outcome.code()))
            }
            Err(error) if error.kind() == ErrorKind::TimedOut => {
                (error.to_string(), "killed: it hung".to_owned())
            }
            Err(error) => return Err(error.into()),
        };
        fs::write(self.log(suite.name, arm.label), &text)?;
        let mut verdicts = read(&text);
        verdicts.insert(WHOLE_RUN.to_owned(), end);
        Ok(RunResult { verdicts, calls: self.counted(&fs::read(&counts)?) })
    }

    /// What scripts put before the program: it preloads these of the bench's libraries.
    #[must_use]
    pub fn under(&self, libraries: &[&str]) -> String {
        let path = |name: &&str| self.libraries.path().join(name).display().to_string();
        let preload = libraries.iter().map(path).collect::<Vec<_>>().join(":");
        // Our caller may ignore signals, as nohup(1) does; tests of signals would fail.
        format!("env --default-signal LD_PRELOAD={preload}")
    }

    /// A run of a script in the folder `work`.
    #[must_use]
    pub fn script(
        &self,
        name: &str,
        args: &[&str],
        settings: &[(&str, &str)],
        work: &TempDir,
    ) -> Run {
        let run = Run::new("/bin/bash").arg(script(name)).args(args);
        let run = settings.iter().fold(run, |run, (name, value)| run.env(name, value));
        run.env("PATH", PATH)
            .env("HOME", work.path())
            .env("TMPDIR", work.path())
            .env("SUITE_WORK", work.path())
            .env("SUITE_CACHE", &self.cache)
    }

    fn counted(&self, words: &[u8]) -> Calls {
        let (words, _) = words.as_chunks();
        let counts = words.iter().map(|&word| u64::from_ne_bytes(word));
        let calls = self.hooked.iter().cloned().zip(counts);
        calls.filter(|&(_, count)| count > 0).collect()
    }
}

/// The scripts must find the system's programs, not a developer's.
const PATH: &str = "/usr/sbin:/usr/bin:/sbin:/bin";

/// Starts a program that may lock only 64 KiB. (Root may lock anything.)
const LITTLE: &str = "prlimit --memlock=65536";
const AS_NOBODY: &str = "setpriv --reuid=65534 --regid=65534 --clear-groups";

/// A fresh folder that every user can write to.
///
/// # Errors
///
/// If it cannot be made.
pub fn work() -> Result<TempDir> {
    let work = tempfile::Builder::new().prefix("sigward-suite-").tempdir_in("/tmp")?;
    fs::set_permissions(work.path(), Permissions::from_mode(0o777))?;
    Ok(work)
}

/// A file of 64-bit words in it, all 0, in which preloaded libraries count.
///
/// # Errors
///
/// If it cannot be written.
pub fn shared(work: &TempDir, name: &str, words: usize) -> Result<PathBuf> {
    let path = work.path().join(name);
    fs::write(&path, vec![0; words * size_of::<u64>()])?;
    fs::set_permissions(&path, Permissions::from_mode(0o666))?;
    Ok(path)
}

/// Builds `NAME.c`, a library to be preloaded before sigward's.
fn preload(libraries: &TempDir, name: &str, flags: &[&str]) -> Result<()> {
    let mut gcc = Command::new("gcc");
    gcc.args(["-Wall", "-Wextra", "-Werror", "-O1", "-shared", "-fPIC"]).args(flags).arg("-o");
    gcc.arg(libraries.path().join(format!("{name}.so"))).arg(home().join(format!("{name}.c")));
    output(&mut gcc).map(|_| ())
}

/// The compiler that cargo uses, not a wrapper that asks for a home.
fn rustc() -> Result<PathBuf> {
    let sysroot = output(Command::new("rustc").args(["--print", "sysroot"]))?;
    Ok(Path::new(sysroot.trim()).join("bin/rustc"))
}

fn home() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn script(name: &str) -> PathBuf {
    home().join("scripts").join(format!("{name}.sh"))
}

/// Picks the verdict lines out of the output. Tests with the same name are numbered.
fn read(text: &str) -> BTreeMap<String, String> {
    let mut verdicts = BTreeMap::new();
    for line in text.lines() {
        for verdict in ["ok", "not ok", "skip"] {
            let Some(name) = line.strip_prefix(verdict).and_then(|rest| rest.strip_prefix(' '))
            else {
                continue;
            };
            let names = (1..).map(|n| if n == 1 { name.into() } else { format!("{name} ({n})") });
            let fresh = names.into_iter().find(|name: &String| !verdicts.contains_key(name));
            verdicts.extend(fresh.map(|name| (name, verdict.to_owned())));
        }
    }
    verdicts
}

/// The names that a library exports.
fn exports(library: &Path) -> Result<Vec<String>> {
    let table = output(Command::new("nm").args(["-D", "--defined-only"]).arg(library))?;
    let names = table.lines().filter_map(|line| line.split_whitespace().nth(2));
    Ok(names.map(str::to_owned).collect())
}

fn output(command: &mut Command) -> Result<String> {
    let output = command.output().with_context(|| command.get_program().display().to_string())?;
    if !output.status.success() {
        bail!("{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn verdicts_are_read() {
        let text = "ok a\nnoise\nnot ok b\nok a\nskip c d\nokay\n";
        let read: Vec<_> = read(text).into_iter().collect();
        let expected = [("a", "ok"), ("a (2)", "ok"), ("b", "not ok"), ("c d", "skip")];
        assert_eq!(read, expected.map(|(name, verdict)| (name.into(), verdict.into())));
    }
}
