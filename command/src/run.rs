//! `sigward run`: preloads the library and becomes the program.

use std::ffi::{CString, OsStr, OsString};
use std::mem::MaybeUninit;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};

use clap::Args;
use clap::builder::PossibleValuesParser;
use nix::errno::Errno;
use nix::sys::resource::Resource;
use nix::sys::signal::{SigHandler, Signal, signal};
use nix::unistd::execve;
use serde::Serialize;
use sigward::config;
use sigward::os::kernel_texts;
use sigward::plan::Bad;

use super::cures::{self, Setting};
use super::environment::{ProgramEnvironment, without_avx};
use super::exit::Exit;
use super::failure::{self, Failure};
use super::library::Library;
use super::output;
use super::plan::{self, PlanReport};
use super::program;

/// Run a program with libsigward.so preloaded
///
/// sigward becomes the program: process id, signals and exit status are the program's
/// own. An existing LD_PRELOAD is kept, after the library. Settings are the SIGWARD_*
/// variables of the environment; the options below override them.
#[derive(Args)]
#[command(after_long_help = variables())]
#[allow(clippy::struct_excessive_bools, reason = "each is an independent switch")]
pub struct Run {
    /// Preload this library instead of the installed one
    #[arg(long, value_name = "PATH")]
    library: Option<PathBuf>,
    /// Set SIGWARD: act only on an affected kernel, always, never, or only count
    #[arg(long, value_name = "MODE",
          value_parser = PossibleValuesParser::new(config::Mode::WORDS))]
    mode: Option<String>,
    /// Set a variable, as in SIGWARD_LOG=warn
    #[arg(long, value_name = "NAME=VALUE")]
    set: Vec<OsString>,
    /// Keep glibc's own routines off AVX
    ///
    /// Appends to GLIBC_TUNABLES. On an affected kernel, vector registers then hold
    /// something to lose less often. It does not change the program's own AVX code or
    /// musl programs, and it makes memcpy and the like slower. It is no cure; resident
    /// stacks or a fixed kernel are.
    #[arg(long)]
    avoid_avx: bool,
    /// Apply the settings of runtimes that cure a defect of this machine
    ///
    /// For example GODEBUG=asyncpreemptoff=1, which makes Go slower to stop its goroutines. Only
    /// what a row of the table that applies here asks for (`sigward check`), and never over a
    /// setting of yours. What is set is written to standard error.
    #[arg(long)]
    env_cures: bool,
    /// Run the program even if the library cannot get into it
    ///
    /// For static, setuid and other programs into which the loader does not load the
    /// library; a warning says why. The library itself must still be found.
    #[arg(long)]
    force: bool,
    /// Print what would be done, and do not run the program
    ///
    /// Shows which library would be preloaded and the plan that it would follow in the
    /// program, each part with its reason. It does not look into the program: if that
    /// contains a sanitizer, for example, the library stands down.
    #[arg(long = "dry-run", id = "dry_run")]
    dry: bool,
    /// Print the dry run as JSON
    #[arg(long, requires = "dry_run")]
    json: bool,
    /// The program and its arguments
    #[arg(required = true, trailing_var_arg = true, value_name = "CMD")]
    command: Vec<OsString>,
}

/// The table of variables, for `--help`.
fn variables() -> String {
    let row = |row: &config::Variable| {
        format!("\n  {}: {}\n      {}", row.name, row.accepted(), row.meaning())
    };
    let rows: String = config::TABLE.iter().map(row).collect();
    format!("Variables (the first value is the default):{rows}")
}

impl Run {
    /// Returns only if it fails, or for `--dry-run`.
    pub fn execute(self) -> Result<Exit, Failure> {
        let Some(command) = self.command.first() else {
            return Err(Failure::new("no program given"));
        };
        let mut environment = ProgramEnvironment::inherited();
        for setting in &self.set {
            let (name, value) = split_setting(setting)?;
            environment.set(name, value);
        }
        if let Some(mode) = &self.mode {
            environment.set(b"SIGWARD", mode.as_bytes());
        }
        let program = program::find(command, environment.get(b"PATH"))?;
        let config = environment.config(program.as_os_str())?;

        let library = Library::find(self.library.as_deref())?;
        // A program that sigward leaves alone loses nothing without the library.
        if config.mode != config::Mode::Off
            && let Err(failure) = program::require_preloadable(&program, &library)
        {
            if !self.force {
                return Err(failure);
            }
            failure.warn();
        }
        let preload = library.in_front_of(environment.get(b"LD_PRELOAD"))?;
        environment.set(b"LD_PRELOAD", preload.as_bytes());
        if self.avoid_avx {
            let tunables = without_avx(environment.get(b"GLIBC_TUNABLES"));
            environment.set(b"GLIBC_TUNABLES", &tunables);
        }
        let settings = if self.env_cures { cures::settings_here() } else { Vec::new() };
        cures::apply(&settings, &mut environment);
        if self.dry {
            let report = DryRun {
                env_cures: settings,
                program: program.display().to_string(),
                library: library.path.display().to_string(),
                ld_preload: preload.display().to_string(),
                plan: PlanReport::of_next_program(&config, Bad::default(), kernel_texts::judge()),
            };
            return output::print(&report, self.json, DryRun::text).map(|()| Exit::Success);
        }
        if plan::acts(&config, kernel_texts::judge) {
            // If even that fails, the library logs what it could not lock.
            cures::raise(Resource::RLIMIT_MEMLOCK);
        }
        if config.mode != config::Mode::Off {
            cures::raise_pending_signals();
        }
        for setting in &settings {
            failure::remark(format_args!("--env-cures: {setting}"));
        }
        Err(become_program(program, &self.command, environment))
    }
}

