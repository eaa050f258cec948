//! `sigward library`: the library inside the command, as a file.

use std::fs;
use std::path::{Path, PathBuf};

use clap::Args;

use super::embedded::{Embedded, LIBRARY};
use super::{Library, NAME, place};
use crate::environment::ProgramEnvironment;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output;

/// Write the library to a file, or say where it is
///
/// The command contains the library. `sigward run` uses an installed copy if that is the same
/// file, or else makes one: in /run/sigward, in $XDG_RUNTIME_DIR/sigward, or in a folder of its
/// own in /dev/shm or the temporary folder. Without options, prints the path of the copy that
/// `sigward run` would preload, for use in LD_PRELOAD.
#[derive(Args)]
#[command(after_help = "Examples:
  sigward library --extract /usr/lib/sigward    in a Dockerfile
  LD_PRELOAD=$(sigward library) ./program       without `sigward run`")]
pub struct LibraryCommand {
    /// Print the path of the copy that `sigward run` would preload (the default)
    #[arg(long)]
    print: bool,
    /// Write libsigward.so into this folder, and print its path
    ///
    /// A file of that name is replaced by rename(2), so programs that start meanwhile find a
    /// whole library. For /etc/ld.so.preload, see `sigward install --system`.
    #[arg(long, value_name = "DIR", conflicts_with = "print")]
    extract: Option<PathBuf>,
}

impl LibraryCommand {
    pub fn execute(&self) -> Result<Exit, Failure> {
        let path = match &self.extract {
            Some(folder) => {
                let library = LIBRARY.as_ref().ok_or_else(|| {
                    Failure::new("this sigward was built without the library")
                        .remedy("build it with `make build`")
                })?;
                extract(library, folder)?
            }
            None => Library::find(None, &ProgramEnvironment::inherited())?.path,
        };
        output::line(path.as_os_str())?;
        Ok(Exit::Success)
    }
}

fn extract(library: &Embedded<'_>, folder: &Path) -> Result<PathBuf, Failure> {
    let write = || {
        fs::create_dir_all(folder)?;
        let path = std::path::absolute(folder)?.join(NAME);
        place::write_copy(folder, &path, library)?;
        Ok(path)
    };
    write().map_err(|error: std::io::Error| {
        Failure::new(format!("--extract {}: {error}", folder.display()))
            .remedy("give a folder in which you can write")
    })
}
