//! One run of a program: the library, the user, the limits and the deadline.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use nix::sys::resource::{Resource, setrlimit};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::{Gid, Pid, Uid, setgid, setgroups, setuid};
use tempfile::TempDir;

use crate::artifacts;
use crate::calls;
use crate::deadman::DeadMan;
use crate::every_stack;
use crate::filter::Filter;
use crate::frames::{self, Trace};
use crate::outcome::Outcome;
use crate::steps::{self, Steps};
use crate::{need, programs};

/// A run that is not started yet. Its environment contains only `PATH` and `LC_ALL=C`,
/// stdin is `/dev/null`, and after the deadline (30 s) the whole process group is killed.
#[derive(Clone, Debug)]
pub struct Run {
    program: PathBuf,
    args: Vec<OsString>,
    env: Vec<(OsString, OsString)>,
    libraries: Vec<PathBuf>,
    filter: Option<Filter>,
    unprivileged: bool,
    memlock: Option<u64>,
    deadline: Duration,
}

impl Run {
    /// A run of `program` without the library.
    pub fn new(program: impl AsRef<Path>) -> Self {
        let path = std::env::var_os("PATH").unwrap_or_else(|| "/usr/bin:/bin".into());
        Self {
            program: program.as_ref().to_owned(),
            args: Vec::new(),
            env: vec![("PATH".into(), path), ("LC_ALL".into(), "C".into())],
            libraries: Vec::new(),
            filter: None,
            unprivileged: false,
            memlock: None,
            deadline: Duration::from_secs(30),
        }
    }