/// What `--dry-run --json` prints. The names are an interface: add, do not rename.
#[derive(Serialize)]
struct DryRun {
    program: String,
    library: String,
    ld_preload: String,
    /// Settings of runtimes that a row of the table asks for, with --env-cures.
    env_cures: Vec<Setting>,
    plan: PlanReport,
}

impl DryRun {
    fn text(&self) -> String {
        let line = |setting: &Setting| format!("--env-cures: {setting}\n");
        let cures: String = self.env_cures.iter().map(line).collect();
        format!(
            "program: {}\nlibrary: {}\nLD_PRELOAD={}\n{cures}plan:\n{}",
            self.program,
            self.library,
            self.ld_preload,
            self.plan.text()
        )
    }
}

fn split_setting(setting: &OsStr) -> Result<(&[u8], &[u8]), Failure> {
    let bytes = setting.as_bytes();
    let at = bytes.iter().position(|byte| *byte == b'=').filter(|at| *at > 0);
    let split = at.and_then(|at| Some((bytes.get(..at)?, bytes.get(at + 1..)?)));
    split.filter(|(name, _)| name.starts_with(b"SIGWARD")).ok_or_else(|| {
        Failure::new(format!("--set {}: not SIGWARD_…=VALUE", setting.display()))
            .remedy("for other variables use env(1)")
    })
}

/// `execve`, and the shell for files that the kernel cannot execute, as `execvp` does.
/// Not `std::process::Command`, which empties the signal mask.
fn become_program(
    program: PathBuf,
    command: &[OsString],
    environment: ProgramEnvironment,
) -> Failure {
    restore_sigpipe();
    let name = program.display().to_string();
    let c_strings = |strings: Vec<OsString>| -> Result<Vec<CString>, _> {
        strings.into_iter().map(|string| CString::new(string.into_vec())).collect()
    };
    let prepared = (|| {
        Ok::<_, std::ffi::NulError>((
            CString::new(program.into_os_string().into_vec())?,
            c_strings(command.to_vec())?,
            c_strings(environment.into_entries())?,
        ))
    })();
    let Ok((path, mut arguments, environment)) = prepared else {
        return Failure::new(format!("{name}: a NUL byte in an argument"));
    };
    let Err(mut error) = execve(&path, &arguments, &environment);
    if error == Errno::ENOEXEC {
        let shell = CString::new(program::SHELL).unwrap_or_default();
        arguments.splice(..1, [shell.clone(), path]);
        Err(error) = execve(&shell, &arguments, &environment);
    }
    // The program itself was found, so what is missing is what the kernel starts for it.
    let why = match error {
        Errno::ENOENT => "its loader or interpreter is missing",
        _ => error.desc(),
    };
    Failure::new(format!("{name}: {why}")).exit(Exit::NotExecutable)
}

/// Whether SIGPIPE was ignored when we started. Rust's runtime ignores it before `main`,
/// and the program must not inherit that.
static SIGPIPE_WAS_IGNORED: AtomicBool = AtomicBool::new(false);

extern "C" fn note_sigpipe() {
    let mut action = MaybeUninit::<libc::sigaction>::uninit();
    // SAFETY: no new action is given, and `action` has room for the old one.
    let asked = unsafe { libc::sigaction(libc::SIGPIPE, std::ptr::null(), action.as_mut_ptr()) };
    if asked == 0 {
        // SAFETY: sigaction succeeded, so it has filled `action`.
        let ignored = unsafe { action.assume_init() }.sa_sigaction == libc::SIG_IGN;
        SIGPIPE_WAS_IGNORED.store(ignored, Ordering::Relaxed);
    }
}

// SAFETY: the loader calls the functions of this section once, before the runtime starts;
// ours does not need the runtime.
#[used]
#[unsafe(link_section = ".init_array")]
static NOTE_SIGPIPE: extern "C" fn() = note_sigpipe;

fn restore_sigpipe() {
    let action = if SIGPIPE_WAS_IGNORED.load(Ordering::Relaxed) {
        SigHandler::SigIgn
    } else {
        SigHandler::SigDfl
    };
    // SAFETY: neither disposition runs code of ours.
    let _ = unsafe { signal(Signal::SIGPIPE, action) };
}
