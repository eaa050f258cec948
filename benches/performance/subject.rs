//! What is measured: the libraries, and timed runs of the benchmark programs.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use sigward_harness::artifacts;
use sigward_harness::programs::{self, Libc};
use sigward_harness::run::Run;
use sigward_harness::steps::Steps;
use tempfile::TempDir;

/// Copies of the libraries at paths of the same length: the loader's work grows with it.
pub struct Libraries {
    _folder: TempDir,
    /// An empty C library.
    pub empty: PathBuf,
    /// Ours.
    pub sigward: PathBuf,
    /// Two redhook hooks.
    pub redhook: PathBuf,
}

impl Libraries {
    /// Builds and copies them.
    pub fn stage() -> io::Result<Self> {
        let folder = tempfile::Builder::new().prefix("sigward-bench-").tempdir()?;
        let stage = |name: &str, from: &Path| {
            let to = folder.path().join(name);
            fs::copy(from, &to).map(|_| to)
        };
        Ok(Self {
            empty: stage("1.so", &programs::build("libempty", Libc::Glibc)?)?,
            sigward: stage("2.so", artifacts::preload())?,
            redhook: stage("3.so", &artifacts::redhook_bench()?)?,
            _folder: folder,
        })
    }
}

/// How a program runs.
#[derive(Clone, Copy)]
pub enum Mode {
    /// Without the library.
    Without,
    /// With it, default settings.
    Auto,
    /// With it, `SIGWARD=on`.
    On,
    /// The same, with waits that enter the kernel by `int 0x80`.
    Int80,
    /// The same, with waits in two steps.
    TwoPhase,
}

impl Mode {
    /// The modes compared in tables about stacks.
    pub const STACKS: [Self; 3] = [Self::Without, Self::Auto, Self::On];
    /// The modes compared in tables about waits.
    pub const WAITS: [Self; 4] = [Self::Without, Self::On, Self::Int80, Self::TwoPhase];

    /// The variables of such a run; `behind` is one more preload.
    pub fn environment(
        self,
        libraries: &Libraries,
        behind: Option<&Path>,
    ) -> Vec<(&'static str, OsString)> {
        let sigward = (!matches!(self, Self::Without)).then_some(libraries.sigward.as_path());
        let preloads: Vec<&OsStr> =
            sigward.into_iter().chain(behind).map(Path::as_os_str).collect();
        let mut variables = vec![("LD_PRELOAD", preloads.join(OsStr::new(":")))];
        let settings: &[_] = match self {
            Self::Without => &[],
            Self::Auto => &[("SIGWARD", "auto")],
            Self::On => &[("SIGWARD", "on")],
            Self::Int80 => &[("SIGWARD", "on"), ("SIGWARD_WAIT", "int80")],
            Self::TwoPhase => &[("SIGWARD", "on"), ("SIGWARD_WAIT", "two-phase")],
        };
        variables.extend(settings.iter().map(|&(name, value)| (name, value.into())));
        variables
    }
}

/// Borrows the result of [`Mode::environment`].
pub fn borrowed<'a>(variables: &'a [(&'static str, OsString)]) -> Vec<(&'static str, &'a OsStr)> {
    variables.iter().map(|(name, value)| (*name, value.as_os_str())).collect()
}

/// A run of `program` in `mode`.
fn run_of(program: &Path, args: &[&str], mode: Mode, libraries: &Libraries) -> Run {
    let run = Run::new(program).args(args).deadline(Duration::from_secs(250));
    mode.environment(libraries, None)
        .into_iter()
        .fold(run, |run, (name, value)| run.env(name, value))
}

/// Instructions and system calls between the two marks of a program.
pub fn steps(
    program: &Path,
    args: &[&str],
    mode: Mode,
    libraries: &Libraries,
) -> io::Result<Steps> {
    run_of(program, args, mode, libraries).steps()
}

/// Runs a program that prints numbers and returns them.
pub fn printed(
    program: &Path,
    args: &[&str],
    mode: Mode,
    libraries: &Libraries,
) -> io::Result<Vec<f64>> {
    let outcome = run_of(program, args, mode, libraries).output()?;
    let numbers = outcome.stdout.split_whitespace().map(str::parse).collect::<Result<_, _>>();
    match numbers {
        Ok(numbers) if outcome.success() => Ok(numbers),
        _ => Err(io::Error::other(format!("{} {args:?}: {outcome:?}", program.display()))),
    }
}

/// The minimum nanoseconds of a program's rounds in each mode, over `runs` of it. The modes take
/// turns, so that a busy moment of the machine affects all of them. How fast a run is also depends
/// on the pages that it got, so a minimum settles only over many runs.
pub fn least_ns<const MODES: usize>(
    program: &Path,
    args: &[&str],
    modes: [Mode; MODES],
    runs: usize,
    libraries: &Libraries,
) -> io::Result<[f64; MODES]> {
    let mut least = [f64::INFINITY; MODES];
    for _ in 0..runs {
        for (mode, least) in modes.into_iter().zip(&mut least) {
            let numbers = printed(program, args, mode, libraries)?;
            *least = least.min(numbers.first().copied().unwrap_or(f64::INFINITY));
        }
    }
    Ok(least)
}

/// Runs pairs of `bench_beside`, one run right after the other, each pair with another number of
/// mappings. Returns the median over pairs of the median time with the library (`on`) relative to
/// that without. Eleven pairs are enough for a ratio below `target`; one above it is the median
/// of 44.
pub fn paired(
    program: &Path,
    args: &[&str],
    target: f64,
    libraries: &Libraries,
) -> io::Result<f64> {
    const PAIRS: usize = 11;
    let mut ratios = Vec::new();
    let median = |ratios: &mut Vec<f64>| {
        ratios.sort_by(f64::total_cmp);
        ratios.get(ratios.len() / 2).copied().unwrap_or(f64::NAN)
    };
    for pair in 0..4 * PAIRS {
        if pair == PAIRS && median(&mut ratios) <= target {
            break;
        }
        let apart = format!("apart={}", 3 * pair);
        let args = [args, &[apart.as_str()]].concat();
        let numbers = |mode| printed(program, &args, mode, libraries);
        let (without, on) = (numbers(Mode::Without)?, numbers(Mode::On)?);
        if let ([_, without], [_, on]) = (&without[..], &on[..]) {
            ratios.push(on / without);
        }
    }
    Ok(median(&mut ratios))
}

/// A short description of the machine.
pub fn machine() -> String {
    let cpu = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpu
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(": "))
        .map_or("unknown processor", |(_, model)| model);
    let word = |program: &str, args: &[&str]| {
        let output = Command::new(program).args(args).output().ok()?;
        let text = String::from_utf8(output.stdout).ok()?;
        text.lines().next().map(str::to_owned)
    };
    let kernel = word("uname", &["-sr"]).unwrap_or_default();
    let libc = word("getconf", &["GNU_LIBC_VERSION"]).unwrap_or_else(|| "another libc".into());
    format!("{}, {kernel}, {libc}", model.trim())
}
