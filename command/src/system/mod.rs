//! `sigward install --system` and `sigward uninstall --system`: the library in every program of a
//! host, by `/etc/ld.so.preload`, so that every program starts at any time.
//!
//! | file | what |
//! |---|---|
//! | [`preload`] | the text of `/etc/ld.so.preload`: pure |
//! | [`except`] | the list of programs that are left alone: pure |
//! | [`plan`] | which steps, in which order: pure, over what [`found`] saw |
//! | [`step`] | one step, and how each kind is done |
//! | [`layout`] | where each class of programs finds its library; asks the loaders |
//! | [`trial`] | starts programs of each loader with the library |
//! | [`standing`] | what `doctor` says about it |

pub mod except;
mod found;
mod layout;
mod plan;
pub mod preload;
mod remarks;
mod step;
mod trial;

pub use remarks::{Served, narrow_in_force, notes, served};

/// The entry that leads both classes to their libraries.
pub const ENTRY: &str = place::BY_CLASS;

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use clap::Args;
use nix::fcntl::{Flock, FlockArg};
use nix::unistd::geteuid;

use super::exit::Exit;
use super::failure::{Failure, remark};
use super::library::{both_classes, inside};
use super::output;
use found::Found;
use plan::{Files, Purpose};
use step::{Done, Step};
use trial::Trials;

/// Where everything lies. Folders of our own: what a package owns may go away while an entry
/// still names it.
mod place {
    pub const PRELOAD: &str = "/etc/ld.so.preload";
    pub const FOLDER: &str = "/usr/lib/sigward/system";
    const NEW: &str = ".new";
    /// The name of the library, and of each link to one.
    pub const NAME: &str = "libsigward.so";
    /// The library: the only one where an entry cannot have `$LIB`.
    pub const LIBRARY: &str = "/usr/lib/sigward/system/libsigward.so";
    /// That for 32-bit programs; one without code, where there are none.
    pub const NARROW: &str = "/usr/lib/sigward/system/libsigward-i386.so";
    /// The entry for both classes.
    pub const BY_CLASS: &str = "/usr/lib/sigward/system/$LIB/libsigward.so";
    /// Our entries, of any version.
    pub const ENTRIES: [&str; 2] = [BY_CLASS, LIBRARY];
    pub const COMMAND: &str = "/usr/lib/sigward/system/sigward";
    pub const SETTINGS: &str = "/etc/sigward";
    pub const BEFORE: &str = "/etc/sigward/ld.so.preload.before";
    pub const EXCEPT: &str = "/etc/sigward/except";
    pub const UNIT: &str = "/etc/systemd/system/sigward-preload.service";
    pub const UNIT_NAME: &str = "sigward-preload.service";
    pub const WANTS: &str = "/etc/systemd/system/sysinit.target.wants";
    pub const WANTED: &str = "/etc/systemd/system/sysinit.target.wants/sigward-preload.service";
    pub const DEFAULTS_FOLDER: &str = "/etc/systemd/system.conf.d";
    pub const DEFAULTS: &str = "/etc/systemd/system.conf.d/sigward.conf";
    pub const RUN_FOLDER: &str = "/run/sigward";
    pub const RUN_PRELOAD: &str = "/run/sigward/ld.so.preload";

    /// A name beside `path`, always the same: what a kill leaves is replaced or removed by the next
    /// run. For the library, it still is a name that the library knows as its own.
    pub fn fresh(path: &str) -> String {
        format!("{path}{NEW}")
    }

    /// The path in whose place [`fresh`] will be put.
    pub fn of_fresh(path: &str) -> &str {
        path.strip_suffix(NEW).unwrap_or(path)
    }
}

/// What both commands have.
#[derive(Args)]
struct Options {
    /// For every program of the host, by /etc/ld.so.preload
    #[arg(long, required = true)]
    system: bool,
    /// Work in this folder, as if it were the root
    #[arg(long, value_name = "DIR", default_value = "/", conflicts_with = "boot")]
    root: PathBuf,
    /// Print the steps, and do none
    ///
    /// Without a trial. The exit code says nothing about one.
    #[arg(long)]
    dry_run: bool,
    /// What the unit does at boot, and undoes when it stops: only the file in /run
    #[arg(long, hide = true)]
    boot: bool,
    /// Die as by a power failure after this many steps; for tests
    #[arg(long, value_name = "STEPS", hide = true)]
    stop_after: Option<usize>,
}

/// Preload the library into every program of the host
///
/// First starts trial programs of each loader found (32-bit and 64-bit, glibc and musl) with the
/// library of its class; writes /etc/ld.so.preload only if all start as before. Where systemd runs and no other
/// library is preloaded, that file becomes a link into /run, which a unit makes at each boot after
/// another trial. Otherwise it gets a line in front of its others. At any time, also after a
/// kill between two steps, all programs start; run the command again, or undo it by `sigward
/// uninstall --system`. Needs root.
#[derive(Args)]
#[command(after_help = "Examples:
  sigward install --system --dry-run           which files it would write
  sigward install --system                     on this host
  sigward install --system --root /mnt/image   in an image")]
pub struct Install {
    #[command(flatten)]
    options: Options,
}

/// Undo `install --system`
///
/// Gives /etc/ld.so.preload back as it was, byte for byte. If it was changed meanwhile, only takes
/// the library's own entry out. Then removes the unit, and the library last. Needs root.
#[derive(Args)]
#[command(after_help = "Examples:
  sigward uninstall --system                     on this host
  sigward uninstall --system --root /mnt/image   in an image")]