    /// Adds an argument.
    #[must_use]
    pub fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.args.push(arg.as_ref().to_owned());
        self
    }

    /// Adds arguments.
    #[must_use]
    pub fn args<S: AsRef<OsStr>>(mut self, args: impl IntoIterator<Item = S>) -> Self {
        self.args.extend(args.into_iter().map(|arg| arg.as_ref().to_owned()));
        self
    }

    /// Sets a variable.
    #[must_use]
    pub fn env(mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Self {
        self.env.push((name.as_ref().to_owned(), value.as_ref().to_owned()));
        self
    }

    /// Preloads `libsigward.so` of the program's width, with `SIGWARD` set to `mode`.
    #[must_use]
    pub fn sigward(self, mode: &str) -> Self {
        self.preloaded().env("SIGWARD", mode)
    }

    /// Preloads `libsigward.so` of the program's width, and sets no variable.
    #[must_use]
    pub fn preloaded(self) -> Self {
        let library = artifacts::preload_for(&self.program);
        self.preload(library)
    }

    /// Preloads the copy of it whose constructor runs after those of the program's libraries: see
    /// [`artifacts::initialised_late`].
    ///
    /// # Panics
    ///
    /// If that cannot be made.
    #[must_use]
    pub fn preloaded_late(self) -> Self {
        let library = artifacts::initialised_late(&self.program).expect("a copy of the library");
        self.preload(library)
    }

    /// Preloads `library` after those named before.
    #[must_use]
    pub fn preload(mut self, library: impl AsRef<Path>) -> Self {
        self.libraries.push(library.as_ref().to_owned());
        self
    }

    /// Installs `filter` in the program, from its exec on.
    #[must_use]
    pub fn filter(mut self, filter: Filter) -> Self {
        self.filter = Some(filter);
        self
    }

    /// Runs as `nobody` if we are root, else as ourselves. Either way without
    /// `CAP_IPC_LOCK`, so that `RLIMIT_MEMLOCK` applies.
    #[must_use]
    pub fn unprivileged(mut self) -> Self {
        self.unprivileged = true;
        self
    }

    /// Sets the soft and the hard `RLIMIT_MEMLOCK`, in bytes.
    #[must_use]
    pub fn memlock(mut self, bytes: u64) -> Self {
        self.memlock = Some(bytes);
        self
    }

    /// Changes the deadline.
    #[must_use]
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// The program and its arguments, for another program to run.
    #[must_use]
    pub fn words(&self) -> Vec<OsString> {
        [vec![self.program.clone().into()], self.args.clone()].concat()
    }

    /// Runs to the end.
    ///
    /// # Errors
    ///
    /// If the program cannot be started, or was refused a process or thread that its test
    /// needs; `TimedOut` if it had to be killed.
    pub fn output(&self) -> io::Result<Outcome> {
        let (mut command, _stage) = self.command()?;
        command.process_group(0);
        let child = command.spawn().map_err(|error| self.named(&error))?;
        let group = Pid::from_raw(child.id() as i32);
        let deadman = DeadMan::arm(self.deadline, move || {
            let _ = killpg(group, Signal::SIGKILL);
        });
        let output = child.wait_with_output()?;
        let outcome = Outcome {
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
            status: output.status,
        };
        if deadman.disarm() { Err(self.late(&outcome)) } else { judged(outcome) }
    }

    /// Runs to the end under the meter, which follows all threads and children.
    ///
    /// # Errors
    ///
    /// Those of [`Run::output`].
    pub fn frames(&self) -> io::Result<Trace> {
        let (command, _stage) = self.command()?;
        let mut trace =
            frames::measure(command, self.deadline).map_err(|error| self.named(&error))?;
        trace.outcome = judged(trace.outcome)?;
        Ok(trace)
    }

    /// Runs to the end and returns the numbers of the program's system calls. It must have
    /// one thread, and succeed.
    ///
    /// # Errors
    ///
    /// Those of [`Run::output`].
    pub fn calls(&self) -> io::Result<Vec<i64>> {
        let (mut command, _stage) = self.command()?;
        command.stdout(Stdio::null());
        calls::record(command, self.deadline).map_err(|error| self.named(&error))
    }

    /// Runs up to the program's second mark and returns what happened between the two.
    ///
    /// # Errors
    ///
    /// Those of [`steps::count`].
    pub fn steps(&self) -> io::Result<Steps> {
        let (mut command, _stage) = self.command()?;
        command.stdout(Stdio::null());
        steps::count(command, self.deadline).map_err(|error| self.named(&error))
    }

    /// What a run with the library gets in a test process that replaces every stack.
    fn every_stack(&self) -> &'static [(&'static str, &'static str)] {
        let ours = |path: &PathBuf| {
            path.file_name().is_some_and(|name| name.as_bytes().starts_with(b"libsigward"))
        };
        let chooses = |name: &str| self.env.iter().any(|(set, _)| set == name);
        let wanted = every_stack::requested() && self.libraries.iter().any(ours);
        if wanted && !chooses("SIGWARD_SIZE") { &every_stack::SETTINGS } else { &[] }
    }

    fn named(&self, error: &io::Error) -> io::Error {
        io::Error::new(error.kind(), format!("{}: {error}", self.program.display()))
    }

    fn late(&self, outcome: &Outcome) -> io::Error {
        let Outcome { stdout, stderr, .. } = outcome;
        let words = format!(
            "{} {:?} was killed after {:?}\nstdout: {stdout}\nstderr: {stderr}",
            self.program.display(),
            self.args,
            self.deadline
        );
        io::Error::new(io::ErrorKind::TimedOut, words)
    }

    /// The command, and a folder that must outlive it.
    fn command(&self) -> io::Result<(Command, Option<TempDir>)> {
        let become_nobody = self.unprivileged && Uid::effective().is_root();
        let stage = if become_nobody { Some(Stage::new()?) } else { None };
        let staged = |path: &Path| match &stage {
            Some(stage) => stage.copy(path),
            None => Ok(path.to_owned()),
        };

        let mut command = Command::new(staged(&self.program)?);
        command.args(&self.args).env_clear().envs(self.env.iter().cloned());
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let libraries: io::Result<Vec<PathBuf>> =
            self.libraries.iter().map(|library| staged(library)).collect();
        let preload = libraries?
            .iter()
            .map(|path| path.as_os_str())
            .collect::<Vec<_>>()
            .join(OsStr::new(" "));
        if !preload.is_empty() {
            command.env("LD_PRELOAD", preload);
        }
        command.envs(self.every_stack().iter().copied());
        if become_nobody {
            command.current_dir("/");
        }
        let memlock = self.memlock;
        let filter = self.filter.clone();
        // SAFETY: between fork and exec only system calls are made, without allocation.
        unsafe {
            command.pre_exec(move || {
                if let Some(bytes) = memlock {
                    setrlimit(Resource::RLIMIT_MEMLOCK, bytes, bytes)?;
                }
                // After the limit is set: only root may raise it.
                if become_nobody {
                    setgroups(&[])?;
                    setgid(Gid::from_raw(NOBODY))?;
                    setuid(Uid::from_raw(NOBODY))?;
                }
                filter.as_ref().map_or(Ok(()), Filter::install)
            });
        }
        Ok((command, stage.map(|stage| stage.0)))
    }
}

/// The exit code of `MUST` in the C programs.
const NOT_TESTED: i32 = 99;

/// An error if the machine did not let a program do what its test needs: it may then end in
/// the same way with and without the library.
fn judged(outcome: Outcome) -> io::Result<Outcome> {
    if outcome.code() == NOT_TESTED && need::no_more_processes(&outcome.stderr) {
        let words = format!("no more processes or threads (pids.max, RLIMIT_NPROC?): {outcome:?}");
        return Err(io::Error::other(words));
    }
    Ok(outcome)
}

/// uid and gid of `nobody` and `nogroup` on Debian.
const NOBODY: u32 = 65534;

/// A folder that `nobody` can read: the workspace may be in root's home.
struct Stage(TempDir);

impl Stage {
    fn new() -> io::Result<Self> {
        let folder = tempfile::Builder::new().prefix("sigward-").tempdir_in("/tmp")?;
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755))?;
        Ok(Self(folder))
    }

    /// Copies a file of the workspace; an installed file is used where it is.
    fn copy(&self, path: &Path) -> io::Result<PathBuf> {
        let Some(name) = path.file_name().filter(|_| path.starts_with(artifacts::target())) else {
            return Ok(path.to_owned());
        };
        let copy = self.0.path().join(name);
        programs::copy(path, &copy)?;
        fs::set_permissions(&copy, fs::Permissions::from_mode(0o755))?;
        Ok(copy)
    }
}
