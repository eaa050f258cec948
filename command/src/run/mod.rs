//! `sigward run`: preloads the library and becomes the program.

pub mod becoming;
mod limits;
mod report;

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use clap::Args;
use clap::builder::PossibleValuesParser;
use sigward::config::{self, Config};
use sigward::os::kernel_texts;
use sigward::plan::Bad;

use super::cures;
use super::environment::{ProgramEnvironment, without_avx};
use super::exit::Exit;
use super::failure::{Failure, remark};
use super::init::Init;
use super::library::{self, Library};
use super::output;
use super::plan::{self, PlanReport};
use super::program::{self, Chain};
use super::start;
use becoming::Prepared;
use limits::Memlock;
use report::DryRun;

const EXAMPLES: &str = "\
Examples:
  sigward run -- ./server -p 80              where the kernel is affected
  sigward run --dry-run -- ./server          what would be done, and why
  sigward run --mode on --set SIGWARD_STATS=1 -- ./server
  sigward run --init --grace 10 -- ./server  as the first process of a container";

/// Run a program with libsigward.so preloaded
///
/// sigward becomes the program: process id, signals and exit status are the program's
/// own. An existing LD_PRELOAD is kept, after the library. Settings are the SIGWARD_*
/// variables of the environment; the options below override them.
#[derive(Args, Default)]
#[cfg_attr(test, derive(Debug, PartialEq))]
#[command(after_help = EXAMPLES)]
#[allow(clippy::struct_excessive_bools, reason = "each is an independent switch")]
pub struct Run {
    /// Preload this library instead of sigward's own
    #[arg(long, value_name = "PATH")]
    library: Option<PathBuf>,
    /// Set SIGWARD: act only on an affected kernel, always, never, or only count
    #[arg(long, value_name = "MODE",
          value_parser = PossibleValuesParser::new(config::Mode::WORDS))]
    mode: Option<String>,
    /// Act only in programs with these names: sets SIGWARD_ONLY
    #[arg(long, value_name = "GLOBS")]
    only: Option<OsString>,
    /// Do not act in programs with these names: sets SIGWARD_EXCEPT
    #[arg(long, value_name = "GLOBS")]
    except: Option<OsString>,
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
    /// The program only: what it starts does not get the library
    ///
    /// Sets SIGWARD_INHERIT=off. A program that it becomes by exec does not get it either, as
    /// with `sh -c` or `env`.
    #[arg(long)]
    no_inherit: bool,
    /// Preload nothing else: drop the LD_PRELOAD that was inherited
    #[arg(long)]
    clear_preload: bool,
    /// Set the soft limit on locked memory; max is the hard limit
    ///
    /// Without this option, where the library will act, the soft limits on locked memory and
    /// queued signals are raised to the hard ones.
    #[arg(long, value_name = "SIZE", conflicts_with = "no_limits")]
    memlock: Option<Memlock>,
    /// Change no limits
    #[arg(long)]
    no_limits: bool,
    /// Print no warnings
    #[arg(short, long)]
    quiet: bool,
    /// Say which library is preloaded into what, before the program starts
    #[arg(short, long, conflicts_with = "quiet")]
    verbose: bool,
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
    #[command(flatten)]
    init: Init,
    /// The program and its arguments
    #[arg(required = true, trailing_var_arg = true, value_name = "CMD")]
    command: Vec<OsString>,
}

/// What `--help` ends with: the examples and the table of variables.
pub fn long_help() -> String {
    let row = |row: &config::Variable| {
        format!("\n  {}: {}\n      {}", row.name, row.accepted(), row.meaning())
    };
    let rows: String = config::TABLE.iter().map(row).collect();
    format!("{EXAMPLES}\n\nVariables (the first value is the default):{rows}")
}

impl Run {
    /// `sigward run -- COMMAND…`.
    pub fn without_options(command: Vec<OsString>) -> Self {
        Self { command, ..Self::default() }
    }

