//! `sigward unit`: a drop-in that preloads the library into a service of systemd.
//!
//! [`service`] is what systemd says about the unit, [`drop_in`] the text: both pure. Nothing is
//! written; the administrator puts the text in its place.

mod drop_in;
mod service;

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use clap::Args;
use clap::builder::PossibleValuesParser;
use sigward::config;

use super::environment::ProgramEnvironment;
use super::exit::Exit;
use super::failure::{Failure, remark};
use super::library::Library;
use super::output;
use super::program;
use drop_in::DropIn;
use service::Service;

/// Print a drop-in for a service of systemd
///
/// It preloads the library into the service and gives it room for locks, each line with its
/// reason. Where systemd runs and knows the service, its own settings are considered: an
/// LD_PRELOAD of its own, a higher limit, a filter for system calls, its own root.
#[derive(Args)]
#[command(after_help = "Examples:
  sigward unit legacy-server > /etc/systemd/system/legacy-server.service.d/sigward.conf
  sigward unit --mode on --set SIGWARD_LOG=warn php-fpm")]
pub struct Unit {
    /// The service; without .service is fine
    name: String,
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
    /// The least limit on locked memory, in MiB; 0 leaves the limit alone
    #[arg(long, value_name = "MIB", default_value_t = 8)]
    memlock: u64,
}

impl Unit {
    pub fn execute(&self) -> Result<Exit, Failure> {
        let name = service::name(&self.name).ok_or_else(|| {
            Failure::new(format!("{:?} is not the name of a service", self.name))
                .remedy("give a name such as legacy-server or legacy-server.service")
        })?;
        let mut environment = ProgramEnvironment::inherited();
        let settings = self.settings(&mut environment)?;
        environment.config(OsStr::new(&name))?;
        let mut library = Library::find(self.library.as_deref(), &environment)?;
        if goes_away(&library.path).is_some() {
            library = library.installed().unwrap_or(library);
        }
        if let Some(place) = goes_away(&library.path) {
            return Err(Failure::new(format!(
                "{} does not stay: it is in {place}",
                library.path.display()
            ))
            .remedy("install the library, or give a path that stays with --library PATH"));
        }
        if library.path.starts_with("/home") || library.path.starts_with("/root") {
            let path = library.path.display();
            remark(format_args!(
                "warning: {path} is in a home: other users and ProtectHome= miss it"
            ));
        }
        let service = ask(&name).map(|text| Service::read(&text));
        if let Some(service) = &service {
            for path in &service.programs {
                if let Err(why) = program::require_preloadable(Path::new(path), &[], &library) {
                    why.warn();
                }
            }
        } else {
            remark(format_args!(
                "systemd does not know {name} here: its own settings are not considered"
            ));
        }
        let preloaded = service.as_ref().and_then(|service| service.preload.as_deref());
        let preload = library.in_front_of(preloaded.map(OsStr::new))?;
        let text = DropIn {
            name: &name,
            preload: &String::from_utf8_lossy(preload.as_bytes()),
            library: &library.path.display().to_string(),
            settings: &settings,
            memlock: self.memlock << 20,
            service: service.as_ref(),
        }
        .text();
        output::put(&text, None).map(|()| Exit::Success)
    }

    /// The variables that were asked for; they are put into `environment` to be judged.
    fn settings(&self, environment: &mut ProgramEnvironment) -> Result<Vec<String>, Failure> {
        let mode = self.mode.iter().map(|mode| OsString::from(format!("SIGWARD={mode}")));
        let all = mode.chain(self.set.iter().cloned()).map(|setting| {
            let words = setting.into_string().ok().filter(|it| it.starts_with("SIGWARD"));
            let words = words.filter(|it| it.contains('=') && !it.contains(char::is_control));
            words.ok_or_else(|| Failure::new("--set: not SIGWARD_…=VALUE"))
        });
        let all = all.collect::<Result<Vec<_>, _>>()?;
        for (name, value) in all.iter().filter_map(|setting| setting.split_once('=')) {
            environment.set(name.as_bytes(), value.as_bytes());
        }
        Ok(all)
    }
}

/// A folder that is empty after a boot, or that services do not share.
fn goes_away(library: &Path) -> Option<&'static str> {
    let folders = ["/run", "/tmp", "/var/tmp", "/dev", "/proc"];
    folders.into_iter().find(|folder| library.starts_with(folder))
}

/// What systemd says about the service; `None` if it does not run or does not know it.
fn ask(name: &str) -> Option<String> {
    let mut command = Command::new("systemctl");
    command.arg("show").arg(format!("--property={}", service::ASKED.join(","))).arg("--");
    let output = command.arg(name).stdin(Stdio::null()).stderr(Stdio::null()).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    (output.status.success() && text.lines().any(|line| line == "LoadState=loaded")).then_some(text)
}
