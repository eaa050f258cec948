//! Counts the user instructions of a whole program.

use std::ffi::OsStr;
use std::io;
use std::path::Path;
use std::process::{Command, Stdio};

/// The tool that counts.
#[derive(Clone, Copy)]
pub enum Counter {
    /// The processor, by `perf stat`.
    Perf,
    /// valgrind's callgrind. It counts each repetition of a `rep` instruction.
    Callgrind,
}

/// Of so many runs, the minimum: the processor sometimes counts an interrupt too.
const RUNS: usize = 3;

impl Counter {
    /// perf if the machine has counters, else callgrind.
    ///
    /// # Errors
    /// If neither works here.
    pub fn choose() -> io::Result<Self> {
        for counter in [Self::Perf, Self::Callgrind] {
            if counter.once(&[OsStr::new("/bin/true")], &[]).is_ok() {
                return Ok(counter);
            }
        }
        Err(io::Error::other(
            "nothing here counts instructions: perf has no hardware counters (many virtual \
             machines), and valgrind is missing (apt-get install valgrind)",
        ))
    }

    /// Describes the tool.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Perf => "perf stat -e instructions:u",
            Self::Callgrind => {
                "valgrind --tool=callgrind (no hardware counter that perf could read)"
            }
        }
    }

    /// How often to count: callgrind's processor is never interrupted.
    const fn runs(self) -> usize {
        match self {
            Self::Perf => RUNS,
            Self::Callgrind => 1,
        }
    }

    /// The instructions of one run of `command`, from exec to exit, with only `env` and
    /// `PATH` in its environment.
    ///
    /// # Errors
    /// If it fails, or nothing was counted.
    pub fn count(self, command: &[&OsStr], env: &[(&str, &OsStr)]) -> io::Result<f64> {
        let mut least = f64::INFINITY;
        for _ in 0..self.runs() {
            least = least.min(self.once(command, env)?);
        }
        Ok(least)
    }

    /// Instructions per call of a program whose last argument is the number of calls.
    /// Measured with two numbers, so that start and end cancel out.
    ///
    /// # Errors
    /// Those of [`Self::count`].
    pub fn per_call(
        self,
        program: &Path,
        args: &[&str],
        calls: [u32; 2],
        env: &[(&str, &OsStr)],
    ) -> io::Result<f64> {
        let count = |calls: u32| {
            let calls = calls.to_string();
            let args = args.iter().map(OsStr::new).chain([OsStr::new(&calls)]);
            let command: Vec<&OsStr> = std::iter::once(program.as_os_str()).chain(args).collect();
            self.count(&command, env)
        };
        let [few, many] = calls;
        Ok((count(many)? - count(few)?) / f64::from(many - few))
    }

    fn once(self, command: &[&OsStr], env: &[(&str, &OsStr)]) -> io::Result<f64> {
        let report = tempfile::NamedTempFile::new()?;
        let mut counting = self.command(report.path());
        counting.args(command).env_clear().env("PATH", "/usr/bin:/bin").envs(env.iter().copied());
        counting.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let output = counting.output()?;
        let text = std::fs::read_to_string(report.path())?;
        let counted = self.parse(&text).filter(|_| output.status.success());
        counted.ok_or_else(|| {
            let words = String::from_utf8_lossy(&output.stderr);
            io::Error::other(format!("{counting:?}: {}\n{words}{text}", output.status))
        })
    }

    fn command(self, report: &Path) -> Command {
        match self {
            Self::Perf => {
                let mut command = Command::new("perf");
                command.args(["stat", "-x,", "-e", "instructions:u", "-o"]).arg(report).arg("--");
                command
            }
            Self::Callgrind => {
                let mut command = Command::new("valgrind");
                let mut out = OsStr::new("--callgrind-out-file=").to_owned();
                out.push(report);
                command.args(["-q", "--tool=callgrind"]).arg(out);
                command
            }
        }
    }

    fn parse(self, report: &str) -> Option<f64> {
        report.lines().find_map(|line| {
            match self {
                Self::Perf => {
                    line.split_once(',').filter(|(_, rest)| rest.contains("instructions"))?.0
                }
                Self::Callgrind => line.strip_prefix("totals: ")?,
            }
            .parse()
            .ok()
        })
    }
}