    /// Returns only if it fails, or for `--dry-run`.
    pub fn execute(self) -> Result<Exit, Failure> {
        let Some(command) = self.command.first() else {
            return Err(Failure::new("no program given"));
        };
        let mut environment = self.environment()?;
        let program = program::find(command, environment.get(b"PATH"))?;
        let config = environment.config(program.as_os_str())?;

        let library = Library::find(self.library.as_deref(), &environment)?;
        if config.inherit == config::Inherit::Off {
            library.require_own_name()?;
        }
        let covered = self.coverage(&config, &program, &library)?;
        let library = match &covered {
            Ok(chain) => library.for_program(chain.bits, chain.loader(), &environment)?,
            Err(_) => library,
        };
        if let (true, Ok(chain)) = (self.verbose, &covered) {
            let links = report::names(&chain.links).join(" -> ");
            remark(format_args!("runs {links} with {}", library.path.display()));
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
                chain: covered.as_ref().map_or(Vec::new(), |chain| report::names(&chain.links)),
                not_covered: covered.err().map(|why| why.to_string()),
                library: library.path.display().to_string(),
                in_every_program: library::is_everywhere(&library.path),
                library_for_32_bit: library.for_32_bit(),
                ld_preload: preload.display().to_string(),
                plan: PlanReport::of_next_program(&config, Bad::default(), kernel_texts::judge()),
            };
            return output::print(&report, self.json, DryRun::text).map(|()| Exit::Success);
        }
        if let Some(wanted) = self.memlock {
            limits::set_memlock(wanted)?;
        } else if !self.no_limits && plan::acts(&config, kernel_texts::judge) {
            limits::raise();
        }
        if !self.no_limits && config.mode != config::Mode::Off {
            cures::raise_pending_signals();
        }
        for setting in &settings {
            remark(format_args!("--env-cures: {setting}"));
        }
        let prepared = Prepared::new(program, &self.command, environment)?;
        if self.init.is_wanted {
            return self.init.supervise(prepared);
        }
        start::restore_sigpipe();
        Err(prepared.become_it())
    }

    /// The program's environment, but for what preloads the library.
    fn environment(&self) -> Result<ProgramEnvironment, Failure> {
        let mut environment = ProgramEnvironment::inherited();
        if self.clear_preload {
            environment.remove(b"LD_PRELOAD");
        }
        for setting in &self.set {
            let (name, value) = split_setting(setting)?;
            environment.set(name, value);
        }
        if self.no_inherit {
            environment.set(b"SIGWARD_INHERIT", b"off");
        }
        let mode = self.mode.as_deref().map(OsStr::new);
        for (name, value) in [
            (&b"SIGWARD"[..], mode),
            (b"SIGWARD_ONLY", self.only.as_deref()),
            (b"SIGWARD_EXCEPT", self.except.as_deref()),
        ] {
            if let Some(value) = value {
                environment.set(name, value.as_bytes());
            }
        }
        Ok(environment)
    }

    /// What will run with the library in it, or why it will not be in it: an error only if the
    /// program must not run then.
    fn coverage(
        &self,
        config: &Config,
        program: &std::path::Path,
        library: &Library,
    ) -> Result<Result<Chain, Failure>, Failure> {
        let arguments = self.command.get(1..).unwrap_or_default();
        let judged = program::require_preloadable(program, arguments, library);
        // A program that sigward leaves alone loses nothing without the library.
        let is_left_alone = config.mode == config::Mode::Off;
        match &judged {
            Err(_) if is_left_alone => {}
            Err(failure) if self.force => {
                if !self.quiet {
                    failure.warn();
                }
            }
            Err(_) => return judged.map(Ok),
            Ok(_) => {
                if let Some(words) = report::lost(program, arguments)
                    && !self.quiet
                    && !is_left_alone
                {
                    remark(format_args!("warning: {words}"));
                }
            }
        }
        Ok(judged)
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