pub struct Uninstall {
    #[command(flatten)]
    options: Options,
}

impl Install {
    pub fn execute(&self) -> Result<Exit, Failure> {
        let purpose = if self.options.boot { Purpose::Boot } else { Purpose::Install };
        self.options.execute(purpose)
    }
}

impl Uninstall {
    pub fn execute(&self) -> Result<Exit, Failure> {
        let purpose = if self.options.boot { Purpose::Stop } else { Purpose::Uninstall };
        self.options.execute(purpose)
    }
}

impl Options {
    fn execute(&self, purpose: Purpose) -> Result<Exit, Failure> {
        if !geteuid().is_root() {
            return Err(Failure::new("a system-wide install needs root"));
        }
        // Read before the root is another one.
        let files = Files {
            library: inside()?,
            narrow: both_classes::OF_32_BIT.bytes,
            empty: both_classes::EMPTY.bytes,
            command: own_file()?,
        };
        let is_live = self.root == Path::new("/");
        if !is_live {
            enter(&self.root).map_err(|error| {
                Failure::new(format!("--root {}: {error}", self.root.display()))
                    .remedy("give a folder that can be entered by chroot(2)")
            })?;
        }
        if self.dry_run {
            let steps = plan::steps(purpose, &look(purpose, is_live)?, &files)?;
            return print(&steps).map(|()| Exit::Success);
        }
        // Where systemd starts and stops the unit, an install may be waiting for it.
        let _lock = match purpose {
            Purpose::Stop => None,
            Purpose::Boot => Some(lock(FlockArg::LockExclusive)?),
            _ => Some(lock(FlockArg::LockExclusiveNonblock)?),
        };
        let mut work = Work { files, is_live, trials: Trials::default(), left: self.stop_after };
        work.carry_out(purpose)?;
        print_trials(&work.trials)?;
        output::line(plan::outcome(&Found::look(is_live)?).as_ref())?;
        Ok(Exit::Success)
    }
}

/// What is under way.
struct Work {
    files: Files,
    is_live: bool,
    trials: Trials,
    /// How many steps until we kill ourselves.
    left: Option<usize>,
}

impl Work {
    fn carry_out(&mut self, purpose: Purpose) -> Result<(), Failure> {
        let found = look(purpose, self.is_live)?;
        let steps = plan::steps(purpose, &found, &self.files)?;
        let Err((step, error)) = self.all(&steps) else { return Ok(()) };
        let failure = Failure::new(format!("{step}: {error}"));
        // A failed trial after the entry was written has harmed programs; a failure before it has
        // not, and what was installed before stays.
        let undo = match (purpose, step) {
            (Purpose::Install, Step::Verify) => Purpose::Uninstall,
            (Purpose::Install, _) if !found.is_installed() => Purpose::Uninstall,
            (Purpose::Boot, _) => Purpose::Stop,
            _ => return Err(failure),
        };
        let undone = plan::steps(undo, &Found::look(self.is_live)?, &self.files)?;
        match self.all(&undone) {
            Ok(()) if purpose == Purpose::Boot => Err(failure.remedy("nothing is preloaded")),
            Ok(()) => Err(failure.remedy("everything is as it was before")),
            Err((step, error)) => {
                failure.report();
                Err(Failure::new(format!("and to undo it failed: {step}: {error}"))
                    .remedy("run `sigward uninstall --system`"))
            }
        }
    }

    fn all<'step>(&mut self, steps: &'step [Step]) -> Result<(), (&'step Step, String)> {
        for step in steps {
            self.stop_here();
            match step.carry_out(&mut self.trials) {
                Ok(Done::Yes) => {}
                Ok(Done::Not(why)) => remark(format_args!("{step}: {why}")),
                Err(error) => return Err((step, error)),
            }
        }
        self.stop_here();
        Ok(())
    }

    fn stop_here(&mut self) {
        match &mut self.left {
            Some(0) => {
                let _ = nix::sys::signal::raise(nix::sys::signal::SIGKILL);
            }
            Some(left) => *left -= 1,
            None => {}
        }
    }
}

fn look(purpose: Purpose, is_live: bool) -> Result<Found, Failure> {
    let found = Found::look(is_live)?;
    Ok(if purpose == Purpose::Install { found.with_layout() } else { found })
}

fn print(steps: &[Step]) -> Result<(), Failure> {
    steps.iter().try_for_each(|step| output::line(step.to_string().as_ref()))
}

fn print_trials(trials: &Trials) -> Result<(), Failure> {
    trials.lines().iter().try_for_each(|line| output::line(line.as_ref()))
}

/// Makes `root` ours: no link in it can lead out of it any more.
fn enter(root: &Path) -> io::Result<()> {
    std::os::unix::fs::chroot(root)?;
    std::env::set_current_dir("/")
}

/// Our own file. Without /proc, the name that the kernel was given.
fn own_file() -> Result<Vec<u8>, Failure> {
    fs::read("/proc/self/exe")
        .or_else(|_| fs::read(std::env::args_os().next().unwrap_or_default()))
        .map_err(|error| {
            Failure::new(format!("cannot read the command's own file: {error}"))
                .remedy("mount /proc, or start it by its path")
        })
}

/// Keeps a second install away while this one works.
fn lock(how: FlockArg) -> Result<Flock<File>, Failure> {
    let failed = |error: io::Error| Failure::new(format!("cannot lock /etc: {error}"));
    let folder = File::open("/etc").map_err(failed)?;
    Flock::lock(folder, how).map_err(|(_, error)| {
        failed(error.into()).remedy("another install may be under way: wait for its end")
    })
}
